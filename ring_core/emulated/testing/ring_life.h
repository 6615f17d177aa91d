// RingLife: what a ring does in its life, over and over, for tests of what that costs.
#ifndef IORING_RING_CORE_EMULATED_TESTING_RING_LIFE_H_
#define IORING_RING_CORE_EMULATED_TESTING_RING_LIFE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::emulated {

// Allocates nothing itself once it is made. What does not work is noted and not expected, since
// expectations would allocate.
class RingLife {
 public:
  // `path` is of a file that it makes, and removes at its end. Ends the program where the ring
  // cannot do what all rings can.
  RingLife(std::unique_ptr<Ring> ring, std::string path);
  RingLife(const RingLife&) = delete;
  RingLife& operator=(const RingLife&) = delete;
  ~RingLife();

  // A connection's life with every kind of operation, to its end or to the first failure.
  void Live();
  // Reads, writes and syncs the file, beside so many writes that nobody waits for.
  bool Files(int more_writes = 0);
  // The first thing that did not work; null: all did.
  const char* failed() const { return failed_; }

 private:
  Completion Await(Token token);
  bool Check(const char* what, bool worked);
  bool Succeeds(const char* what, bool prepared, int32_t result);
  bool Transfer(ConnectionId client, ConnectionId server);
  bool Misc(ConnectionId id);

  const std::unique_ptr<Ring> ring_;
  const std::string path_;
  std::array<std::byte, 4096> memory_{};
  std::array<std::byte, 64> read_{};  // from the file, while memory_ may still be written to it
  std::array<std::byte, 1024> group_memory_{};
  Endpoint endpoint_;
  BufferId buffer_;
  BufferGroupId group_;
  FileId file_;
  std::array<Completion, 8> last_{};
  std::array<bool, 8> arrived_{};
  int32_t managed_bytes_ = 0;
  const char* failed_ = nullptr;
};

// Rule 11 of ring/ring.h: once it runs, the ring allocates nothing.
void ExpectNoAllocations(RingLife& life);

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_TESTING_RING_LIFE_H_

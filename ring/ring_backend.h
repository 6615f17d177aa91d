// RingBackend: the part of a ring that differs between systems, for authors of backends.
//
// Callers read ring/ring.h. A backend derives from Ring, implements the pure virtual functions of
// both classes (docs/architecture.md has a table of them), and has a RingState, which holds what
// is the same everywhere. Ring checks what callers say, makes values of it (ring/request.h), and
// answers from the RingState whatever needs no system: completions, counts, statistics.
#ifndef IORING_RING_RING_BACKEND_H_
#define IORING_RING_RING_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ring/buffer_table.h"
#include "ring/capability.h"
#include "ring/completion_queue.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/failure_log.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {

// The state that every ring has. A backend derives from both Ring and RingState.
class RingState {
 public:
  RingState(const RingState&) = delete;
  RingState& operator=(const RingState&) = delete;

 protected:
  // `options` must have passed CheckRingOptions. `completion_capacity` is a power of two. The
  // functions are the backend's table of native codes, see FailureLog.
  RingState(const RingOptions& options, uint32_t completion_capacity, Error (*to_error)(int native),
            std::string (*to_text)(int native))
      : options_(options),
        completions_(completion_capacity),
        buffers_(options.max_buffers),
        failures_(to_error, to_text) {}
  ~RingState() = default;

  // Ends the program if this is not the process that made the ring.
  void CheckProcess() const;
  // Notes why an operation failed; returns its completion's result.
  int32_t Fail(Token token, int native, const char* what) {
    return failures_.Note(token, native, what);
  }

  const RingOptions options_;
  std::string_view backend_name_;  // a literal
  CapabilityReport capabilities_;
  // The reason of the last refusal of a registration by the system.
  std::string registration_problem_;
  // Of these, Ring counts `completions` (from the queue), and the backend everything else.
  StatisticsCounters statistics_;
  CompletionQueue completions_;
  BufferTable buffers_;
  FailureLog failures_;
  uint32_t in_flight_ = 0;  // operations accepted whose final completion is not in the queue yet
  bool of_another_process_ = false;  // this is the child of a fork

 private:
  friend class Ring;
  friend class RingFiles;

  uint32_t counted_completions_ = 0;  // of CompletionQueue::pushed()
};

class RingBackend {
 public:
  RingBackend() = default;
  RingBackend(const RingBackend&) = delete;
  RingBackend& operator=(const RingBackend&) = delete;
  virtual ~RingBackend() = default;

  // ---- Preparing: no system call. Each accepts an operation, or says what is full and changes
  // nothing. A request that cannot be (a stale id, a direction that is busy) is accepted, and
  // completes with the error.

  // One receive or send, which may have no bytes (kInvalidArgument), or more than kTransferBytesMax
  // (see CheckedLength). Where `traits` names a unit, a use of it was added, and becomes the
  // operation's. Where no transfer begins the backend drops it.
  virtual Prepared StartRecv(ConnectionId connection, std::span<std::byte> memory,
                             TransferTraits traits, Token token) = 0;
  // The memory is only read.
  virtual Prepared StartSend(ConnectionId connection, std::span<std::byte> memory,
                             TransferTraits traits, Token token) = 0;
  virtual Prepared StartRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                                    Token token) = 0;
  // Any other operation.
  virtual Prepared Start(const Request& request, Token token) = 0;

  // ---- The kernel.

  // kSubmit returns how many operations were handed over; kSubmitAndWait and kWait return how many
  // completions are ready; kLook, which is called where none is, returns anything. `options` is for
  // the waits.
  virtual uint32_t Enter(EnterMode mode, const WaitOptions& options) = 0;

  // ---- Control plane. Each checks that this is the process that made the ring.

  virtual absl::StatusOr<ConnectionId> AddSocket(const SocketSource& source) = 0;
  virtual absl::StatusOr<Endpoint> FindAddress(const AddressOf& of) = 0;
  virtual absl::StatusOr<FileId> AddFile(const FileSource& source) = 0;
  // Returns its descriptor. NotFound for a stale id.
  virtual absl::StatusOr<NativeHandle> FindFile(FileId file, FileUse use) = 0;
  // Registers the memory in the slot `slot` of the system's table, or takes it out of there where
  // `options` has none. Returns whether the system has it now; false is no failure. A reason why
  // not is left in `registration_problem_`, and counted under `fallbacks`.
  virtual absl::StatusOr<bool> SetKernelMemory(uint32_t slot,
                                               const RegisteredBufferOptions& options) = 0;
};

// The bytes that a receive or send of `size` bytes transfers at most. A longer span is transferred
// in part, as any other may be; but not where all of it is asked for: then 0, which is refused.
inline uint32_t CheckedLength(size_t size, TransferFlags flags) {
  if (size > kTransferBytesMax) [[unlikely]] {
    return flags == TransferFlags::kAll ? 0 : uint32_t{kTransferBytesMax};
  }
  return static_cast<uint32_t>(size);
}

}  // namespace ioring

#endif  // IORING_RING_RING_BACKEND_H_

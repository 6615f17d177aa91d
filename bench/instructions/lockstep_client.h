// LockstepClient: clients of an echo server that act when they are told to, and never wait.
//
// All connections send a message, and the next one when everything is back: so the server always
// has one of each before it, or none. Every byte that comes back is checked.
// Sockets of the operating system; nothing of the library. Linux only. Thread rule: one thread.
#ifndef IORING_BENCH_INSTRUCTIONS_LOCKSTEP_CLIENT_H_
#define IORING_BENCH_INSTRUCTIONS_LOCKSTEP_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ioring {

class LockstepClient {
 public:
  // Connects to "127.0.0.1:PORT". Sends nothing yet.
  static absl::StatusOr<std::unique_ptr<LockstepClient>> Connect(const std::string& address,
                                                                 uint32_t connections,
                                                                 uint32_t message_bytes);
  LockstepClient(const LockstepClient&) = delete;
  LockstepClient& operator=(const LockstepClient&) = delete;
  ~LockstepClient();

  // Takes what has come back; when that is all, sends each connection's next message. DataLoss
  // where a byte is wrong, Aborted where the server has closed.
  absl::Status Act();
  // Messages that came back, and were right.
  uint64_t messages() const { return messages_; }

 private:
  struct Connection {
    int socket = -1;
    uint64_t sent = 0;      // messages
    uint64_t received = 0;  // bytes
  };

  explicit LockstepClient(uint32_t message_bytes)
      : message_bytes_(message_bytes), message_(message_bytes), reply_(message_bytes) {}
  absl::Status Open(const std::string& address);
  absl::Status Receive(Connection& connection);
  absl::Status Send(Connection& connection);

  const uint32_t message_bytes_;
  std::vector<Connection> connections_;
  std::vector<std::byte> message_;
  std::vector<std::byte> reply_;
  uint64_t messages_ = 0;
};

}  // namespace ioring

#endif  // IORING_BENCH_INSTRUCTIONS_LOCKSTEP_CLIENT_H_

// ClientSocket: a blocking socket of the operating system, as any client has one. It uses
// nothing of the library that the server is built with.
//
// Every call gives up after 60 s, so that a server that does not answer fails a test
// instead of stopping it.
#ifndef IORING_ECHO_TESTING_CLIENT_SOCKET_H_
#define IORING_ECHO_TESTING_CLIENT_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/testing/system_socket.h"

namespace ioring {

// The bytes of a stream: any position can be filled or checked by itself. Cost: about
// 1 ns for 8 bytes.
void FillPattern(uint64_t stream, uint64_t position, std::span<std::byte> bytes);
bool MatchesPattern(uint64_t stream, uint64_t position, std::span<const std::byte> bytes);

class ClientSocket {
 public:
  // "127.0.0.1:80", "[::1]:80" or "unix:/path".
  static absl::StatusOr<ClientSocket> Connect(const std::string& address);

  ClientSocket() = default;
  ClientSocket(ClientSocket&& other) noexcept
      : socket_(std::exchange(other.socket_, system_socket::kNone)) {}
  ClientSocket& operator=(ClientSocket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~ClientSocket() { Close(); }

  bool is_open() const { return socket_ != system_socket::kNone; }

  // Sizes of the system's buffers for this socket; it doubles them for its own use.
  void SetSendBuffer(int bytes);
  void SetRecvBuffer(int bytes);

  // Sends all of it.
  absl::Status Send(std::span<const std::byte> bytes);
  // Sends what can be sent without waiting; 0 when that is nothing.
  absl::StatusOr<size_t> SendSome(std::span<const std::byte> bytes);
  // At least one byte; 0 at the end of the stream.
  absl::StatusOr<size_t> RecvSome(std::span<std::byte> bytes);
  // All of it; OutOfRange when the stream ends before.
  absl::Status Recv(std::span<std::byte> bytes);
  // Reads the stream's end; anything else is an error.
  absl::Status RecvEnd();

  // No more bytes from this side (FIN).
  absl::Status ShutdownSend();
  void Close();
  // Closes with a reset instead of a FIN, whatever is unsent or unread.
  void Reset();

  // Sends the pattern from its start, and reads nothing, until the system takes no more for
  // a while: the peer cannot send either. The bytes sent.
  absl::StatusOr<uint64_t> SendUntilBlocked(uint64_t stream);
  // Receives the first `bytes` of the pattern and checks every byte.
  absl::Status RecvPattern(uint64_t stream, uint64_t bytes);

  // Sends and receives `bytes` of the pattern, both at once, and checks every byte.
  // `position` is where the stream stands.
  absl::Status EchoPattern(uint64_t stream, uint64_t position, uint64_t bytes);

 private:
  explicit ClientSocket(system_socket::Socket socket) : socket_(socket) {}
  system_socket::Socket socket_ = system_socket::kNone;
};

}  // namespace ioring

#endif  // IORING_ECHO_TESTING_CLIENT_SOCKET_H_

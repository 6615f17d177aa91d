#include "bench/instructions/lockstep_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ioring {
namespace {

// Differs from byte to byte, from message to message and between connections.
std::byte PatternByte(int connection, uint64_t position) {
  const uint64_t mixed =
      (position + (static_cast<uint64_t>(connection) << 32)) * 0x9e3779b97f4a7c15;
  return static_cast<std::byte>(mixed >> 56);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LockstepClient>> LockstepClient::Connect(const std::string& address,
                                                                        uint32_t connections,
                                                                        uint32_t message_bytes) {
  if (connections == 0 || message_bytes == 0) {
    return absl::InvalidArgumentError("at least one connection and one byte per message");
  }
  std::unique_ptr<LockstepClient> client(new LockstepClient(message_bytes));
  for (uint32_t i = 0; i < connections; ++i) {
    if (absl::Status status = client->Open(address); !status.ok()) return status;
  }
  return client;
}

LockstepClient::~LockstepClient() {
  for (const Connection& connection : connections_) close(connection.socket);
}

absl::Status LockstepClient::Open(const std::string& address) {
  const std::pair<std::string, std::string> sides = absl::StrSplit(address, ':');
  uint32_t port = 0;
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  if (inet_pton(AF_INET, sides.first.c_str(), &to.sin_addr) != 1 ||
      !absl::SimpleAtoi(sides.second, &port)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the server listens on ", address, "; let it listen on 127.0.0.1:0"));
  }
  to.sin_port = htons(static_cast<uint16_t>(port));
  const int opened = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (opened < 0) return absl::ErrnoToStatus(errno, "socket");
  connections_.push_back({.socket = opened});
  const int on = 1;
  setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(opened, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot connect to ", address));
}

absl::Status LockstepClient::Act() {
  bool all_back = true;
  for (Connection& connection : connections_) {
    if (absl::Status status = Receive(connection); !status.ok()) return status;
    if (connection.received != connection.sent * message_bytes_) all_back = false;
  }
  if (!all_back) return absl::OkStatus();
  for (Connection& connection : connections_) {
    if (absl::Status status = Send(connection); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status LockstepClient::Receive(Connection& connection) {
  while (connection.received < connection.sent * message_bytes_) {
    const ssize_t bytes = recv(connection.socket, reply_.data(), reply_.size(), MSG_DONTWAIT);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0 && errno == EAGAIN) return absl::OkStatus();
    if (bytes < 0) return absl::ErrnoToStatus(errno, "the server's reply");
    if (bytes == 0) return absl::AbortedError("the server has closed a connection");
    for (ssize_t i = 0; i < bytes; ++i) {
      if (reply_[static_cast<size_t>(i)] == PatternByte(connection.socket, connection.received++)) {
        continue;
      }
      return absl::DataLossError(
          absl::StrCat("byte ", connection.received - 1, " of a connection came back wrong"));
    }
    if (connection.received == connection.sent * message_bytes_) ++messages_;
  }
  return absl::OkStatus();
}

absl::Status LockstepClient::Send(Connection& connection) {
  uint64_t position = connection.sent * message_bytes_;
  for (std::byte& byte : message_) byte = PatternByte(connection.socket, position++);
  const ssize_t bytes =
      send(connection.socket, message_.data(), message_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (bytes < 0) return absl::ErrnoToStatus(errno, "a message to the server");
  if (static_cast<size_t>(bytes) != message_.size()) {
    return absl::InvalidArgumentError("the message does not fit the system's buffers: shorten it");
  }
  ++connection.sent;
  return absl::OkStatus();
}

}  // namespace ioring

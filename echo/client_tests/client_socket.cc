#include "echo/client_tests/client_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

constexpr int kPatienceSeconds = 60;
// Nothing moves for so long: the peer has stopped receiving.
constexpr int kBlockedAfterMilliseconds = 200;
constexpr size_t kChunkBytes = 256 << 10;

// Systems have the one or the other of these, or both.
#if defined(MSG_NOSIGNAL)
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;
#endif

void SuppressSignal([[maybe_unused]] int socket) {
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
}

absl::Status SystemError(std::string_view what) { return absl::ErrnoToStatus(errno, what); }

// The 8 bytes of a stream from `index * 8` on (the finaliser of SplitMix64).
uint64_t PatternWord(uint64_t stream, uint64_t index) {
  uint64_t word = (stream << 40) + index + 0x9e3779b97f4a7c15;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

struct Address {
  sockaddr_storage storage = {};
  socklen_t length = 0;
};

absl::StatusOr<Address> ParseUnix(std::string_view path) {
  Address address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() >= sizeof(un->sun_path)) return absl::InvalidArgumentError("path too long");
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  address.length = sizeof(*un);
  return address;
}

absl::StatusOr<Address> Parse(std::string_view text) {
  constexpr std::string_view kUnixPrefix = "unix:";
  if (text.starts_with(kUnixPrefix)) return ParseUnix(text.substr(kUnixPrefix.size()));
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string_view::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat("no address: ", text));
  }
  Address address;
  if (text.starts_with('[')) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(static_cast<uint16_t>(port));
    const std::string host(text.substr(1, colon - 2));
    address.length = sizeof(*in6);
    if (inet_pton(AF_INET6, host.c_str(), &in6->sin6_addr) == 1) return address;
  } else {
    auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(static_cast<uint16_t>(port));
    const std::string host(text.substr(0, colon));
    address.length = sizeof(*in);
    if (inet_pton(AF_INET, host.c_str(), &in->sin_addr) == 1) return address;
  }
  return absl::InvalidArgumentError(absl::StrCat("no address: ", text));
}

}  // namespace

void FillPattern(uint64_t stream, uint64_t position, std::span<std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const uint64_t word = PatternWord(stream, (position + done) / 8);
    const size_t skip = (position + done) % 8;
    const size_t count = std::min(8 - skip, bytes.size() - done);
    if (count == 8) {
      std::memcpy(&bytes[done], &word, 8);
    } else {
      std::array<std::byte, 8> word_bytes;
      std::memcpy(word_bytes.data(), &word, 8);
      std::memcpy(&bytes[done], &word_bytes[skip], count);
    }
    done += count;
  }
}

bool MatchesPattern(uint64_t stream, uint64_t position, std::span<const std::byte> bytes) {
  std::array<std::byte, 4096> expected;
  for (size_t done = 0; done < bytes.size();) {
    const size_t count = std::min(expected.size(), bytes.size() - done);
    FillPattern(stream, position + done, std::span(expected).first(count));
    if (std::memcmp(expected.data(), &bytes[done], count) != 0) return false;
    done += count;
  }
  return true;
}

absl::StatusOr<ClientSocket> ClientSocket::Connect(const std::string& address) {
  absl::StatusOr<Address> parsed = Parse(address);
  if (!parsed.ok()) return parsed.status();
  ClientSocket client(socket(parsed->storage.ss_family, SOCK_STREAM, 0));
  if (client.fd_ < 0) return SystemError("socket");
  fcntl(client.fd_, F_SETFD, FD_CLOEXEC);
  SuppressSignal(client.fd_);
  const timeval patience = {kPatienceSeconds, 0};
  setsockopt(client.fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(client.fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const int on = 1;
  if (parsed->storage.ss_family != AF_UNIX) {
    setsockopt(client.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  if (connect(client.fd_, reinterpret_cast<sockaddr*>(&parsed->storage), parsed->length) < 0) {
    return SystemError(absl::StrCat("connect to ", address));
  }
  return client;
}

void ClientSocket::SetSendBuffer(int bytes) {
  setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

void ClientSocket::SetRecvBuffer(int bytes) {
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

absl::Status ClientSocket::Send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), kNoSignal);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return SystemError("send");
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ClientSocket::SendSome(std::span<const std::byte> bytes) {
  const ssize_t sent = send(fd_, bytes.data(), bytes.size(), kNoSignal | MSG_DONTWAIT);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (sent < 0) return SystemError("send");
  return static_cast<size_t>(sent);
}

absl::StatusOr<size_t> ClientSocket::RecvSome(std::span<std::byte> bytes) {
  for (;;) {
    const ssize_t received = recv(fd_, bytes.data(), bytes.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return SystemError("recv");
    return static_cast<size_t>(received);
  }
}

absl::Status ClientSocket::Recv(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    absl::StatusOr<size_t> received = RecvSome(bytes);
    if (!received.ok()) return received.status();
    if (*received == 0) {
      return absl::OutOfRangeError(absl::StrCat("the stream ended, missing: ", bytes.size()));
    }
    bytes = bytes.subspan(*received);
  }
  return absl::OkStatus();
}

absl::Status ClientSocket::RecvEnd() {
  std::array<std::byte, 1> byte;
  absl::StatusOr<size_t> received = RecvSome(byte);
  if (!received.ok()) return received.status();
  return *received == 0 ? absl::OkStatus() : absl::DataLossError("a byte instead of the end");
}

absl::Status ClientSocket::ShutdownSend() {
  return shutdown(fd_, SHUT_WR) == 0 ? absl::OkStatus() : SystemError("shutdown");
}

void ClientSocket::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void ClientSocket::Reset() {
  const linger at_once = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  Close();
}

absl::StatusOr<uint64_t> ClientSocket::SendUntilBlocked(uint64_t stream) {
  std::vector<std::byte> chunk(kChunkBytes);
  uint64_t sent = 0;
  for (;;) {
    FillPattern(stream, sent, chunk);
    absl::StatusOr<size_t> some = SendSome(chunk);
    if (!some.ok()) return some.status();
    sent += *some;
    if (*some > 0) continue;
    pollfd writable = {fd_, POLLOUT, 0};
    if (poll(&writable, 1, kBlockedAfterMilliseconds) == 0) return sent;
  }
}

absl::Status ClientSocket::RecvPattern(uint64_t stream, uint64_t bytes) {
  std::vector<std::byte> chunk(kChunkBytes);
  for (uint64_t received = 0; received < bytes;) {
    const auto part = std::span(chunk).first(std::min<uint64_t>(chunk.size(), bytes - received));
    absl::StatusOr<size_t> some = RecvSome(part);
    if (!some.ok()) return some.status();
    if (*some == 0) return absl::OutOfRangeError(absl::StrCat("the stream ended at ", received));
    if (!MatchesPattern(stream, received, part.first(*some))) {
      return absl::DataLossError(absl::StrCat("wrong bytes at ", received));
    }
    received += *some;
  }
  return absl::OkStatus();
}

absl::Status ClientSocket::EchoPattern(uint64_t stream, uint64_t position, uint64_t bytes) {
  std::vector<std::byte> out(std::min<uint64_t>(kChunkBytes, bytes));
  std::vector<std::byte> in(out.size());
  std::span<const std::byte> unsent;
  uint64_t unfilled = bytes;
  uint64_t received = 0;
  while (received < bytes) {
    if (unsent.empty() && unfilled > 0) {
      const std::span<std::byte> chunk =
          std::span(out).first(std::min<uint64_t>(out.size(), unfilled));
      FillPattern(stream, position + bytes - unfilled, chunk);
      unfilled -= chunk.size();
      unsent = chunk;
    }
    pollfd ready = {fd_, POLLIN, 0};
    if (!unsent.empty()) ready.events |= POLLOUT;
    const int count = poll(&ready, 1, kPatienceSeconds * 1000);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return absl::DeadlineExceededError(absl::StrCat("stuck at ", received));
    if ((ready.revents & POLLOUT) != 0) {
      absl::StatusOr<size_t> sent = SendSome(unsent);
      if (!sent.ok()) return sent.status();
      unsent = unsent.subspan(*sent);
    }
    if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    absl::StatusOr<size_t> got = RecvSome(in);
    if (!got.ok()) return got.status();
    if (*got == 0) return absl::OutOfRangeError(absl::StrCat("the stream ended at ", received));
    if (!MatchesPattern(stream, position + received, std::span(in).first(*got))) {
      return absl::DataLossError(absl::StrCat("wrong bytes at ", received));
    }
    received += *got;
  }
  return absl::OkStatus();
}

}  // namespace ioring

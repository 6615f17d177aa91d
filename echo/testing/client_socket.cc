#include "echo/testing/client_socket.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

constexpr int kPatienceMilliseconds = 60'000;
// Nothing moves for so long: the peer has stopped receiving.
constexpr int kBlockedAfterMilliseconds = 200;
constexpr size_t kChunkBytes = 256 << 10;

// The 8 bytes of a stream from `index * 8` on (the finaliser of SplitMix64).
uint64_t PatternWord(uint64_t stream, uint64_t index) {
  uint64_t word = (stream << 40) + index + 0x9e3779b97f4a7c15;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
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
  const absl::StatusOr<system_socket::Socket> socket = system_socket::Connect(address);
  if (!socket.ok()) return socket.status();
  return ClientSocket(*socket);
}

void ClientSocket::SetSendBuffer(int bytes) { system_socket::SetSendBuffer(socket_, bytes); }

void ClientSocket::SetRecvBuffer(int bytes) { system_socket::SetRecvBuffer(socket_, bytes); }

absl::Status ClientSocket::Send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const absl::StatusOr<size_t> sent = system_socket::Send(socket_, bytes);
    if (!sent.ok()) return sent.status();
    bytes = bytes.subspan(*sent);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ClientSocket::SendSome(std::span<const std::byte> bytes) {
  return system_socket::SendAtOnce(socket_, bytes);
}

absl::StatusOr<size_t> ClientSocket::RecvSome(std::span<std::byte> bytes) {
  return system_socket::Recv(socket_, bytes);
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

absl::Status ClientSocket::ShutdownSend() { return system_socket::ShutdownSend(socket_); }

void ClientSocket::Close() {
  if (is_open()) system_socket::Close(socket_);
  socket_ = system_socket::kNone;
}

void ClientSocket::Reset() {
  system_socket::SetResetOnClose(socket_);
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
    const absl::StatusOr<system_socket::Readiness> ready =
        system_socket::Wait(socket_, {.to_send = true}, kBlockedAfterMilliseconds);
    if (!ready.ok()) return ready.status();
    if (!ready->to_send && !ready->to_recv) return sent;
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
    const absl::StatusOr<system_socket::Readiness> ready = system_socket::Wait(
        socket_, {.to_recv = true, .to_send = !unsent.empty()}, kPatienceMilliseconds);
    if (!ready.ok()) return ready.status();
    if (!ready->to_recv && !ready->to_send) {
      return absl::DeadlineExceededError(absl::StrCat("stuck at ", received));
    }
    if (ready->to_send) {
      absl::StatusOr<size_t> sent = SendSome(unsent);
      if (!sent.ok()) return sent.status();
      unsent = unsent.subspan(*sent);
    }
    if (!ready->to_recv) continue;
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

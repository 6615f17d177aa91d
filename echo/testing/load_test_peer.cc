#include "echo/testing/load_test_peer.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/system_socket.h"
#include "ring/endpoint.h"

namespace ioring {
namespace {

using system_socket::Socket;

Socket Bind(const std::string& address, Endpoint& endpoint) {
  const absl::StatusOr<Socket> listener = system_socket::Bind(address);
  CHECK_OK(listener.status());
  const absl::StatusOr<std::string> bound = system_socket::LocalAddress(*listener);
  CHECK_OK(bound.status());
  endpoint = *Endpoint::Parse(*bound);
  return *listener;
}

Socket BindLoopback(Endpoint& endpoint) { return Bind("127.0.0.1:0", endpoint); }

bool SendAll(Socket socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const absl::StatusOr<size_t> sent = system_socket::Send(socket, bytes);
    if (!sent.ok()) return false;
    bytes = bytes.subspan(*sent);
  }
  return true;
}

// A new one, whose name is short enough for such a path.
std::string MakeFolder() {
  std::random_device random;
  for (;;) {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / absl::StrCat("ioring-", absl::Hex(random()));
    if (std::filesystem::create_directory(folder)) return folder.string();
  }
}

}  // namespace

LoadTestPeer::LoadTestPeer(Behavior behavior) : behavior_(std::move(behavior)) {
  if (behavior_.unix_domain) {
    folder_ = MakeFolder();
    listener_ = Bind(absl::StrCat("unix:", folder_, "/socket"), endpoint_);
  } else {
    listener_ = BindLoopback(endpoint_);
  }
  CHECK_OK(system_socket::Listen(listener_, 1'024));
  accepting_ = std::thread([this] { Accept(); });
}

LoadTestPeer::~LoadTestPeer() { Stop(); }

void LoadTestPeer::Stop() {
  if (stopping_.exchange(true)) return;
  EndAccept();
  accepting_.join();
  for (std::thread& thread : echoing_) thread.join();
  system_socket::Close(listener_);
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
}

void LoadTestPeer::EndAccept() {
  const absl::StatusOr<std::string> address = system_socket::LocalAddress(listener_);
  CHECK_OK(address.status());
  const absl::StatusOr<Socket> last = system_socket::Connect(*address);
  CHECK_OK(last.status());
  system_socket::Close(*last);
}

void LoadTestPeer::Accept() {
  for (;;) {
    const absl::StatusOr<Socket> socket = system_socket::Accept(listener_);
    CHECK_OK(socket.status());
    if (stopping_) {
      system_socket::Close(*socket);
      return;
    }
    ++connections_;
    echoing_.emplace_back([this, socket = *socket] { Echo(socket); });
  }
}

void LoadTestPeer::Echo(Socket socket) {
  static constexpr size_t kBufferBytes = 65'536;
  const auto buffer = std::make_unique<std::byte[]>(kBufferBytes);
  uint64_t position = 0;
  for (;;) {
    const absl::StatusOr<size_t> received =
        system_socket::Recv(socket, std::span(buffer.get(), kBufferBytes));
    if (!received.ok()) break;
    if (*received == 0) {
      if (behavior_.more != 0) SendAll(socket, std::span(buffer.get(), behavior_.more));
      break;
    }
    bytes_received_ += *received;
    if (!Answer(socket, position, std::span(buffer.get(), *received))) break;
    position += *received;
  }
  system_socket::Close(socket);
}

bool LoadTestPeer::Answer(Socket socket, uint64_t position, std::span<std::byte> bytes) {
  const auto covers = [&](const std::optional<uint64_t>& at) {
    return at.has_value() && *at >= position && *at < position + bytes.size();
  };
  if (behavior_.silent) return true;
  if (covers(behavior_.corrupt_at)) bytes[*behavior_.corrupt_at - position] ^= std::byte{0x20};
  if (covers(behavior_.stall_at)) std::this_thread::sleep_for(behavior_.stall);
  const bool closes = covers(behavior_.close_after);
  if (closes) bytes = bytes.first(*behavior_.close_after - position);
  return SendAll(socket, bytes) && !closes;
}

RefusingPort::RefusingPort() { socket_ = BindLoopback(endpoint_); }
RefusingPort::~RefusingPort() { system_socket::Close(socket_); }

FullListener::FullListener() {
  socket_ = BindLoopback(endpoint_);
  CHECK_OK(system_socket::Listen(socket_, 0));
}
FullListener::~FullListener() { system_socket::Close(socket_); }

}  // namespace ioring

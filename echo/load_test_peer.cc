#include "echo/load_test_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/log/check.h"
#include "ring/endpoint.h"

namespace ioring {
namespace {

int BindLoopback(Endpoint& endpoint) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(listener >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  endpoint = Endpoint::Ipv4Loopback(ntohs(address.sin_port));
  return listener;
}

int BindUnix(const std::string& path, Endpoint& endpoint) {
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(listener >= 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.data(), path.size());
  CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  endpoint = *Endpoint::Unix(path);
  return listener;
}

// Systems have the one or the other, or both.
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

}  // namespace

LoadTestPeer::LoadTestPeer(Behavior behavior) : behavior_(std::move(behavior)) {
  if (behavior_.unix_domain) {
    char folder[] = "/tmp/ioring-XXXXXX";  // short enough for such a path
    CHECK(mkdtemp(folder) != nullptr);
    folder_ = folder;
    listener_ = BindUnix(folder_ + "/socket", endpoint_);
  } else {
    listener_ = BindLoopback(endpoint_);
  }
  CHECK(listen(listener_, 1'024) == 0);
  accepting_ = std::thread([this] { Accept(); });
}

LoadTestPeer::~LoadTestPeer() { Stop(); }

void LoadTestPeer::Stop() {
  if (stopping_.exchange(true)) return;
  EndAccept();
  accepting_.join();
  for (std::thread& thread : echoing_) thread.join();
  close(listener_);
  if (folder_.empty()) return;
  unlink((folder_ + "/socket").c_str());
  rmdir(folder_.c_str());
}

void LoadTestPeer::EndAccept() {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const int last = socket(address.ss_family, SOCK_STREAM, 0);
  CHECK(last >= 0);
  CHECK(connect(last, reinterpret_cast<sockaddr*>(&address), size) == 0);
  close(last);
}

void LoadTestPeer::Accept() {
  for (;;) {
    const int socket = accept(listener_, nullptr, nullptr);
    CHECK(socket >= 0);
    if (stopping_) {
      close(socket);
      return;
    }
    SuppressSignal(socket);
    ++connections_;
    echoing_.emplace_back([this, socket] { Echo(socket); });
  }
}

void LoadTestPeer::Echo(int socket) {
  static constexpr size_t kBufferBytes = 65'536;
  const auto buffer = std::make_unique<char[]>(kBufferBytes);
  uint64_t position = 0;
  for (;;) {
    const ssize_t size = recv(socket, buffer.get(), kBufferBytes, 0);
    if (size <= 0) break;
    const size_t bytes = static_cast<size_t>(size);
    bytes_received_ += bytes;
    if (!Answer(socket, position, buffer.get(), bytes)) break;
    position += bytes;
  }
  close(socket);
}

bool LoadTestPeer::Answer(int socket, uint64_t position, char* bytes, size_t size) {
  const auto covers = [&](const std::optional<uint64_t>& at) {
    return at.has_value() && *at >= position && *at < position + size;
  };
  if (behavior_.silent) return true;
  if (covers(behavior_.corrupt_at)) bytes[*behavior_.corrupt_at - position] ^= 0x20;
  if (covers(behavior_.stall_at)) std::this_thread::sleep_for(behavior_.stall);
  const bool closes = covers(behavior_.close_after);
  if (closes) size = *behavior_.close_after - position;
  for (size_t sent = 0; sent < size;) {
    const ssize_t result = send(socket, bytes + sent, size - sent, kNoSignal);
    if (result <= 0) return false;
    sent += static_cast<size_t>(result);
  }
  return !closes;
}

RefusingPort::RefusingPort() { socket_ = BindLoopback(endpoint_); }
RefusingPort::~RefusingPort() { close(socket_); }

FullListener::FullListener() {
  socket_ = BindLoopback(endpoint_);
  CHECK(listen(socket_, 0) == 0);
}
FullListener::~FullListener() { close(socket_); }

}  // namespace ioring

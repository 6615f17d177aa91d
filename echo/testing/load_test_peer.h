// LoadTestPeer: an echo server for the load generator's tests, as simple as can be.
//
// Blocking sockets and a thread per connection: it shares nothing with the library that the load
// generator runs on. It can lie, stall and hang up.
#ifndef IORING_ECHO_TESTING_LOAD_TEST_PEER_H_
#define IORING_ECHO_TESTING_LOAD_TEST_PEER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "echo/testing/system_socket.h"
#include "ring/endpoint.h"

namespace ioring {

class LoadTestPeer {
 public:
  // Each applies to every connection; positions are bytes from its start.
  struct Behavior {
    // This byte comes back wrong.
    std::optional<uint64_t> corrupt_at;
    // Closes after so many bytes.
    std::optional<uint64_t> close_after;
    // Waits for `stall` before it goes on after so many bytes.
    std::optional<uint64_t> stall_at;
    std::chrono::milliseconds stall{0};
    // Sends so many bytes more once the client has ended.
    size_t more = 0;
    // Reads and never answers.
    bool silent = false;
    // Listens on a path of its own instead of a free port of 127.0.0.1. Ask HasUnixDomain first.
    bool unix_domain = false;
  };

  explicit LoadTestPeer(Behavior behavior);
  LoadTestPeer() : LoadTestPeer(Behavior{}) {}
  // Ends when all connections have ended.
  ~LoadTestPeer();

  Endpoint endpoint() const { return endpoint_; }
  // What all connections have sent to it, and how many there were. Exact once they are closed:
  // see `Stop`.
  uint64_t bytes_received() const { return bytes_received_; }
  int connections() const { return connections_; }
  // Stops accepting and waits until all connections have ended.
  void Stop();

 private:
  void Accept();
  // Wakes a blocked accept by a connection, which no system leaves waiting.
  void EndAccept();
  void Echo(system_socket::Socket socket);
  // Answers the bytes that lie at `position`. False: the connection has ended.
  bool Answer(system_socket::Socket socket, uint64_t position, std::span<std::byte> bytes);

  const Behavior behavior_;
  Endpoint endpoint_;
  std::string folder_;  // of the path
  system_socket::Socket listener_ = system_socket::kNone;
  std::atomic<uint64_t> bytes_received_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  // Its own threads only, until the accepting one is joined.
  std::vector<std::thread> echoing_;
  std::thread accepting_;
};

// A port of 127.0.0.1 that nobody listens on, kept from others while this lives.
class RefusingPort {
 public:
  RefusingPort();
  ~RefusingPort();
  Endpoint endpoint() const { return endpoint_; }

 private:
  system_socket::Socket socket_;
  Endpoint endpoint_;
};

// A listener that accepts nothing and whose backlog is full with two connections or so, so that
// further ones are not answered.
class FullListener {
 public:
  FullListener();
  ~FullListener();
  Endpoint endpoint() const { return endpoint_; }

 private:
  system_socket::Socket socket_;
  Endpoint endpoint_;
};

}  // namespace ioring

#endif  // IORING_ECHO_TESTING_LOAD_TEST_PEER_H_

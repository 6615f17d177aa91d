// What an echo server is made with.
#ifndef IORING_ECHO_SERVER_SERVER_OPTIONS_H_
#define IORING_ECHO_SERVER_SERVER_OPTIONS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ring/capability.h"
#include "ring/endpoint.h"
#include "ring_native/create_ring.h"

namespace ioring {

// Where received bytes wait to be sent.
enum class EchoEngine : uint8_t {
  kMirror,   // a mirrored buffer for each connection
  kManaged,  // buffers of a group, held only while there are bytes in them
};

// What a server needs beyond max_connections: for connections that are being closed, and
// for those that are one too many.
constexpr uint32_t SpareConnections(uint32_t max_connections) {
  return std::clamp<uint32_t>(max_connections / 8, 16, 256);
}

struct ServerOptions {
  Endpoint listen = Endpoint::Ipv4Loopback(7777);
  // Other servers listen on the same port (SO_REUSEPORT).
  bool share_port = false;
  BackendKind backend = BackendKind::kAuto;
  // Features of the ring that are not used.
  CapabilitySet disabled;
  // See RingOptions.
  uint32_t submission_entries = 1024;
  EchoEngine engine = EchoEngine::kManaged;

  // Of one buffer; rounded up to what the engine can have. 0: the engine's own choice.
  uint32_t buffer_bytes = 0;
  // Connections over this are closed at once.
  uint32_t max_connections = 10'000;
  // Of the system, for each connection: see ListenerOptions. 0: the system's own.
  uint32_t send_buffer_bytes = 0;
  // Closes a connection on which no receive and no send completed for so long, to a quarter of it
  // more. 0: never. A send to a peer that reads slowly completes only when the system's buffer has
  // room again. Linux says so when a third of it is free: that much a peer must read in this time.
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(30);
  // See WaitOptions.
  std::chrono::nanoseconds spin{0};
  std::chrono::nanoseconds batch_delay{0};
  // What Stop gives connections to finish.
  std::chrono::nanoseconds drain_deadline = std::chrono::seconds(5);
  // The clock of that time; a simulation has its own.
  std::chrono::steady_clock::time_point (*now)() = &std::chrono::steady_clock::now;

  // kMirror: buffers in a slab. 0: as many as make 4 MiB.
  uint32_t buffers_per_slab = 0;
  // kManaged: buffers at the start, and, where each receive takes a whole buffer, at most.
  // 0: from buffer_bytes.
  uint32_t group_buffers_initial = 0;
  uint32_t group_buffers_max = 0;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_SERVER_OPTIONS_H_

// EchoClient: some connections of a simulated host to an echo server, each with a load generator's
// state machine, which verifies each byte that comes back.
#ifndef IORING_RING_SIM_TESTING_ECHO_CLIENT_H_
#define IORING_RING_SIM_TESTING_ECHO_CLIENT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "echo/load/load_connection.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/ring.h"
#include "ring_sim/simulated_world.h"

namespace ioring::sim {

// The longest time that a connection waits for what is to come back. A server that a partition has
// cut off for too long says nothing when it gives up.
inline constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds(300);

// How a connection ends.
enum class EchoEnd : uint8_t {
  kClose,      // closes when all is back
  kHalfClose,  // shuts sending down when all is sent, before all is back
  kWait,       // waits for the server's end
};

// What one connection does.
struct EchoScript {
  uint32_t number = 0;  // tells its bytes from the others'
  uint64_t messages = 1;
  LoadShape shape;
  EchoEnd end = EchoEnd::kClose;
  // Waits before each receive, so that what comes back has to wait at the server.
  std::chrono::nanoseconds read_delay{0};
};

struct EchoOutcome {
  bool connected = false;
  bool failed = false;   // a reset, a time-out, or a connect that failed
  bool gave_up = false;  // nothing came for kPatience
  bool closed = false;
  bool complete = false;  // all that was to be sent was sent, and is back
  uint64_t received = 0;
};

// Runs as a callback on a ring of `host` from its making on.
class EchoClient {
 public:
  EchoClient(World& world, HostId host, const Endpoint& server,
             const std::vector<EchoScript>& scripts);
  ~EchoClient();

  // All connections are closed, or never were.
  bool IsDone() const { return done_ == peers_.size(); }
  uint32_t InFlight() const { return ring_->InFlight(); }
  std::vector<EchoOutcome> Outcomes() const;
  // The first thing that no network is to blame for; empty where all was right.
  const std::string& problem() const { return problem_; }

 private:
  enum class Kind : uint8_t { kConnect, kRecv, kSend, kShutdown, kDeadline, kDelay, kClose };

  struct Peer {
    Peer(uint32_t its_index, const EchoScript& its_script);

    const uint32_t index;  // in tokens
    const EchoScript script;
    std::vector<std::byte> send_memory;
    std::vector<std::byte> recv_memory;
    std::vector<LoadTime> start_times;
    LoadConnection load;
    ConnectionId id;
    EchoOutcome outcome;
    bool receiving = false;  // or waiting to
    bool sending = false;
    bool shut = false;
    bool closing = false;
  };

  void Handle(const Completion& completion);
  void OnConnect(Peer& peer, const Completion& completion);
  void OnRecv(Peer& peer, const Completion& completion);
  void OnSend(Peer& peer, const Completion& completion);
  void Pump(Peer& peer);
  void Recv(Peer& peer);
  void Close(Peer& peer);
  void Check(bool is_right, const Peer& peer, std::string what);

  World& world_;
  std::unique_ptr<Ring> ring_;
  std::vector<std::unique_ptr<Peer>> peers_;
  size_t done_ = 0;
  std::string problem_;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_TESTING_ECHO_CLIENT_H_

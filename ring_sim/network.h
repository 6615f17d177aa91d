// Network: hosts, addresses, streams, listeners and datagrams, and what goes wrong with them.
#ifndef IORING_RING_SIM_NETWORK_H_
#define IORING_RING_SIM_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_sim/engine.h"
#include "ring_sim/socket.h"

namespace ioring::sim {

// Bytes, or the negative of an Error, or kWouldBlock.
using CallResult = int64_t;
inline constexpr CallResult kWouldBlock = -1000;
constexpr CallResult Failed(Error error) { return -static_cast<CallResult>(error); }

bool IsLoopback(const Endpoint& endpoint);

// The calls are those of a system's sockets, none of which blocks. Each id must be of a socket that
// is there.
class Network {
 public:
  explicit Network(Engine& engine) : engine_(engine) {}

  HostId AddHost(std::string_view name, const std::vector<Endpoint>& addresses);
  // Whether what `from` sends reaches `to`.
  void SetReachable(HostId from, HostId to, bool reachable);

  // Its sockets are gone, and nobody is told: what is sent to them is held until it starts again,
  // and answered with a reset then.
  void StopHost(HostId host);
  void StartHost(HostId host);
  bool IsDown(HostId host) const { return hosts_[host].is_down; }
  // How many there are of it, closed ones included whose end is still under way.
  uint32_t CountSockets(HostId host) const { return hosts_[host].sockets; }

  // Null where it is gone.
  Socket* Find(SocketId id);
  // Who is told of it.
  void Attach(SocketId id, SocketOwner* owner, uint32_t slot);

  absl::StatusOr<SocketId> Listen(HostId host, const Endpoint& local,
                                  const ListenerOptions& options);
  absl::StatusOr<SocketId> OpenDatagram(HostId host, const Endpoint& local);
  // The socket of a connect that is under way, or why there is none.
  CallResult StartConnect(HostId host, const Endpoint& remote);
  // 0 when it is connected.
  CallResult ConnectResult(Socket& socket);
  // A SocketId.
  CallResult Accept(Socket& listener);

  CallResult Recv(Socket& socket, std::byte* data, size_t bytes);
  // Whether there is something: takes nothing of it.
  CallResult Peek(Socket& socket);
  CallResult Send(Socket& socket, const std::byte* data, size_t bytes);
  CallResult RecvFrom(Socket& socket, std::byte* data, size_t bytes, Endpoint* source);
  CallResult SendTo(Socket& socket, const std::byte* data, size_t bytes,
                    const Endpoint& destination);
  CallResult Shutdown(Socket& socket, Direction direction);
  PollEvents Poll(Socket& socket);
  // Everything that was sent, and the end, has arrived.
  static bool AllArrived(const Socket& socket) {
    return socket.broken || (socket.to_send.empty() && socket.wire.empty());
  }
  void Close(SocketId id, bool reset);

 private:
  // Hosts and addresses.
  absl::Status CheckBind(HostId host, const Endpoint& local, bool is_datagram, bool shares) const;
  bool HasAddress(HostId host, const Endpoint& endpoint) const;
  // False where no host has it.
  bool FindHost(HostId from, const Endpoint& endpoint, HostId* host) const;
  SocketId FindBound(HostId host, const Endpoint& endpoint, bool is_datagram);
  Endpoint SourceFor(HostId host, const Endpoint& destination) const;
  // What a datagram says that it is from.
  Endpoint SourceOf(const Socket& socket, const Endpoint& destination) const;
  bool HasRoute(HostId host, const Endpoint& destination, HostId target) const;
  uint16_t TakePort(HostId host);
  uint16_t PortFor(HostId host, const Endpoint& local);
  void Unbind(const Socket& socket);
  bool IsReachable(HostId from, HostId to) const {
    return !hosts_[from].is_down && !hosts_[to].is_down && !blocked_.contains({from, to}) &&
           !cuts_.contains({from, to});
  }
  // What `from` sends to `to` may cut one off from the other.
  void MayCut(HostId from, HostId to);
  void Cut(HostId from, HostId to, int64_t time_ns);

  bool IsShort(Error* error);
  // Null, and why, where the host has all that it may have.
  Socket* Make(Socket::Kind kind, HostId host, Error* error);
  // The same where descriptors or memory are short by chance.
  Socket* MakeUnlessShort(Socket::Kind kind, HostId host, Error* error);
  void Remove(SocketId id);
  static void Notify(Socket& socket, uint8_t edges);
  int64_t Delay();

  // Connecting.
  void OnConnectArrives(SocketId id, int64_t started_ns);
  void ConnectLater(SocketId id, int64_t started_ns);
  void LetConnect(Socket& listener);
  void Establish(Socket& client, Socket& listener, HostId host);
  void OnEstablished(SocketId id);
  void FailConnect(SocketId id, Error error);

  // Streams.
  size_t Shortened(const Socket& socket, size_t bytes);
  void Transmit(Socket& socket);
  void SendReset(Socket& socket);
  void PutOnWire(Socket& socket, Segment::Kind kind, std::string bytes);
  void Deliver(SocketId id);
  bool IsLostReset(const Socket& socket);
  bool IsHeld(Socket& socket);
  void Arrive(Socket& socket, const Segment& segment);
  void Break(Socket& socket, Error error);
  void RemoveIfDone(Socket& socket);

  // Datagrams.
  CallResult SendToPath(Socket& socket, std::string_view bytes, const Endpoint& path);
  void LetSend(Socket& receiver);
  void OnDatagram(HostId from, HostId to, const Endpoint& destination, Datagram datagram);

  Engine& engine_;
  std::vector<Host> hosts_;
  std::set<std::pair<HostId, HostId>> blocked_;
  // By chance, with the numbers of those that heal apart from one another.
  std::map<std::pair<HostId, HostId>, std::set<uint64_t>> cuts_;
  uint64_t last_cut_ = 0;
  // Looked up, and never gone through: its order is the library's.
  absl::flat_hash_map<SocketId, std::unique_ptr<Socket>> sockets_;
  SocketId last_id_ = 0;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_NETWORK_H_

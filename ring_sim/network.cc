// Hosts, addresses, and the sockets that are bound to them.
#include "ring_sim/network.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/options.h"

namespace ioring::sim {
namespace {

using Family = Endpoint::Family;

bool IsIp(const Endpoint& endpoint) {
  return endpoint.family() == Family::kIpv4 || endpoint.family() == Family::kIpv6;
}

bool IsWildcard(const Endpoint& endpoint) {
  return IsIp(endpoint) && std::all_of(endpoint.address().begin(), endpoint.address().end(),
                                       [](uint8_t byte) { return byte == 0; });
}

bool IsSameAddress(const Endpoint& a, const Endpoint& b) {
  return a.family() == b.family() && a.address() == b.address() && a.path() == b.path();
}

absl::Status NoPortLeft() {
  return absl::ResourceExhaustedError("all ports of the simulated host are in use; close a socket");
}

// Where one is bound, the other cannot be.
bool IsSamePlace(const Endpoint& a, const Endpoint& b) {
  if (a.family() != b.family() || a.port() != b.port()) return false;
  return IsSameAddress(a, b) || IsWildcard(a) || IsWildcard(b);
}

}  // namespace

bool IsLoopback(const Endpoint& endpoint) {
  if (endpoint.family() == Family::kIpv4) return endpoint.address()[0] == 127;
  return endpoint.family() == Family::kIpv6 &&
         endpoint.address() == Endpoint::Ipv6Loopback(0).address();
}

HostId Network::AddHost(std::string_view name, const std::vector<Endpoint>& addresses) {
  for (const Endpoint& address : addresses) {
    CHECK(IsIp(address) && !IsWildcard(address) && !IsLoopback(address))
        << address.ToString() << " is no address that a host can have to itself";
    HostId other;
    CHECK(!FindHost(0, address, &other)) << address.ToString() << " is another host's";
  }
  hosts_.push_back({.name = std::string(name), .addresses = addresses});
  return static_cast<HostId>(hosts_.size() - 1);
}

void Network::SetReachable(HostId from, HostId to, bool reachable) {
  engine_.Log(reachable ? Happened::kHeal : Happened::kPartition, from, to);
  if (reachable) {
    blocked_.erase({from, to});
    cuts_.erase({from, to});
  } else {
    blocked_.insert({from, to});
  }
}

void Network::MayCut(HostId from, HostId to) {
  if (from == to) return;
  const Faults& faults = engine_.faults();
  Random& random = engine_.random();
  const bool both_ways = random.Chance(faults.partition);
  if (!both_ways && !random.Chance(faults.partition_one_way)) return;
  const int64_t time_ns = random.Between(faults.partition_min_ns, faults.partition_max_ns);
  Cut(from, to, time_ns);
  if (both_ways) Cut(to, from, time_ns);
}

void Network::Cut(HostId from, HostId to, int64_t time_ns) {
  engine_.Log(Happened::kPartition, from, to);
  const uint64_t number = ++last_cut_;
  cuts_[{from, to}].insert(number);
  engine_.After(time_ns, [this, from, to, number] {
    const auto cuts = cuts_.find({from, to});
    if (cuts == cuts_.end() || cuts->second.erase(number) == 0) return;  // healed before
    engine_.Log(Happened::kHeal, from, to);
    if (cuts->second.empty()) cuts_.erase(cuts);
  });
}

void Network::StopHost(HostId host) {
  engine_.Log(Happened::kStopped, host);
  hosts_[host].is_down = true;
  hosts_[host].bindings.clear();
  // In the order of their numbers, which are the order in which they were made.
  for (SocketId id = 1; id <= last_id_; ++id) {
    if (const Socket* socket = Find(id); socket != nullptr && socket->host == host) Remove(id);
  }
}

void Network::StartHost(HostId host) {
  engine_.Log(Happened::kStarted, host);
  hosts_[host].is_down = false;
}

Socket* Network::Find(SocketId id) {
  const auto found = sockets_.find(id);
  return found == sockets_.end() ? nullptr : found->second.get();
}

void Network::Attach(SocketId id, SocketOwner* owner, uint32_t slot) {
  Socket& socket = *Find(id);
  socket.owner = owner;
  socket.slot = slot;
}

// Whether the host is short of something by chance.
bool Network::IsShort(Error* error) {
  const Faults& faults = engine_.faults();
  if (engine_.random().Chance(faults.no_descriptor)) {
    *error = Error::kTooManyFiles;
  } else if (engine_.random().Chance(faults.no_memory)) {
    *error = Error::kNoMemory;
  } else {
    return false;
  }
  return true;
}

Socket* Network::Make(Socket::Kind kind, HostId host, Error* error) {
  if (hosts_[host].sockets >= engine_.options().max_sockets) {
    *error = Error::kTooManyFiles;
  } else {
    auto made = std::make_unique<Socket>();
    Socket& socket = *made;
    socket.id = ++last_id_;
    socket.kind = kind;
    socket.host = host;
    socket.recv_capacity = engine_.options().recv_buffer_bytes;
    socket.send_capacity = engine_.options().send_buffer_bytes;
    ++hosts_[host].sockets;
    sockets_.emplace(socket.id, std::move(made));
    return &socket;
  }
  engine_.Log(Happened::kShortage, host, static_cast<uint64_t>(*error));
  return nullptr;
}

Socket* Network::MakeUnlessShort(Socket::Kind kind, HostId host, Error* error) {
  if (!IsShort(error)) return Make(kind, host, error);
  engine_.Log(Happened::kShortage, host, static_cast<uint64_t>(*error));
  return nullptr;
}

void Network::Remove(SocketId id) {
  const auto found = sockets_.find(id);
  const SocketId peer_id = found->second->peer;
  Host& host = hosts_[found->second->host];
  --host.sockets;
  host.ports_of_connects.erase(found->second->port_of_connect);
  engine_.Log(Happened::kClosed, id);
  sockets_.erase(found);
  // What waited for its window goes on the wire, and learns there that nobody is left.
  if (Socket* peer = Find(peer_id); peer != nullptr) Transmit(*peer);
}

void Network::Notify(Socket& socket, uint8_t edges) {
  if (socket.owner != nullptr) socket.owner->OnSocket(socket.slot, edges);
}

int64_t Network::Delay() {
  const Faults& faults = engine_.faults();
  return engine_.random().Between(faults.delay_min_ns, faults.delay_max_ns);
}

// ---- Addresses.

bool Network::HasAddress(HostId host, const Endpoint& endpoint) const {
  if (!IsIp(endpoint) || IsWildcard(endpoint) || IsLoopback(endpoint)) return true;
  const std::vector<Endpoint>& addresses = hosts_[host].addresses;
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const Endpoint& own) { return IsSameAddress(own, endpoint); });
}

bool Network::FindHost(HostId from, const Endpoint& endpoint, HostId* host) const {
  if (!IsIp(endpoint) || IsWildcard(endpoint) || IsLoopback(endpoint)) {
    *host = from;
    return true;
  }
  for (HostId i = 0; i < hosts_.size(); ++i) {
    if (HasAddress(i, endpoint)) {
      *host = i;
      return true;
    }
  }
  return false;
}

// One of those that share the port.
SocketId Network::FindBound(HostId host, const Endpoint& endpoint, bool is_datagram) {
  std::vector<SocketId> exact;
  std::vector<SocketId> any;
  for (const Binding& binding : hosts_[host].bindings) {
    if (binding.is_datagram != is_datagram) continue;
    if (binding.endpoint.port() != endpoint.port()) continue;
    if (IsSameAddress(binding.endpoint, endpoint)) {
      exact.push_back(binding.socket);
    } else if (IsSamePlace(binding.endpoint, endpoint)) {
      any.push_back(binding.socket);
    }
  }
  const std::vector<SocketId>& found = exact.empty() ? any : exact;
  if (found.empty()) return 0;
  return found.size() == 1 ? found[0] : found[engine_.random().Below(found.size())];
}

Endpoint Network::SourceFor(HostId host, const Endpoint& destination) const {
  if (!IsIp(destination)) return Endpoint();
  if (!IsLoopback(destination) && !IsWildcard(destination)) {
    for (const Endpoint& own : hosts_[host].addresses) {
      if (own.family() == destination.family()) return own;
    }
  }
  return destination.family() == Family::kIpv4 ? Endpoint::Ipv4Loopback(0)
                                               : Endpoint::Ipv6Loopback(0);
}

Endpoint Network::SourceOf(const Socket& socket, const Endpoint& destination) const {
  if (!IsWildcard(socket.local)) return socket.local;
  Endpoint source = SourceFor(socket.host, destination);
  source.set_port(socket.local.port());
  return source;
}

// Whether one of the host's addresses can be the source of what goes there.
bool Network::HasRoute(HostId host, const Endpoint& destination, HostId target) const {
  if (host == target) return true;
  const std::vector<Endpoint>& addresses = hosts_[host].addresses;
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const Endpoint& own) { return own.family() == destination.family(); });
}

// 0: there is none left.
uint16_t Network::TakePort(HostId id) {
  constexpr uint16_t kFirst = 32768;
  constexpr uint16_t kEnd = 61000;
  Host& host = hosts_[id];
  for (int tries = 0; tries < kEnd - kFirst; ++tries) {
    const uint16_t port = host.next_port;
    host.next_port = port + 1 == kEnd ? kFirst : static_cast<uint16_t>(port + 1);
    const bool is_bound =
        std::any_of(host.bindings.begin(), host.bindings.end(),
                    [&](const Binding& binding) { return binding.endpoint.port() == port; });
    if (!is_bound && !host.ports_of_connects.contains(port)) return port;
  }
  return 0;
}

// The one that the endpoint names; where it names none, one that is free.
uint16_t Network::PortFor(HostId host, const Endpoint& local) {
  return IsIp(local) && local.port() == 0 ? TakePort(host) : local.port();
}

absl::Status Network::CheckBind(HostId host, const Endpoint& local, bool is_datagram,
                                bool shares) const {
  const auto why = [&](std::string_view reason) {
    return absl::StrCat("cannot bind to ", local.ToString(), ": ", reason);
  };
  if (local.family() == Family::kNone) {
    return absl::InvalidArgumentError(why("it is no address; give one"));
  }
  if (!HasAddress(host, local)) {
    return absl::InvalidArgumentError(
        why("the simulated host has no such address; give it to AddHost"));
  }
  if (IsIp(local) && local.port() == 0) return absl::OkStatus();
  for (const Binding& binding : hosts_[host].bindings) {
    if (binding.is_datagram != is_datagram && IsIp(local)) continue;
    if (!IsSamePlace(binding.endpoint, local) || (shares && binding.shares_port)) continue;
    return absl::AlreadyExistsError(why("it is in use; choose another or close its user"));
  }
  return absl::OkStatus();
}

void Network::Unbind(const Socket& socket) {
  std::erase_if(hosts_[socket.host].bindings,
                [&](const Binding& binding) { return binding.socket == socket.id; });
}

absl::StatusOr<SocketId> Network::Listen(HostId host, const Endpoint& local,
                                         const ListenerOptions& options) {
  absl::Status status = CheckBind(host, local, /*is_datagram=*/false, options.share_port);
  if (!status.ok()) return status;
  const uint16_t port = PortFor(host, local);
  if (IsIp(local) && port == 0) return NoPortLeft();
  Error error;
  Socket* socket = MakeUnlessShort(Socket::Kind::kListener, host, &error);
  if (socket == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot listen: the simulated host is short: ", ErrorText(error)));
  }
  constexpr uint32_t kBufferBytesMin = 2048;
  socket->local = local;
  if (IsIp(local)) socket->local.set_port(port);
  socket->backlog = static_cast<uint32_t>(std::max(options.backlog, 1));
  if (options.recv_buffer_bytes != 0) {
    socket->recv_capacity = std::max(options.recv_buffer_bytes, kBufferBytesMin);
  }
  if (options.send_buffer_bytes != 0) {
    socket->send_capacity = std::max(options.send_buffer_bytes, kBufferBytesMin);
  }
  hosts_[host].bindings.push_back({.is_datagram = false,
                                   .shares_port = options.share_port,
                                   .endpoint = socket->local,
                                   .socket = socket->id});
  engine_.Log(Happened::kListen, socket->id, socket->local.port());
  return socket->id;
}

absl::StatusOr<SocketId> Network::OpenDatagram(HostId host, const Endpoint& local) {
  absl::Status status = CheckBind(host, local, /*is_datagram=*/true, /*shares=*/false);
  if (!status.ok()) return status;
  const uint16_t port = PortFor(host, local);
  if (IsIp(local) && port == 0) return NoPortLeft();
  Error error;
  Socket* socket = MakeUnlessShort(Socket::Kind::kDatagram, host, &error);
  if (socket == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot open a datagram socket: the simulated host is short: ", ErrorText(error)));
  }
  socket->local = local;
  if (IsIp(local)) socket->local.set_port(port);
  hosts_[host].bindings.push_back(
      {.is_datagram = true, .shares_port = false, .endpoint = socket->local, .socket = socket->id});
  return socket->id;
}

// ---- Connecting.

CallResult Network::StartConnect(HostId host, const Endpoint& remote) {
  HostId target;
  if (!FindHost(host, remote, &target)) return Failed(Error::kHostUnreachable);
  if (!HasRoute(host, remote, target)) return Failed(Error::kNetworkUnreachable);
  const uint16_t port = IsIp(remote) ? TakePort(host) : 0;
  if (IsIp(remote) && port == 0) return Failed(Error::kAddressNotAvailable);
  Error error;
  Socket* socket = MakeUnlessShort(Socket::Kind::kStream, host, &error);
  if (socket == nullptr) return Failed(error);
  socket->remote = remote;
  if (IsWildcard(remote)) {  // stands for the host itself
    socket->remote = SourceFor(host, remote);
    socket->remote.set_port(remote.port());
  }
  socket->local = SourceFor(host, remote);
  if (port != 0) {
    socket->local.set_port(port);
    socket->port_of_connect = port;
    hosts_[host].ports_of_connects.insert(port);
  }
  socket->peer_host = target;
  socket->connecting = true;
  const SocketId id = socket->id;
  engine_.Log(Happened::kConnect, id, remote.port());
  MayCut(host, target);
  if (engine_.random().Chance(engine_.faults().lose_connect)) {
    engine_.After(engine_.options().connect_timeout_ns,
                  [this, id] { FailConnect(id, Error::kTimedOut); });
  } else if (engine_.random().Chance(engine_.faults().refuse_connect)) {
    engine_.After(Delay(), [this, id] { FailConnect(id, Error::kConnectionRefused); });
  } else {
    engine_.After(Delay(), [this, id, now = engine_.Now()] { OnConnectArrives(id, now); });
  }
  return CallResult{id};
}

// A place in the listener's queue is free, or the listener is going: those that wait for it try
// again. Only Unix-domain ones do, as TCP asks again by time.
void Network::LetConnect(Socket& listener) {
  if (listener.kind != Socket::Kind::kListener) return;
  const std::vector<SocketId> held_out = std::exchange(listener.held_out, {});
  for (const SocketId id : held_out) {
    engine_.After(0, [this, id, now = engine_.Now()] { OnConnectArrives(id, now); });
  }
}

// A queue that is full, or a partition, lets it wait, as TCP and Linux's Unix-domain sockets do.
void Network::ConnectLater(SocketId id, int64_t started_ns) {
  Socket& socket = *Find(id);
  const bool is_over = engine_.Now() - started_ns >= engine_.options().connect_timeout_ns;
  if (is_over && !socket.is_unix()) return FailConnect(id, Error::kTimedOut);
  engine_.After(engine_.options().retry_ns,
                [this, id, started_ns] { OnConnectArrives(id, started_ns); });
}

void Network::OnConnectArrives(SocketId id, int64_t started_ns) {
  Socket* client = Find(id);
  if (client == nullptr || !client->connecting) return;
  const HostId host = client->peer_host;
  if (!IsReachable(client->host, host) || !IsReachable(host, client->host)) {
    engine_.Log(Happened::kHeld, id);
    return ConnectLater(id, started_ns);
  }
  const SocketId bound = FindBound(host, client->remote, /*is_datagram=*/false);
  if (bound == 0) {
    const Error error = client->is_unix() ? Error::kNotFound : Error::kConnectionRefused;
    return engine_.After(Delay(), [this, id, error] { FailConnect(id, error); });
  }
  Socket& listener = *Find(bound);
  const bool is_full = listener.waiting.size() >= listener.backlog;
  if (is_full && client->is_unix()) return listener.held_out.push_back(id);
  if (is_full || engine_.random().Chance(engine_.faults().full_backlog)) {
    if (!is_full) engine_.Log(Happened::kBacklogFull, bound, id);
    return ConnectLater(id, started_ns);
  }
  Establish(*client, listener, host);
  if (client->peer == 0) ConnectLater(id, started_ns);  // its host is short
}

void Network::Establish(Socket& client, Socket& listener, HostId host) {
  Error error;
  Socket* server = Make(Socket::Kind::kStream, host, &error);
  if (server == nullptr) return;
  server->local = client.remote;
  server->remote = client.local;
  server->recv_capacity = listener.recv_capacity;
  server->send_capacity = listener.send_capacity;
  server->peer = client.id;
  server->peer_host = client.host;
  server->connected = true;
  client.peer = server->id;
  const int64_t answer_ns = engine_.Now() + Delay();
  server->last_due_ns = answer_ns;  // no bytes overtake it
  listener.waiting.push_back(server->id);
  if (listener.owner != nullptr) listener.owner->OnListener(listener.slot);
  engine_.At(answer_ns, [this, id = client.id] { OnEstablished(id); });
}

void Network::OnEstablished(SocketId id) {
  Socket* client = Find(id);
  if (client == nullptr || !client->connecting) return;
  client->connecting = false;
  client->connected = true;
  engine_.Log(Happened::kConnected, id, client->peer);
  Notify(*client, kBothEdges);
}

void Network::FailConnect(SocketId id, Error error) {
  Socket* client = Find(id);
  if (client == nullptr || !client->connecting) return;
  client->connecting = false;
  client->broken = true;
  client->error = error;
  engine_.Log(error == Error::kTimedOut ? Happened::kTimedOut : Happened::kRefused, id,
              static_cast<uint64_t>(error));
  Notify(*client, kBothEdges);
}

CallResult Network::ConnectResult(Socket& socket) {
  if (socket.connecting) return kWouldBlock;
  if (socket.connected) return 0;  // what broke it since is told to who transfers
  return Failed(std::exchange(socket.error, Error::kOk));
}

CallResult Network::Accept(Socket& listener) {
  if (listener.waiting.empty()) return kWouldBlock;
  const SocketId id = listener.waiting.front();
  if (Error error; IsShort(&error)) {
    engine_.Log(Happened::kShortage, listener.host, static_cast<uint64_t>(error));
    return Failed(error);  // it goes on waiting
  }
  listener.waiting.pop_front();
  engine_.Log(Happened::kAccepted, listener.id, id);
  LetConnect(listener);
  return CallResult{id};
}

}  // namespace ioring::sim

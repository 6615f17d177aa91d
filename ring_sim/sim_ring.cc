// Creation, the control plane, and turns.
#include "ring_sim/sim_ring.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_core/emulated/capabilities.h"
#include "ring_core/table/descriptor_index.h"
#include "ring_sim/simulated_world.h"

template class ioring::emulated::EmulatedRing<ioring::sim::SimRing, ioring::sim::SimTypes>;

namespace ioring::sim {
namespace {

// The codes of the simulated system are those of ioring.
Error ErrorFromCode(int code) { return static_cast<Error>(code); }
std::string CodeText(int code) {
  return absl::StrCat("simulated, ", ErrorName(ErrorFromCode(code)));
}

absl::Status HostHasStopped() {
  return absl::FailedPreconditionError("the ring's host has stopped: destroy the ring");
}

}  // namespace

SimRing::SimRing(World& world, HostId host, uint32_t number, const RingOptions& options)
    : EmulatedRing(options, &ErrorFromCode, &CodeText),
      world_(world),
      network_(world.network()),
      disk_(world.disk(host)),
      descriptors_(world.descriptors(host)),
      host_(host),
      number_(number),
      submission_space_(SubmissionQueueSpace()) {
  backend_name_ = "sim";
  capabilities_ = emulated::ReportNone(options.disabled, backend_name_,
                                       {.multishot_accept = "one call per connection"});
}

SimRing::~SimRing() {
  world_.Forget(*this);
  if (is_stopped()) return;  // its sockets are gone
  CheckAtRest();
  for (const Listener& listener : listeners_) {
    if (listener.is_open()) network_.Close(listener.socket, /*reset=*/false);
  }
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    if (connections_[i].socket != 0) network_.Close(connections_[i].socket, /*reset=*/false);
  }
}

int64_t SimRing::ClockNanos() const { return world_.NanosOf(host_); }

// At once it is safe in other threads and in signal handlers, which have no place in a run that is
// to be had again.
void SimRing::Wake() {
  if (!world_.IsItsThread()) return AddWake();
  Engine& engine = world_.engine();
  const int64_t delay_max_ns = engine.faults().wake_delay_max_ns;
  if (delay_max_ns == 0 || engine.options().clock == Clock::kSystem) return AddWake();
  engine.After(engine.random().Between(0, delay_max_ns), [&world = world_, number = number_] {
    SimRing* ring = world.FindRing(number);
    if (ring == nullptr) return;
    world.engine().Log(Happened::kWake, number);
    ring->AddWake();
  });
}

// ---- Control plane.

absl::StatusOr<ListenerId> SimRing::CreateListener(const Endpoint& endpoint,
                                                   const ListenerOptions& options) {
  if (is_stopped()) return HostHasStopped();
  const absl::StatusOr<ListenerId> id = listeners_.FreeId();
  if (!id.ok()) return id;
  const absl::StatusOr<SocketId> socket = network_.Listen(host_, endpoint, options);
  if (!socket.ok()) return socket.status();
  network_.Attach(*socket, this, id->index);
  listeners_[id->index].socket = *socket;
  return id;
}

absl::Status SimRing::CloseListener(ListenerId id) {
  Listener* listener = listeners_.Find(id);
  if (listener == nullptr) return StaleId("listener");
  const SocketId socket = std::exchange(listener->socket, 0);
  if (!is_stopped()) {  // else the socket is gone, and nothing completes
    CancelAccepts(*listener);
    network_.Close(socket, /*reset=*/false);
  }
  listeners_.Retire(*listener);
  return absl::OkStatus();
}

absl::StatusOr<Endpoint> SimRing::FindAddress(const AddressOf& of) {
  if (is_stopped()) return HostHasStopped();
  if (of.listener.is_set()) {
    const Listener* listener = listeners_.Find(of.listener);
    if (listener == nullptr) return StaleId("listener");
    return network_.Find(listener->socket)->local;
  }
  const Connection* connection = connections_.Find(of.connection);
  if (connection == nullptr) return StaleId("connection");
  const Socket& socket = SocketOf(*connection);
  if (!of.peer) return socket.local;
  if (socket.kind == Socket::Kind::kDatagram) {
    return absl::FailedPreconditionError("a datagram socket of a simulated world has no peer");
  }
  return socket.remote;
}

absl::StatusOr<ConnectionId> SimRing::AddConnection(SocketId socket) {
  Connection* connection = connections_.Take(ConnectionState::kOpen);
  if (connection == nullptr) {
    return AllInUse(options_.max_connections, "connections", "max_connections");
  }
  connection->socket = socket;
  const Socket& of_network = *network_.Find(socket);
  if (of_network.kind == Socket::Kind::kDatagram) connection->set(kDatagrams);
  connection->recv_shut = of_network.recv_shut;
  network_.Attach(socket, this, connections_.IndexOf(*connection));
  return connections_.IdOf(*connection);
}

// Whether the ring can take it over.
absl::Status SimRing::CheckHandle(NativeHandle handle) {
  const auto id = static_cast<SocketId>(handle);
  const Socket* socket = handle <= 0 || NativeHandle{id} != handle ? nullptr : network_.Find(id);
  if (socket == nullptr || socket->closed) {
    return absl::InvalidArgumentError(absl::StrCat(
        handle, " is no socket of the simulated world: give what UnregisterSocket returned"));
  }
  if (socket->owner == this) return AlreadyInRing(handle, absl::StrCat("slot ", socket->slot));
  if (socket->owner != nullptr || socket->kind == Socket::Kind::kListener) {
    return absl::FailedPreconditionError(
        absl::StrCat("socket ", handle, " is another ring's: unregister it there first"));
  }
  if (socket->host != host_) {
    return absl::InvalidArgumentError(absl::StrCat("socket ", handle, " is of another host"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ConnectionId> SimRing::AddSocket(const SocketSource& source) {
  if (is_stopped()) return HostHasStopped();
  if (source.local == nullptr) {
    if (absl::Status status = CheckHandle(source.handle); !status.ok()) return status;
    return AddConnection(static_cast<SocketId>(source.handle));
  }
  const absl::StatusOr<SocketId> socket = network_.OpenDatagram(host_, *source.local);
  if (!socket.ok()) return socket.status();
  absl::StatusOr<ConnectionId> id = AddConnection(*socket);
  if (!id.ok()) network_.Close(*socket, /*reset=*/false);
  return id;
}

absl::StatusOr<NativeHandle> SimRing::UnregisterSocket(ConnectionId id) {
  if (is_stopped()) return HostHasStopped();
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  if (!connection->idle()) return ConnectionInFlight();
  const SocketId socket = std::exchange(connection->socket, 0);
  network_.Attach(socket, nullptr, 0);
  FreeConnection(*connection);
  return NativeHandle{socket};
}

// ---- Turns.

uint32_t SimRing::Enter(EnterMode mode, const WaitOptions& options) {
  CHECK(mode == EnterMode::kLook || !is_stopped())
      << "the ring's host has stopped: the ring can only be destroyed";
  return DoEnter(mode, options, [this, mode](int64_t /*now_ns*/, int64_t until_ns) {
    statistics_.kernel_entries.Add(1);
    world_.WaitFor(*this, mode, until_ns);
  });
}

void SimRing::Turn() {
  now_ns_ = 0;
  if (wakes_.any()) TakeWakes();
  if (HasTimers()) RunTimers();
  if (HasSubmissions()) RunSubmissions();
  if (!ending_.empty()) RunEnding();
  if (!opened_.empty()) RunOpened();
  if (listeners_due_ != 0) {
    for (Listener& listener : listeners_) {
      if (listener.due) RunListener(listener);
    }
  }
  if (ready_.empty()) return;
  MixReady();
  RunReady();
}

// Any order of connections is one that the contract allows.
void SimRing::MixReady() {
  Engine& engine = world_.engine();
  for (uint32_t count = ready_.size(); count > 1; --count) {
    if (!engine.random().Chance(engine.faults().reorder)) continue;
    ready_.Push(connections_, ready_.Pop(connections_));
  }
}

void SimRing::RunConnection(Connection& connection) {
  if (connection.state == ConnectionState::kLingering) return RunLinger(connection);
  if (connection.has(kPollsDue)) RunPolls(connection);
  constexpr uint16_t kRecvWaits = kRecvBegun | kStalled | kRecvCancelled;
  // A receive that waits for a buffer is not tried, but may be cancelled.
  const uint16_t recv = connection.flags & kRecvWaits;
  if (recv == kRecvBegun || (recv & kRecvCancelled) != 0) RunRecv(connection);
  if (connection.has(kSendBegun)) RunSend(connection);
  if (connection.state == ConnectionState::kFree) return;  // a connect failed
  if (connection.state == ConnectionState::kClosing && connection.idle()) ContinueClose(connection);
}

void SimRing::OnSocket(uint32_t slot, uint8_t edges) {
  Connection& connection = connections_[slot];
  const bool recv_waits = (edges & kRecvEdge) != 0 && connection.has(kRecvBegun);
  const bool send_waits = (edges & kSendEdge) != 0 && connection.has(kSendBegun);
  if (connection.first_poll != 0) {
    connection.poll_edges |= edges;
    connection.set(kPollsDue);
  } else if (!recv_waits && !send_waits && connection.state != ConnectionState::kLingering) {
    return;
  }
  PushReady(connection);
}

void SimRing::RunListener(Listener& listener) {
  // So that a flood of connections leaves time for those that are there.
  constexpr int kAcceptsPerTurn = 64;
  listener.due = false;
  --listeners_due_;
  if (!listener.is_open()) return;
  for (int i = 0; !listener.accepts.empty(); ++i) {
    if (i == kAcceptsPerTurn || !HasRoom()) return MakeDue(listener);
    Operation& operation = *listener.accepts.first(operations_);
    statistics_.kernel_submissions.Add(1);
    const CallResult result = network_.Accept(*network_.Find(listener.socket));
    if (result == kWouldBlock) return;
    if (result < 0) {
      EndOperation(operation, Fail(operation.token, result, "accept"));
      continue;
    }
    uint32_t flags = 0;
    const int32_t index = AddAccepted(static_cast<SocketId>(result), &flags);
    if (operation.has(kMultishot)) {
      CompleteShot(operation, index, flags);
    } else {
      EndOperation(operation, index, flags);
    }
  }
}

// The index of the connection, or why there is none.
int32_t SimRing::AddAccepted(SocketId socket, uint32_t* flags) {
  const absl::StatusOr<ConnectionId> id = AddConnection(socket);
  if (!id.ok()) {
    network_.Close(socket, /*reset=*/false);
    return ToResult(Error::kTooManyIds);
  }
  *flags = id->generation << 16;
  return static_cast<int32_t>(id->index);
}

}  // namespace ioring::sim

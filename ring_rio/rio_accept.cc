// Listeners, accepting and connecting.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_rio/accept_pool.h"
#include "ring_rio/calls.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/sockets.h"

namespace ioring::rio {

absl::StatusOr<ListenerId> RioRing::CreateListener(const Endpoint& endpoint,
                                                   const ListenerOptions& options) {
  const absl::StatusOr<ListenerId> id = listeners_.FreeId();
  if (!id.ok()) return id;
  const absl::StatusOr<SOCKET> socket = OpenListener(endpoint, options);
  if (!socket.ok()) return socket.status();
  if (!port_->Associate(HandleOf(*socket))) {
    const int code = static_cast<int>(GetLastError());
    CloseSocket(*socket, /*reset=*/false);
    return NativeStatus(code, "the listener cannot join the ring's completion port");
  }
  Listener& listener = listeners_[id->index];
  listener.socket = *socket;
  listener.family = endpoint.family() == Endpoint::Family::kIpv6 ? AF_INET6 : AF_INET;
  listener.in_flight = 0;
  listener.pool = kAcceptsAtFirst;
  accepts_.Reserve(kAcceptsMax * static_cast<size_t>(std::count_if(
                                     listeners_.begin(), listeners_.end(),
                                     [](const Listener& each) { return each.is_open(); })));
  return id;
}

absl::Status RioRing::CloseListener(ListenerId id) {
  Listener* listener = listeners_.Find(id);
  if (listener == nullptr) return StaleId("listener");
  CancelAccepts(*listener);
  // What is in flight gives packets of an old generation.
  CloseSocket(listener->socket, /*reset=*/false);
  listener->socket = INVALID_SOCKET;
  listeners_.Retire(*listener);
  while (!listener->accepted.empty()) {
    AcceptRequest* request = listener->accepted.Pop();
    CloseSocket(request->socket, /*reset=*/false);
    accepts_.Return(request);
  }
  return absl::OkStatus();
}

// ---- Accepting.

// Keeps AcceptEx in flight; what cannot be started is told to an accept, where nothing is in
// flight that could bring one.
void RioRing::FillPool(Listener& listener, uint32_t index) {
  while (listener.in_flight < listener.pool) {
    AcceptRequest* request = accepts_.Take();
    request->listener = index;
    request->generation = listener.generation;
    request->socket = NewSocket(listener.family, SOCK_STREAM);
    int code = request->socket == INVALID_SOCKET ? WSAGetLastError() : 0;
    if (code == 0) {
      request->request.Clear();
      DWORD bytes = 0;
      statistics_.kernel_submissions.Add(1);
      if (!functions_.accept(listener.socket, request->socket, request->addresses.data(), 0,
                             AcceptRequest::kAddressBytes, AcceptRequest::kAddressBytes, &bytes,
                             &request->request.overlapped)) {
        code = WSAGetLastError();
      }
    }
    if (code == 0 || code == WSA_IO_PENDING) {
      ++listener.in_flight;
      ++requests_out_;
      continue;
    }
    if (request->socket != INVALID_SOCKET) CloseSocket(request->socket, /*reset=*/false);
    accepts_.Return(request);
    if (listener.in_flight == 0 && !listener.accepts.empty()) {
      Operation& operation = *listener.accepts.first(operations_);
      EndOperation(operation, Fail(operation.token, -CallResult{code}, "accept"));
      // The next one is told in its turn: no packet will come that runs the listener again.
      if (!listener.accepts.empty()) MakeDue(listener);
    }
    return;
  }
}

void RioRing::OnAcceptPacket(AcceptRequest& request) {
  Listener& listener = listeners_[request.listener];
  const bool current = listener.is_open() && listener.generation == request.generation;
  const bool accepted = static_cast<LONG>(request.request.overlapped.Internal) >= 0;
  if (!current || !accepted) {
    CloseSocket(request.socket, /*reset=*/false);
    accepts_.Return(&request);
    if (!current) return;
    --listener.in_flight;  // the peer was gone before it was accepted: another one comes
    return MakeDue(listener);
  }
  // Without it the socket is not connected, as far as Winsock is concerned.
  setsockopt(request.socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
             reinterpret_cast<const char*>(&listener.socket), sizeof(listener.socket));
  SetUpStream(request.socket);
  listener.accepted.Push(&request);
  MakeDue(listener);
}

// Gives connections to accepts.
void RioRing::RunListener(Listener& listener, uint32_t index) {
  listener.due = false;
  --listeners_due_;
  uint32_t taken = 0;
  while (!listener.accepted.empty() && !listener.accepts.empty()) {
    if (!HasRoom()) return MakeDue(listener);
    Operation& operation = *listener.accepts.first(operations_);
    AcceptRequest& request = *listener.accepted.Pop();
    ++taken;
    uint32_t flags = 0;
    const int32_t result = AddAccepted(request, listener, &flags);
    if (operation.has(kMultishot)) {
      CompleteShot(operation, result, flags);
    } else {
      EndOperation(operation, result, flags);
    }
  }
  if (taken == listener.pool) listener.pool = std::min(2 * listener.pool, kAcceptsMax);
  if (listener.accepts.empty()) return;
  if (!HasRoom()) return MakeDue(listener);
  FillPool(listener, index);
}

// The index of the connection, or why there is none.
int32_t RioRing::AddAccepted(AcceptRequest& request, Listener& listener, uint32_t* flags) {
  const SOCKET socket = request.socket;
  accepts_.Return(&request);
  --listener.in_flight;
  Connection* connection = connections_.Take(ConnectionState::kOpen);
  if (connection == nullptr) {
    CloseSocket(socket, /*reset=*/false);
    return ToResult(Error::kTooManyIds);
  }
  connection->socket = socket;
  connection->set(kIsStream);
  Join(*connection);
  *flags = uint32_t{connection->generation} << 16;
  return static_cast<int32_t>(connections_.IndexOf(*connection));
}

// Datagrams are received by plain calls: of an overlapped one that ends at once because a datagram
// was too long, Windows does not say whether its packet comes.
void RioRing::Join(Connection& connection) {
  by_socket_.Note(NumberOf(connection.socket), connections_.IndexOf(connection));
  if (!connection.has(kIsStream)) return;
  const HANDLE handle = HandleOf(connection.socket);
  if (!port_->Associate(handle)) return;
  connection.set(kOnPort);
  if (functions_.has_system_handles && port_->SkipDone(handle)) connection.set(kSkipsDone);
}

// ---- Connecting.

void RioRing::BeginConnect(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  connection.set(kSendBegun);
  const CallResult result = StartConnect(connection, operation.address);
  if (result != kPacketComes) return OnConnect(connection, operation, result);
  connection.send_pending = Pending::kCall;
  ++requests_out_;
}

CallResult RioRing::StartConnect(Connection& connection, const SocketAddress& address) {
  const auto last_error = [] { return -CallResult{WSAGetLastError()}; };
  connection.socket = NewSocket(address.family(), SOCK_STREAM);
  if (connection.socket == INVALID_SOCKET) return last_error();
  // ConnectEx wants a bound socket, and gives a packet only to a port.
  SocketAddress any = AnyAddress(address.family());
  if (bind(connection.socket, any.get(), any.size) != 0 || !SetUpStream(connection.socket)) {
    return last_error();
  }
  Join(connection);
  if (!connection.has(kOnPort)) return -CallResult{GetLastError()};
  statistics_.kernel_submissions.Add(1);
  const CallResult result =
      rio::StartConnect(connection.socket, functions_.connect, address, &connection.send_request);
  return result == 0 && !connection.has(kSkipsDone) ? kPacketComes : result;
}

void RioRing::OnConnect(Connection& connection, Operation& operation, CallResult result) {
  if (result < 0) {
    const bool cancelled = connection.has(kSendCancelled) && IsAborted(static_cast<int>(-result));
    return EndConnect(operation, cancelled ? ToResult(Error::kCanceled)
                                           : Fail(operation.token, result, "connect"));
  }
  // Without it getpeername and shutdown do not know of the connection.
  setsockopt(connection.socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, nullptr, 0);
  connection.state = ConnectionState::kOpen;
  const uint32_t generation = connection.generation;
  FreeHalf(connection, /*is_send=*/true);
  EndOperation(operation, static_cast<int32_t>(operation.connection), generation << 16);
}

// It failed: there is no connection.
void RioRing::EndConnect(Operation& operation, int32_t result) {
  FreeConnection(connections_[operation.connection]);
  EndOperation(operation, result);
}

}  // namespace ioring::rio

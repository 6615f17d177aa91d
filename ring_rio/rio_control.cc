// Control plane: sockets and registered memory.
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/capability.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring/ring_limits.h"
#include "ring_core/table/descriptor_index.h"
#include "ring_rio/calls.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/sockets.h"

namespace ioring::rio {

absl::StatusOr<ConnectionId> RioRing::AddConnection(SOCKET socket, bool is_stream) {
  Connection* connection = connections_.Take(ConnectionState::kOpen);
  if (connection == nullptr) {
    return AllInUse(options_.max_connections, "connections", "max_connections");
  }
  connection->socket = socket;
  if (is_stream) connection->set(kIsStream);
  Join(*connection);
  return connections_.IdOf(*connection);
}

absl::Status RioRing::RefuseOwn(SOCKET socket) {
  if (socket == INVALID_SOCKET) return absl::OkStatus();  // is refused as what it is
  const auto number_of = [this](uint32_t index) {
    const Connection& connection = connections_[index];
    const bool has_one =
        connection.state != ConnectionState::kFree && connection.socket != INVALID_SOCKET;
    return has_one ? NumberOf(connection.socket) : DescriptorIndex::kNoNumber;
  };
  const auto handle = static_cast<int64_t>(socket);
  const uint32_t index = by_socket_.Find(NumberOf(socket), 0, connections_.used_end(), number_of);
  if (index != DescriptorIndex::kNoSlot) {
    return AlreadyInRing(handle, absl::StrCat("connection ", index));
  }
  for (uint32_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].socket == socket) return AlreadyInRing(handle, absl::StrCat("listener ", i));
  }
  if (poller_->Has(socket) || accepts_.Has(socket)) return AlreadyInRing(handle, "a part of it");
  return absl::OkStatus();
}

absl::StatusOr<ConnectionId> RioRing::AddSocket(const SocketSource& source) {
  return source.local != nullptr ? MakeDatagram(*source.local)
                                 : TakeOver(static_cast<SOCKET>(source.handle));
}

absl::StatusOr<ConnectionId> RioRing::TakeOver(SOCKET socket) {
  if (absl::Status status = RefuseOwn(socket); !status.ok()) return status;
  HandedIn found;
  if (absl::Status status = LookAtSocket(socket, &found); !status.ok()) return status;
  // What is refused for want of room stays as it is: nobody could tell the mode that it had.
  const absl::StatusOr<ConnectionId> id = AddConnection(socket, found.is_stream);
  if (!id.ok()) return id;
  Connection& connection = connections_[id->index];
  if (absl::Status status = TakeOverSocket(socket, found); !status.ok()) {
    connection.socket = INVALID_SOCKET;
    FreeConnection(connection);
    return status;
  }
  connection.set(kHandedIn);
  if (found.delays) connection.set(kMadeNoDelay);
  if (Lingers(socket)) connection.set(kLingers);
  return id;
}

// The socket stays on this ring's port for good. The packets of its new owner's requests come
// there, and are dropped (IsOwn).
absl::StatusOr<NativeHandle> RioRing::UnregisterSocket(ConnectionId id) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  if (!connection->idle()) return ConnectionInFlight();
  const SOCKET socket = std::exchange(connection->socket, INVALID_SOCKET);
  if (connection->has(kHandedIn)) GiveBackSocket(socket, connection->has(kMadeNoDelay));
  FreeConnection(*connection);
  return static_cast<NativeHandle>(socket);
}

absl::StatusOr<ConnectionId> RioRing::MakeDatagram(const Endpoint& local) {
  const absl::StatusOr<SOCKET> socket = rio::OpenDatagram(local);
  if (!socket.ok()) return socket.status();
  absl::StatusOr<ConnectionId> id = AddConnection(*socket, /*is_stream=*/false);
  if (!id.ok()) CloseSocket(*socket, /*reset=*/false);
  return id;
}

absl::StatusOr<Endpoint> RioRing::FindAddress(const AddressOf& of) {
  if (of.listener.is_set()) {
    const Listener* listener = listeners_.Find(of.listener);
    if (listener == nullptr) return StaleId("listener");
    return rio::LocalEndpoint(listener->socket);
  }
  const Connection* connection = connections_.Find(of.connection);
  if (connection == nullptr) return StaleId("connection");
  return of.peer ? rio::PeerEndpoint(connection->socket) : rio::LocalEndpoint(connection->socket);
}

void RioRing::BeginShutdown(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  statistics_.kernel_submissions.Add(1);
  const CallResult result = Shutdown(connection.socket, operation.how);
  if (result == 0 && operation.how != Direction::kSend) connection.recv_shut = true;
  EndOperation(operation, result == 0 ? 0 : Fail(operation.token, result, "shutdown"));
}

bool RioRing::RegisterMemory(uint32_t slot, std::span<std::byte> memory) {
  if (!capabilities_.Has(Capability::kRegisteredBuffers)) return false;
  registered_[slot] = {rio_->Register(memory), memory.data()};
  if (registered_[slot].id != RIO_INVALID_BUFFERID) return true;
  registration_problem_ = absl::StrCat(
      "Registered I/O refuses ", memory.size(), " bytes (", NativeErrorText(WSAGetLastError()),
      "): it locks them in memory; raise the process's working set");
  statistics_.fallbacks.Add(1);
  return false;
}

}  // namespace ioring::rio

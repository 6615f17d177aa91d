// Control plane: sockets, registered memory, groups, files.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/sockets.h"

namespace ioring::rio {

absl::StatusOr<ConnectionId> RioRing::AddSocket(SOCKET socket, bool is_stream) {
  Connection* connection = connections_.Take(ConnectionState::kOpen);
  if (connection == nullptr) {
    return AllInUse(options_.max_connections, "connections", "max_connections");
  }
  connection->socket = socket;
  if (is_stream) connection->set(kIsStream);
  Join(*connection);
  return connections_.IdOf(*connection);
}

absl::StatusOr<ConnectionId> RioRing::RegisterSocket(NativeHandle handle) {
  bool is_stream = false;
  const auto socket = static_cast<SOCKET>(handle);
  absl::Status status = PrepareTakenOverSocket(socket, &is_stream);
  if (!status.ok()) return status;
  return AddSocket(socket, is_stream);
}

// The socket stays on this ring's port for good, which does no harm: there are no packets
// without requests.
absl::StatusOr<NativeHandle> RioRing::UnregisterSocket(ConnectionId id) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  if (!connection->idle()) return ConnectionInFlight();
  const SOCKET socket = std::exchange(connection->socket, INVALID_SOCKET);
  FreeConnection(*connection);
  return static_cast<NativeHandle>(socket);
}

absl::StatusOr<ConnectionId> RioRing::OpenDatagram(const Endpoint& local) {
  const absl::StatusOr<SOCKET> socket = rio::OpenDatagram(local);
  if (!socket.ok()) return socket.status();
  absl::StatusOr<ConnectionId> id = AddSocket(*socket, /*is_stream=*/false);
  if (!id.ok()) CloseSocket(*socket, /*reset=*/false);
  return id;
}

absl::StatusOr<Endpoint> RioRing::PeerEndpoint(ConnectionId id) {
  const Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  return rio::PeerEndpoint(connection->socket);
}

absl::StatusOr<Endpoint> RioRing::LocalEndpoint(ConnectionId id) {
  const Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  return rio::LocalEndpoint(connection->socket);
}

// ---- Registered memory.

absl::StatusOr<BufferId> RioRing::RegisterBuffer(const RegisteredBufferOptions& options) {
  if (absl::Status status = CheckRegisteredBuffer(options); !status.ok()) return status;
  const uint32_t slot = buffers_.FreeSlot();
  if (slot == BufferId::kNoIndex) {
    return AllInUse(buffers_.size(), "registered buffers", "max_buffers");
  }
  bool in_kernel = false;
  if (capabilities_.Has(Capability::kRegisteredBuffers)) {
    registered_[slot] = {rio_->Register(options.memory), options.memory.data()};
    in_kernel = registered_[slot].id != RIO_INVALID_BUFFERID;
    if (!in_kernel) {
      registration_problem_ =
          absl::StrCat("Registered I/O refuses ", options.memory.size(), " bytes (",
                       NativeErrorText(WSAGetLastError()),
                       "): it locks them in memory; raise the process's working set");
      statistics_.fallbacks.Add(1);
    }
  }
  return buffers_.Add(slot, options, in_kernel);
}

absl::Status RioRing::UnregisterBuffer(BufferId id) {
  if (!buffers_.IsCurrent(id)) return StaleId("buffer");
  if (buffers_.TotalUses(id) != 0) return BufferInFlight();
  if (buffers_.InKernel(id)) rio_->Deregister(registered_[id.index].id);
  buffers_.Remove(id);
  return absl::OkStatus();
}

// ---- Groups for managed receives.

RioRing::Group* RioRing::FindGroup(BufferGroupId id) {
  if (id.index >= groups_.size()) return nullptr;
  Group& group = groups_[id.index];
  return group.buffers != nullptr && group.generation == id.generation ? &group : nullptr;
}

absl::StatusOr<BufferGroupId> RioRing::RegisterBufferGroup(const BufferGroupOptions& options) {
  uint32_t index = 0;
  while (index < groups_.size() && groups_[index].buffers != nullptr) ++index;
  if (index == groups_.size()) {
    return AllInUse(groups_.size(), "buffer groups", "max_buffer_groups");
  }
  absl::StatusOr<std::unique_ptr<ManagedGroup>> buffers = ManagedGroup::Create(options);
  if (!buffers.ok()) return buffers.status();
  groups_[index].buffers = *std::move(buffers);
  return BufferGroupId{index, groups_[index].generation};
}

absl::Status RioRing::AddBuffers(BufferGroupId id, std::span<std::byte> memory) {
  Group* group = FindGroup(id);
  if (group == nullptr) return StaleId("buffer group");
  if (absl::Status status = group->buffers->AddBuffers(memory); !status.ok()) return status;
  ResumeStalled(*group);
  return absl::OkStatus();
}

absl::Status RioRing::UnregisterBufferGroup(BufferGroupId id) {
  Group* group = FindGroup(id);
  if (group == nullptr) return StaleId("buffer group");
  if (group->receives != 0 || group->buffers->taken() != 0) {
    return GroupInUse(group->receives, group->buffers->taken());
  }
  group->buffers.reset();
  ++group->generation;
  return absl::OkStatus();
}

uint32_t RioRing::FreeBuffers(BufferGroupId id) const {
  const Group* group = const_cast<RioRing*>(this)->FindGroup(id);
  return group == nullptr ? 0 : group->buffers->available();
}

// ---- Files.

absl::StatusOr<FileId> RioRing::OpenFile(const std::string& path, const FileOptions& options) {
  return files_.Open(path, options, *port_);
}

absl::Status RioRing::CloseFile(FileId id) { return files_.Close(id); }

}  // namespace ioring::rio

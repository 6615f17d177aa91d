// Control plane: listeners, sockets, registered memory, groups, files.
#include <sys/socket.h>
#include <unistd.h>

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
#include "ring_posix/calls.h"
#include "ring_posix/file_table.h"
#include "ring_posix/sockets.h"
#include "ring_readiness/readiness_core.h"

namespace ioring::readiness {

using posix::StaleId;

namespace {

constexpr posix::BlockingMode kNonBlocking = posix::BlockingMode::kNonBlocking;

}  // namespace

ReadinessCore::Listener* ReadinessCore::FindListener(ListenerId id) {
  if (id.index >= listeners_.size()) return nullptr;
  Listener& listener = listeners_[id.index];
  return listener.descriptor >= 0 && listener.generation == id.generation ? &listener : nullptr;
}

absl::StatusOr<ListenerId> ReadinessCore::CreateListener(const Endpoint& endpoint,
                                                         const ListenerOptions& options) {
  uint32_t index = 0;
  while (index < listeners_.size() && listeners_[index].descriptor >= 0) ++index;
  if (index == listeners_.size()) {
    return AllInUse(listeners_.size(), "listeners", "max_listeners");
  }
  const absl::StatusOr<int> descriptor = posix::OpenListener(endpoint, options, kNonBlocking);
  if (!descriptor.ok()) return descriptor.status();
  Listener& listener = listeners_[index];
  listener.descriptor = *descriptor;
  listener.maybe_ready = true;
  listener.watched = false;
  listener.to_watch = false;
  listener.endpoint = endpoint;
  listener.short_empties = endpoint.family() != Endpoint::Family::kUnix;
  return ListenerId{index, listener.generation};
}

absl::Status ReadinessCore::CloseListener(ListenerId id) {
  Listener* listener = FindListener(id);
  if (listener == nullptr) return StaleId("listener");
  while (!listener->accepts.empty()) CancelOperation(*listener->accepts.first(operations_));
  posix::Close(listener->descriptor, /*reset=*/false);
  listener->descriptor = -1;
  listener->maybe_ready = true;
  listener->to_watch = false;
  ++listener->generation;
  return posix::RemoveUnixPath(listener->endpoint);
}

absl::StatusOr<Endpoint> ReadinessCore::LocalEndpoint(ListenerId id) const {
  const Listener* listener = const_cast<ReadinessCore*>(this)->FindListener(id);
  if (listener == nullptr) return StaleId("listener");
  return posix::LocalEndpoint(listener->descriptor);
}

absl::StatusOr<ConnectionId> ReadinessCore::AddSocket(int descriptor, bool short_empties) {
  Connection* connection = connections_.Take(ConnectionState::kOpen, descriptor);
  if (connection == nullptr) {
    return AllInUse(options_.max_connections, "connections", "max_connections");
  }
  if (short_empties) connection->set(kShortEmpties);
  connection->set_ready(kReadyToRecv | kReadyToSend);
  return connections_.IdOf(*connection);
}

absl::StatusOr<ConnectionId> ReadinessCore::RegisterSocket(NativeHandle handle) {
  const int descriptor = static_cast<int>(handle);
  absl::Status status = posix::PrepareTakenOverSocket(descriptor, kNonBlocking);
  if (!status.ok()) return status;
  absl::StatusOr<ConnectionId> id = AddSocket(descriptor, posix::ShortRecvEmpties(descriptor));
  if (id.ok()) connections_[id->index].set(kMayLiveOn);
  return id;
}

absl::StatusOr<NativeHandle> ReadinessCore::UnregisterSocket(ConnectionId id) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  if (!connection->idle()) {
    return ConnectionInFlight();
  }
  const int descriptor = connection->descriptor;
  if (connection->has(kWatched)) ForgetDescriptor(descriptor);
  connection->descriptor = -1;
  FreeConnection(*connection);
  return NativeHandle{descriptor};
}

absl::StatusOr<ConnectionId> ReadinessCore::OpenDatagram(const Endpoint& local) {
  const absl::StatusOr<int> descriptor = posix::OpenDatagram(local, kNonBlocking);
  if (!descriptor.ok()) return descriptor.status();
  absl::StatusOr<ConnectionId> id = AddSocket(*descriptor, /*short_empties=*/false);
  if (!id.ok()) posix::Close(*descriptor, /*reset=*/false);
  return id;
}

absl::StatusOr<Endpoint> ReadinessCore::PeerEndpoint(ConnectionId id) {
  const Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  return posix::PeerEndpoint(connection->descriptor);
}

absl::StatusOr<Endpoint> ReadinessCore::LocalEndpoint(ConnectionId id) {
  const Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  return posix::LocalEndpoint(connection->descriptor);
}

absl::StatusOr<BufferId> ReadinessCore::RegisterBuffer(const RegisteredBufferOptions& options) {
  if (absl::Status status = CheckRegisteredBuffer(options); !status.ok()) return status;
  const uint32_t slot = buffers_.FreeSlot();
  if (slot == BufferId::kNoIndex) {
    return AllInUse(buffers_.size(), "registered buffers", "max_buffers");
  }
  return buffers_.Add(slot, options, /*in_kernel=*/false);
}

absl::Status ReadinessCore::UnregisterBuffer(BufferId id) {
  if (!buffers_.IsCurrent(id)) return StaleId("buffer");
  if (buffers_.TotalUses(id) != 0) {
    return BufferInFlight();
  }
  buffers_.Remove(id);
  return absl::OkStatus();
}

ReadinessCore::Group* ReadinessCore::FindGroup(BufferGroupId id) {
  if (id.index >= groups_.size()) return nullptr;
  Group& group = groups_[id.index];
  return group.buffers != nullptr && group.generation == id.generation ? &group : nullptr;
}

absl::StatusOr<BufferGroupId> ReadinessCore::RegisterBufferGroup(
    const BufferGroupOptions& options) {
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

absl::Status ReadinessCore::AddBuffers(BufferGroupId id, std::span<std::byte> memory) {
  Group* group = FindGroup(id);
  if (group == nullptr) return StaleId("buffer group");
  if (absl::Status status = group->buffers->AddBuffers(memory); !status.ok()) return status;
  ResumeStalled(*group);
  return absl::OkStatus();
}

absl::Status ReadinessCore::UnregisterBufferGroup(BufferGroupId id) {
  Group* group = FindGroup(id);
  if (group == nullptr) return StaleId("buffer group");
  if (group->receives != 0 || group->buffers->taken() != 0) {
    return GroupInUse(group->receives, group->buffers->taken());
  }
  group->buffers.reset();
  ++group->generation;
  return absl::OkStatus();
}

uint32_t ReadinessCore::FreeBuffers(BufferGroupId id) const {
  const Group* group = const_cast<ReadinessCore*>(this)->FindGroup(id);
  return group == nullptr ? 0 : group->buffers->available();
}

absl::StatusOr<FileId> ReadinessCore::OpenFile(const std::string& path,
                                               const FileOptions& options) {
  return files_.Open(path, options);
}

absl::Status ReadinessCore::CloseFile(FileId id) { return files_.Close(id); }

}  // namespace ioring::readiness

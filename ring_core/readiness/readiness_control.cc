// Control plane: listeners and sockets.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring/ring_limits.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/file.h"
#include "ring_core/posix/socket_kind.h"
#include "ring_core/posix/sockets.h"
#include "ring_core/readiness/readiness_core.h"
#include "ring_core/table/descriptor_index.h"

namespace ioring::readiness {

namespace {

constexpr posix::BlockingMode kNonBlocking = posix::BlockingMode::kNonBlocking;

}  // namespace

absl::StatusOr<ListenerId> ReadinessCore::CreateListener(const Endpoint& endpoint,
                                                         const ListenerOptions& options) {
  CheckProcess();
  const absl::StatusOr<ListenerId> id = listeners_.FreeId();
  if (!id.ok()) return id;
  absl::StatusOr<posix::BoundSocket> bound = posix::OpenListener(endpoint, options, kNonBlocking);
  if (!bound.ok()) return bound.status();
  Listener& listener = listeners_[id->index];
  listener.descriptor = bound->descriptor;
  listener.path = std::move(bound->path);
  listener.maybe_ready = true;
  listener.watched = false;
  listener.to_watch = false;
  listener.stream = posix::StreamKindOf(endpoint);
  return id;
}

absl::Status ReadinessCore::CloseListener(ListenerId id) {
  CheckProcess();
  Listener* listener = listeners_.Find(id);
  if (listener == nullptr) return StaleId("listener");
  CancelAccepts(*listener);
  absl::Status removed = listener->path.Remove();
  posix::Close(listener->descriptor, /*reset=*/false);
  listener->descriptor = -1;
  listener->maybe_ready = true;
  listener->to_watch = false;
  listeners_.Retire(*listener);
  return removed;
}

absl::StatusOr<Endpoint> ReadinessCore::FindAddress(const AddressOf& of) {
  CheckProcess();
  if (of.listener.is_set()) {
    const Listener* listener = listeners_.Find(of.listener);
    if (listener == nullptr) return StaleId("listener");
    return posix::LocalEndpoint(listener->descriptor);
  }
  const Connection* connection = connections_.Find(of.connection);
  if (connection == nullptr) return StaleId("connection");
  return of.peer ? posix::PeerEndpoint(connection->descriptor)
                 : posix::LocalEndpoint(connection->descriptor);
}

absl::StatusOr<ConnectionId> ReadinessCore::AddConnection(int descriptor, posix::SocketKind kind) {
  Connection* connection = connections_.Take(ConnectionState::kOpen);
  if (connection == nullptr) {
    return AllInUse(options_.max_connections, "connections", "max_connections");
  }
  connection->descriptor = descriptor;
  NoteDescriptor(*connection);
  connection->set_kind(kind);
  connection->set_ready(kReadyToRecv | kReadyToSend);
  return connections_.IdOf(*connection);
}

absl::Status ReadinessCore::RefuseOwn(int descriptor) {
  if (descriptor < 0) return absl::OkStatus();  // is refused as what it is
  const auto descriptor_of = [this](uint32_t index) {
    const Connection& connection = connections_[index];
    const bool has_one = connection.state != ConnectionState::kFree && connection.descriptor >= 0;
    return has_one ? static_cast<uint64_t>(connection.descriptor) : DescriptorIndex::kNoNumber;
  };
  const uint32_t index = by_descriptor_.Find(static_cast<uint64_t>(descriptor), 0,
                                             connections_.used_end(), descriptor_of);
  if (index != DescriptorIndex::kNoSlot) {
    return AlreadyInRing(descriptor, absl::StrCat("connection ", index));
  }
  for (uint32_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].is_open() && listeners_[i].descriptor == descriptor) {
      return AlreadyInRing(descriptor, absl::StrCat("listener ", i));
    }
  }
  if (files_.Has(descriptor)) return AlreadyInRing(descriptor, "a file of it");
  if (PollerHas(descriptor)) return AlreadyInRing(descriptor, "a part of it");
  return absl::OkStatus();
}

absl::StatusOr<ConnectionId> ReadinessCore::AddSocket(const SocketSource& source) {
  CheckProcess();
  if (source.local != nullptr) return MakeDatagram(*source.local);
  const absl::StatusOr<int> descriptor = posix::ToDescriptor(source.handle);
  return descriptor.ok() ? TakeOver(*descriptor) : descriptor.status();
}

absl::StatusOr<FileId> ReadinessCore::AddFile(const FileSource& source) {
  CheckProcess();
  if (source.path == nullptr) {
    const absl::StatusOr<int> descriptor = posix::ToDescriptor(source.handle);
    if (!descriptor.ok()) return descriptor.status();
    if (absl::Status status = RefuseOwn(*descriptor); !status.ok()) return status;
  }
  return files_.Add(source);
}

absl::StatusOr<ConnectionId> ReadinessCore::TakeOver(int descriptor) {
  if (absl::Status status = RefuseOwn(descriptor); !status.ok()) return status;
  posix::SocketChanges changes;
  absl::Status status =
      posix::TakeOverSocket(descriptor, posix::kTransfersAreNonBlocking, &changes);
  absl::StatusOr<ConnectionId> id =
      status.ok() ? AddConnection(descriptor, posix::KindOf(descriptor)) : status;
  if (!id.ok()) {
    posix::GiveBackSocket(descriptor, changes);
    return id;
  }
  Connection& connection = connections_[id->index];
  connection.changes = changes;
  connection.may_live_on = true;
  connection.lingers = posix::Lingers(descriptor);
  connection.set_stream(posix::StreamKindOf(descriptor));
  return id;
}

absl::StatusOr<NativeHandle> ReadinessCore::UnregisterSocket(ConnectionId id) {
  CheckProcess();
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  if (!connection->idle()) {
    return ConnectionInFlight();
  }
  const int descriptor = connection->descriptor;
  if (connection->has(kWatched) || connection->edges_watched) ForgetDescriptor(descriptor);
  connection->descriptor = -1;
  posix::GiveBackSocket(descriptor, connection->changes);
  FreeConnection(*connection);
  return NativeHandle{descriptor};
}

absl::StatusOr<ConnectionId> ReadinessCore::MakeDatagram(const Endpoint& local) {
  absl::StatusOr<posix::BoundSocket> bound = posix::OpenDatagram(local, kNonBlocking);
  if (!bound.ok()) return bound.status();
  absl::StatusOr<ConnectionId> id = AddConnection(bound->descriptor, posix::SocketKind::kDatagrams);
  if (!id.ok()) {
    bound->path.Remove().IgnoreError();  // the first error is told
    posix::Close(bound->descriptor, /*reset=*/false);
  }
  return id;
}

}  // namespace ioring::readiness

// Control plane: listeners, sockets, registered memory, groups, files.
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/ring_limits.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/file.h"
#include "ring_core/posix/file_table.h"
#include "ring_core/posix/socket_kind.h"
#include "ring_core/posix/sockets.h"
#include "ring_core/table/descriptor_index.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

// Of sockets that are made here. Those that are handed in keep their mode: receives and sends of
// io_uring wait whatever it is, unless the request says otherwise (MSG_DONTWAIT). Reads and writes,
// which transfers of registered memory are, heed it on some kernels.
constexpr posix::BlockingMode kBlocking = posix::BlockingMode::kBlocking;

}  // namespace

absl::StatusOr<ListenerId> UringRing::CreateListener(const Endpoint& endpoint,
                                                     const ListenerOptions& options) {
  CheckProcess();
  const absl::StatusOr<ListenerId> id = listeners_.FreeId();
  if (!id.ok()) return id;
  absl::StatusOr<posix::BoundSocket> bound = posix::OpenListener(endpoint, options, kBlocking);
  if (!bound.ok()) return bound.status();
  Listener& listener = listeners_[id->index];
  listener.fd = bound->descriptor;
  listener.closed = false;
  listener.path = std::move(bound->path);
  listener.stream = posix::StreamKindOf(endpoint);
  return id;
}

absl::Status UringRing::CloseListener(ListenerId id) {
  CheckProcess();
  Listener* listener = FindListener(id);
  if (listener == nullptr) return StaleId("listener");
  for (uint32_t i = 0; i < operations_.used_end(); ++i) {
    Operation& operation = operations_[i];
    const bool its_accept =
        operation.kind == OperationKind::kAccept && operation.connection == id.index;
    if (its_accept && !operation.has(uring::kCancelAsked)) Stop(operation);
  }
  // At once, although accepts in flight keep the socket's file: they end with EINVAL.
  shutdown(listener->fd, SHUT_RDWR);
  listeners_.Retire(*listener);
  listener->closed = true;
  absl::Status removed = listener->path.Remove();
  ++listener->accepts;  // until here
  DropAccept(*listener);
  return removed;
}

void UringRing::DropAccept(Listener& listener) {
  if (--listener.accepts != 0 || !listener.closed) return;
  close(listener.fd);
  listener.fd = -1;
}

absl::StatusOr<ConnectionId> UringRing::AddDescriptor(int fd) {
  const uint32_t index = connections_.open() < options_.max_connections
                             ? connections_.TakeOrdinary()
                             : ConnectionId::kNoIndex;
  if (index == ConnectionId::kNoIndex) {
    return AllInUse(options_.max_connections, "connections", "max_connections");
  }
  by_descriptor_.Note(static_cast<uint64_t>(fd), index);
  return connections_.IdOf(connections_.Open(index, fd, false));
}

// A close that was submitted may have freed the number for somebody else.
absl::Status UringRing::RefuseOwn(int fd) {
  if (fd < 0) return absl::OkStatus();  // is refused as what it is
  const auto descriptor_of = [this](uint32_t index) {
    const Connection& connection = connections_[index];
    const bool has_one = connection.state != uring::ConnectionState::kFree &&
                         connection.state != uring::ConnectionState::kCloseSubmitted &&
                         connection.descriptor >= 0;
    return has_one ? static_cast<uint64_t>(connection.descriptor) : DescriptorIndex::kNoNumber;
  };
  const uint32_t index = by_descriptor_.Find(static_cast<uint64_t>(fd), connections_.direct(),
                                             connections_.used_end(false), descriptor_of);
  if (index != DescriptorIndex::kNoSlot) {
    return AlreadyInRing(fd, absl::StrCat("connection ", index));
  }
  for (uint32_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].fd == fd) return AlreadyInRing(fd, absl::StrCat("listener ", i));
  }
  if (files_.Has(fd)) return AlreadyInRing(fd, "a file of it");
  if (fd == wake_fd_ || fd == ring_.ring_fd) return AlreadyInRing(fd, "a part of it");
  return absl::OkStatus();
}

absl::StatusOr<ConnectionId> UringRing::AddSocket(const SocketSource& source) {
  CheckProcess();
  if (source.local != nullptr) return BindDatagram(*source.local);
  const absl::StatusOr<int> descriptor = posix::ToDescriptor(source.handle);
  return descriptor.ok() ? RegisterDescriptor(*descriptor) : descriptor.status();
}

absl::StatusOr<ConnectionId> UringRing::RegisterDescriptor(int fd) {
  if (absl::Status status = RefuseOwn(fd); !status.ok()) return status;
  posix::SocketChanges changes;
  absl::Status status = posix::TakeOverSocket(fd, posix::NonBlocking::kByCall, &changes);
  absl::StatusOr<ConnectionId> id = status.ok() ? AddDescriptor(fd) : status;
  if (!id.ok()) {
    posix::GiveBackSocket(fd, changes);
    return id;
  }
  Connection& connection = connections_[id->index];
  if (changes.close_on_exec) connection.set(uring::kMadeCloseOnExec);
  if (changes.no_delay) connection.set(uring::kMadeNoDelay);
  if ((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0) connection.set(uring::kNonBlocking);
  if (posix::Lingers(fd)) connection.set(uring::kHasLinger);
  connection.stream = posix::StreamKindOf(fd);
  connection.kind = posix::KindOf(fd);
  return id;
}

absl::StatusOr<ConnectionId> UringRing::BindDatagram(const Endpoint& local) {
  absl::StatusOr<posix::BoundSocket> bound = posix::OpenDatagram(local, kBlocking);
  if (!bound.ok()) return bound.status();
  absl::StatusOr<ConnectionId> id = AddDescriptor(bound->descriptor);
  if (!id.ok()) {
    bound->path.Remove().IgnoreError();  // the first error is told
    close(bound->descriptor);
  } else {
    connections_[id->index].kind = uring::SocketKind::kDatagrams;
  }
  return id;
}

absl::StatusOr<NativeHandle> UringRing::UnregisterSocket(ConnectionId id) {
  CheckProcess();
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return StaleId("connection");
  if (connection->kernel_entries != 0 || connection->recv != Transfer::kIdle ||
      connection->send != Transfer::kIdle || connection->other_operations != 0) {
    return ConnectionInFlight();
  }
  if (!connection->has(uring::kDirect)) {
    const int fd = connection->descriptor;
    posix::GiveBackSocket(fd, connection->changes());
    UndeferConnection(*connection);  // what was to be stopped has ended by itself
    connections_.Free(*connection);
    return NativeHandle{fd};
  }
  absl::StatusOr<int> fd = InstallDescriptor(*connection);
  if (!fd.ok()) return fd.status();
  CloseSilently(*connection);  // the direct descriptor; the file lives on in `fd`
  SubmitNow();
  return NativeHandle{*fd};
}

// An operation of the ring's own, whose result is waited for. Submits what is prepared.
int UringRing::RunSynchronously(io_uring_sqe* entry) {
  entry->user_data = uring::UserData{Source::kSynchronous, 0, ++synchronous_number_}.Pack();
  synchronous_done_ = false;
  while (!synchronous_done_) {
    if (CompletionsMustBeTaken()) {
      synchronous_done_ = true;  // its late result is nobody's
      return -EBUSY;
    }
    TakePrepared();
    EnterKernel(EnterArguments{.wait_for = 1});
    Harvest();
  }
  return synchronous_result_;
}

// An ordinary descriptor of a direct one; the caller closes it.
absl::StatusOr<int> UringRing::InstallDescriptor(const Connection& connection) {
  if (IsOfAnotherThread()) {
    return absl::FailedPreconditionError(
        "the connection has no descriptor of the process, and the ring's thread alone can make "
        "one: "
        "ask there");
  }
  SubmitNow();
  if (EntrySpace() == 0 || CompletionsMustBeTaken()) {
    return absl::ResourceExhaustedError("the ring's queues are full: take completions first");
  }
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  io_uring_prep_fixed_fd_install(entry, connection.descriptor, 0);
  const int fd = RunSynchronously(entry);
  if (fd >= 0) return fd;
  return posix::ErrnoStatus(-fd, "no descriptor for the connection: raise ulimit -n");
}

absl::StatusOr<Endpoint> UringRing::FindAddress(const AddressOf& of) {
  CheckProcess();
  if (of.listener.is_set()) {
    const Listener* listener = FindListener(of.listener);
    if (listener == nullptr) return StaleId("listener");
    return posix::LocalEndpoint(listener->fd);
  }
  const auto ask = of.peer ? &posix::PeerEndpoint : &posix::LocalEndpoint;
  const Connection* connection = connections_.Find(of.connection);
  if (connection == nullptr) return StaleId("connection");
  if (!connection->has(uring::kDirect)) return ask(connection->descriptor);
  absl::StatusOr<int> fd = InstallDescriptor(*connection);
  if (!fd.ok()) return fd.status();
  absl::StatusOr<Endpoint> endpoint = ask(*fd);
  close(*fd);
  return endpoint;
}

void UringRing::NoteRegistrationProblem(int error, size_t bytes) {
  statistics_.fallbacks.Add(1);
  registration_problem_ =
      absl::StrCat("registering ", bytes, " bytes failed (", posix::ErrnoText(error), ")",
                   error == ENOMEM ? ": locked memory is short, raise ulimit -l" : "");
}

// An empty table of the kernel's, filled slot by slot.
absl::Status UringRing::EnsureBufferTable() {
  if (kernel_buffer_table_) return absl::OkStatus();
  std::vector<iovec> none(options_.max_buffers);
  std::vector<__u64> tags(options_.max_buffers);
  const int error =
      io_uring_register_buffers_tags(&ring_, none.data(), tags.data(), options_.max_buffers);
  if (error != 0) return posix::ErrnoStatus(-error, "no table of registered buffers");
  kernel_buffer_table_ = true;
  return absl::OkStatus();
}

bool UringRing::RegisterInKernel(uint32_t slot, std::span<std::byte> memory) {
  if (!EnsureBufferTable().ok()) {
    NoteRegistrationProblem(ENOMEM, memory.size());
    return false;
  }
  const iovec vector{memory.data(), memory.size()};
  const __u64 tag = 0;
  const int result = io_uring_register_buffers_update_tag(&ring_, slot, &vector, &tag, 1);
  if (result != 1) NoteRegistrationProblem(-result, memory.size());
  return result == 1;
}

absl::StatusOr<bool> UringRing::SetKernelMemory(uint32_t slot,
                                                const RegisteredBufferOptions& options) {
  if (!options.memory.empty()) {
    const bool gains = options.use == BufferUse::kAny || SocketsUseRegistrations();
    return gains && Has(Capability::kRegisteredBuffers) && RegisterInKernel(slot, options.memory);
  }
  // The kernel takes changes only from the ring's thread. When that has ended, what it holds goes
  // with the ring.
  if (IsOfAnotherThread()) return false;
  const iovec none{};
  const __u64 tag = 0;
  const int result = io_uring_register_buffers_update_tag(&ring_, slot, &none, &tag, 1);
  if (result != 1) return posix::ErrnoStatus(-result, "the kernel keeps the registered buffer");
  return false;
}

absl::StatusOr<BufferGroupId> UringRing::RegisterBufferGroup(const BufferGroupOptions& options) {
  CheckProcess();
  using Mode = uring::ProvidedGroup::Mode;
  const absl::StatusOr<BufferGroupId> id = groups_.FreeId();
  if (!id.ok()) return id;
  const auto index = static_cast<uint16_t>(id->index);
  Mode mode = Mode::kEmulated;
  if (Has(Capability::kProvidedBuffers)) {
    mode = Has(Capability::kIncrementalBuffers) ? Mode::kIncremental : Mode::kWhole;
  }
  absl::StatusOr<std::unique_ptr<uring::ProvidedGroup>> buffers =
      uring::ProvidedGroup::Create(&ring_, index, options, mode);
  if (absl::IsResourceExhausted(buffers.status()) && mode != Mode::kEmulated) {
    statistics_.fallbacks.Add(1);  // the kernel has no (locked) memory for the group's ring
    mode = Mode::kEmulated;
    buffers = uring::ProvidedGroup::Create(&ring_, index, options, mode);
  }
  if (!buffers.ok()) return buffers.status();
  groups_[index].buffers = *std::move(buffers);
  groups_[index].bundles = mode == Mode::kWhole && Has(Capability::kBundles);
  return id;
}

absl::Status UringRing::AddBuffers(BufferGroupId id, std::span<std::byte> memory) {
  CheckProcess();
  Group* group = groups_.Find(id);
  if (group == nullptr) return StaleId("buffer group");
  if (absl::Status status = group->buffers->AddBuffers(memory); !status.ok()) return status;
  ResumeStalled(*group);
  return absl::OkStatus();
}

absl::Status UringRing::UnregisterBufferGroup(BufferGroupId id) {
  CheckProcess();
  Group* group = groups_.Find(id);
  if (group == nullptr) return StaleId("buffer group");
  if (group->receives != 0 || group->buffers->taken() != 0) {
    return GroupInUse(group->receives, group->buffers->taken());
  }
  if (IsOfAnotherThread()) ForgetRegisteredRing();
  if (std::exchange(group->to_be_whole, false)) --groups_to_be_whole_;
  group->buffers.reset();
  groups_.Retire(*group);
  return absl::OkStatus();
}

uint32_t UringRing::FreeBuffers(BufferGroupId id) const {
  const Group* group = groups_.Find(id);
  return group == nullptr ? 0 : group->free_buffers();
}

absl::StatusOr<FileId> UringRing::AddFile(const FileSource& source) {
  CheckProcess();
  if (source.path == nullptr) {
    const absl::StatusOr<int> descriptor = posix::ToDescriptor(source.handle);
    if (!descriptor.ok()) return descriptor.status();
    if (absl::Status status = RefuseOwn(*descriptor); !status.ok()) return status;
  }
  const absl::StatusOr<FileId> file = files_.Add(source);
  if (file.ok()) NoteWaits(*files_.Find(*file));
  return file;
}

absl::StatusOr<NativeHandle> UringRing::FindFile(FileId file, FileUse use) {
  CheckProcess();
  return files_.FindHandle(file, use);
}

}  // namespace ioring

// ReadinessCore: the whole contract of ring/ring.h on top of non-blocking calls, but for
// sleeping, which is a poller's (ring_core/readiness/poller.h,
// ring_core/readiness/readiness_ring.h).
//
// How it works inside: as ring_core/emulated/emulated_ring.h says, where beginning an operation is
// to call what may succeed. A call that would block leaves the operation where it is, until an
// event puts its connection on the ready list.
#ifndef IORING_RING_CORE_READINESS_READINESS_CORE_H_
#define IORING_RING_CORE_READINESS_READINESS_CORE_H_

#include <errno.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/base/optimization.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/clock.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_parts.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/file_table.h"
#include "ring_core/posix/file_work.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/socket_kind.h"
#include "ring_core/posix/work_threads.h"
#include "ring_core/readiness/connection_table.h"
#include "ring_core/readiness/listener.h"
#include "ring_core/readiness/operation.h"
#include "ring_core/readiness/poller.h"
#include "ring_core/table/descriptor_index.h"
#include "ring_core/table/linger_table.h"
#include "ring_core/table/slot_list.h"

namespace ioring::readiness {

struct ReadinessTypes {
  using Connection = readiness::Connection;
  using Operation = readiness::Operation;
  using Listener = readiness::Listener;
  using FileTable = posix::FileTable;
  using Address = posix::SocketAddress;
};

class ReadinessCore : public emulated::EmulatedRing<ReadinessCore, ReadinessTypes> {
 public:
  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) final;
  absl::Status CloseListener(ListenerId listener) final;
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) final;

  // What a poller calls (PollerSink).
  void OnReady(WatchKey key, uint8_t ready_bits);
  void OnEdge(WatchKey key, uint8_t edges);
  void OnWatchFailed(WatchKey key, int error);
  void OnWake() {}  // the turn that follows looks for what it is about

 protected:
  // `options` must have passed CheckRingOptions. `poller` is the backend's name. `bell` makes
  // the poller's wait return; any thread calls it, until EndThreads.
  ReadinessCore(const RingOptions& options, std::string_view poller,
                absl::AnyInvocable<void() const> bell);
  ~ReadinessCore() override;

  // Checks that nothing is in flight and ends the threads: first thing of a destructor, while
  // what the bell needs is there still. The child of a fork has none of either.
  void EndThreads();

  // Poller::Forget.
  virtual void ForgetDescriptor(int descriptor) = 0;
  // Poller::Has.
  virtual bool PollerHas(int descriptor) const = 0;
  // Poller::kTellsEdges; else the other two are the poller's.
  virtual bool TellsEdges() const = 0;
  virtual int WatchEdges(int descriptor, WatchKey key) = 0;
  virtual void ForgetEdges(int descriptor) = 0;

  void Turn();
  // Something could be done in a further turn at once.
  bool HasWork() const { return EmulatedRing::HasWork() || files_done_ != nullptr; }
  // Gives the poller what is to be watched.
  template <typename P>
  void WatchNew(P& poller) {
    while (!to_watch_.empty()) {
      Connection& connection = to_watch_.Pop(connections_);
      connection.clear(kOnWatchList);
      connection.set(kWatched);
      const WatchKey key = KeyOf(connection);
      const int error = poller.Watch(connection.descriptor, key);
      if (error != 0) OnWatchFailed(key, error);
    }
    if (!listeners_to_watch_) return;
    listeners_to_watch_ = false;
    for (uint32_t i = 0; i < listeners_.size(); ++i) {
      if (!listeners_[i].to_watch) continue;
      listeners_[i].to_watch = false;
      const int error = poller.Watch(listeners_[i].descriptor, KeyOfListener(i));
      if (error != 0) OnWatchFailed(KeyOfListener(i), error);
    }
  }

 private:
  friend EmulatedRing;

  // Watch keys: a listener's have the top bit set.
  WatchKey KeyOf(const Connection& connection) const {
    return uint64_t{connection.generation} << 32 | connections_.IndexOf(connection);
  }
  static constexpr WatchKey kListenerKey = uint64_t{1} << 63;
  WatchKey KeyOfListener(uint32_t index) const {
    return kListenerKey | uint64_t{listeners_[index].generation} << 32 | index;
  }

  // What EmulatedRing asks for.
  static int64_t ClockNanos() { return NowNanos(); }
  static constexpr CallResult kWouldBlock = -EAGAIN;
  static constexpr CallResult kWasCancelled = -ECANCELED;
  static constexpr CallResult kTooLong = -EMSGSIZE;
  static bool ToAddress(const Endpoint& endpoint, Address* address) {
    return posix::ToSocketAddress(endpoint, address);
  }
  static Endpoint ToEndpoint(const Address& address) {
    return posix::FromSocketAddress(address.get(), address.size);
  }
  static void SetUpTransfer(Connection& /*connection*/, uint32_t /*length*/,
                            TransferTraits /*traits*/, bool /*is_send*/, Operation* /*operation*/) {
  }
  static void SetUpConnect(Connection& connection, const Endpoint& endpoint) {
    connection.set_stream(posix::StreamKindOf(endpoint));
  }
  static void SetUpPoll(Operation& operation, PollEvents events) {
    operation.poll = {.events = events, .due = false};
  }
  static void SetUpFile(Operation& operation, const File& file,
                        const request::FileTransfer& transfer) {
    operation.file = posix::MakeTransfer(file.descriptor, transfer);
  }
  static void SetUpParts(Operation& operation, const File& file,
                         const request::FileParts& transfer) {
    operation.file = posix::MakeTransfer(file.descriptor, transfer);
  }
  void SetUpCall(Operation& operation, const request::FileCall& call, const File* first,
                 const File* second);
  void SetUpOpen(Operation& operation, const request::Open& open, const File* directory);
  void SetUpWork(Operation& operation, const request::Work& work);
  void SetUpClose(Operation& operation, File& file);
  static bool RegisterMemory(uint32_t /*slot*/, std::span<std::byte> /*memory*/) { return false; }
  static void DeregisterMemory(uint32_t /*slot*/) {}

  // Turns: readiness_turn.cc.
  void RunConnection(Connection& connection);
  void FailWaiting(Connection& connection);
  void RunListener(Listener& listener);
  void TakeFileResults();
  // It is run again when there is an event.
  void WaitForEvents(Connection& connection) {
    if (ABSL_PREDICT_FALSE((connection.flags & (kWatched | kOnWatchList)) == 0)) {
      WatchLater(connection);
    }
  }
  void WatchLater(Connection& connection);

  // Transfers: readiness_transfer.cc.
  void RunRecv(Connection& connection);
  void RunSend(Connection& connection);
  void RunPlainRecv(Connection& connection);
  // What a receive says of the next one: nothing is left when it would have blocked, or when a
  // TCP socket gave less than was asked for and no end was announced (poller.h).
  CallResult TryRecv(Connection& connection, std::byte* data, uint32_t bytes) {
    if (ABSL_PREDICT_FALSE(connection.has_messages())) {
      return TryRecvMessage(connection, data, bytes);
    }
    const CallResult result = posix::Recv(connection.descriptor, data, bytes);
    const bool is_short = result > 0 && result < CallResult{bytes} &&
                          connection.has(kShortEmpties) &&
                          (connection.ready & kShortProvesNothing) == 0;
    if (is_short || result == kWouldBlock) connection.clear_ready(kReadyToRecv);
    return result;
  }
  CallResult TryRecvMessage(Connection& connection, std::byte* data, uint32_t bytes);
  CallResult NothingOrEnd(Connection& connection, CallResult result);
  CallResult TryPeek(Connection& connection);
  void WaitToRecv(Connection& connection) { WaitForEvents(connection); }
  void AfterShot(Connection& connection, bool /*is_full*/) {
    if ((connection.ready & kReadyToRecv) != 0) return PushReady(connection);
    WaitForEvents(connection);
  }
  void RunTransferAll(Connection& connection, Operation& operation, bool is_send);
  void RunRecvFrom(Connection& connection, Operation& operation);
  void RunSendTo(Connection& connection, Operation& operation);
  void WaitToSendTo(Connection& connection, Operation& operation);

  // The operation table: readiness_operation.cc.
  void BeginConnect(Operation& operation);
  void RunConnect(Connection& connection, Operation& operation);
  void OnConnectCall(Connection& connection, Operation& operation, CallResult result);
  void ConnectLater(Operation& operation);
  void TryNextConnect(const posix::SocketAddress& address);
  void EndConnect(Operation& operation, int32_t result);
  int32_t AddAccepted(int descriptor, const Listener& listener, uint32_t* flags);
  void BeginPoll(Operation& operation);
  bool LookAtPoll(Operation& operation);
  void BeginMultishotPoll(Operation& operation);
  void BeginEdges(Operation& operation);
  static bool Concerns(uint8_t edges, const Operation& operation);
  void RunPolls(Connection& connection);
  void BeginShutdown(Operation& operation);
  void OnTimer(Operation& operation);
  void BeginFile(Operation& operation);
  static bool IsTransfer(const Operation& operation) {
    return operation.kind == OperationKind::kRead || operation.kind == OperationKind::kWrite;
  }
  void OnFile(Operation& operation);
  void OnTransfer(Operation& operation);
  void OnOpen(Operation& operation, int32_t result);

  // Cancelling and closing: readiness_cancel.cc.
  bool Stop(Connection& connection, bool is_send);
  bool CancelPoll(Operation& operation);
  bool CancelFile(Operation& operation);
  static bool IsStream(const Connection& connection) {
    return connection.stream != posix::StreamKind::kNone;
  }
  bool SendEnd(Connection& connection);
  CallResult DropUnread(Connection& connection);
  Acknowledged AllAcknowledged(Connection& connection);
  void WaitForPeer(Connection& connection) { WaitForEvents(connection); }
  void FreeConnection(Connection& connection);

  // Control plane: readiness_control.cc.
  absl::StatusOr<ConnectionId> AddSocket(const SocketSource& source) final;
  absl::StatusOr<Endpoint> FindAddress(const AddressOf& of) final;
  absl::StatusOr<FileId> AddFile(const FileSource& source) final;
  absl::StatusOr<NativeHandle> FindFile(FileId file, FileUse use) final {
    CheckProcess();
    return files_.FindHandle(file, use);
  }
  absl::StatusOr<ConnectionId> TakeOver(int descriptor);
  absl::StatusOr<ConnectionId> MakeDatagram(const Endpoint& local);
  absl::StatusOr<ConnectionId> AddConnection(int descriptor, posix::SocketKind kind);
  absl::Status RefuseOwn(int descriptor);
  // The connection has its descriptor from now on.
  void NoteDescriptor(const Connection& connection) {
    by_descriptor_.Note(static_cast<uint64_t>(connection.descriptor),
                        connections_.IndexOf(connection));
  }

  DescriptorIndex by_descriptor_;
  posix::FileWorkPool works_;
  posix::WorkThreads threads_;
  posix::WorkItem* files_done_ = nullptr;  // those for which there was no room
  SlotList<Connection, &Connection::next_watch> to_watch_;
  bool listeners_to_watch_ = false;
  // Connects that have found a listener's queue full. Their `delay_ns` is not 0.
  SlotList<Operation, &Operation::next> waiting_connects_;
};

}  // namespace ioring::readiness

// In readiness_core.cc.
extern template class ioring::emulated::EmulatedRing<ioring::readiness::ReadinessCore,
                                                     ioring::readiness::ReadinessTypes>;

#endif  // IORING_RING_CORE_READINESS_READINESS_CORE_H_

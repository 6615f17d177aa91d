// SimRing: a ring of a simulated host. Programs get it from SimulatedWorld::CreateRing
// (ring_sim/simulated_world.h), as a Ring.
//
// How it works inside: as ring_core/emulated/emulated_ring.h says. Calls of a simulated system are
// calls of the world's network and disk, none of which blocks. The network tells of every change;
// what waits is tried again then. A wait lets the world go on.
#ifndef IORING_RING_SIM_SIM_RING_H_
#define IORING_RING_SIM_SIM_RING_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_parts.h"
#include "ring_core/table/linger_table.h"
#include "ring_core/table/slot_list.h"
#include "ring_sim/descriptors.h"
#include "ring_sim/disk.h"
#include "ring_sim/network.h"
#include "ring_sim/socket.h"
#include "ring_sim/tables.h"

namespace ioring::sim {

class World;

struct SimTypes {
  using Connection = sim::Connection;
  using Operation = sim::Operation;
  using Listener = sim::Listener;
  using FileTable = sim::FileTable;
  using Address = Endpoint;
};

class SimRing final : public emulated::EmulatedRing<SimRing, SimTypes>, private SocketOwner {
 public:
  // `options` must have passed CheckRingOptions. `number` is its name in the world.
  SimRing(World& world, HostId host, uint32_t number, const RingOptions& options);
  ~SimRing() override;

  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) override;
  absl::Status CloseListener(ListenerId listener) override;
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) override;
  void Wake() override;

  // ---- For the world.

  HostId host() const { return host_; }
  uint32_t number() const { return number_; }
  // Its host has: nothing that is in flight completes, or uses memory. What is registered may be
  // unregistered, and the ring destroyed.
  void Stop() {
    is_abandoned_ = true;
    buffers_.DropAllUses();
  }
  bool is_stopped() const { return is_abandoned_; }
  // Its program is in a wait.
  bool is_waiting() const { return is_waiting_; }
  void set_waiting(bool waiting) { is_waiting_ = waiting; }
  // A turn would do something.
  bool HasNews() const { return HasWork() || wakes_.any() || !opened_.empty(); }
  // Something is to be submitted.
  bool HasPrepared() const { return SubmissionQueueSpace() != submission_space_; }
  using EmulatedRing::NextTimer;
  // A wake has arrived.
  void AddWake() { wakes_.Add(); }
  // The disk has done it, if it was not cancelled in the meantime.
  void OnFile(uint32_t index, uint16_t generation);

 private:
  friend EmulatedRing;

  using CallResult = sim::CallResult;

  // What EmulatedRing asks for.
  int64_t ClockNanos() const;
  static constexpr CallResult kWouldBlock = sim::kWouldBlock;
  static constexpr CallResult kWasCancelled = Failed(Error::kCanceled);
  static constexpr CallResult kTooLong = Failed(Error::kMessageTooLong);
  static bool ToAddress(const Endpoint& endpoint, Endpoint* address) {
    *address = endpoint;
    return endpoint.family() != Endpoint::Family::kNone;
  }
  static Endpoint ToEndpoint(const Endpoint& address) { return address; }
  static void SetUpTransfer(Connection& /*connection*/, uint32_t /*length*/,
                            TransferTraits /*traits*/, bool /*is_send*/, Operation* /*operation*/) {
  }
  static void SetUpConnect(Connection& /*connection*/, const Endpoint& /*endpoint*/) {}
  static void SetUpPoll(Operation& operation, PollEvents events) {
    operation.poll = {.events = events, .due = false};
  }
  // Of files: sim_file.cc.
  static void SetUpFile(Operation& operation, FileSlot& file,
                        const request::FileTransfer& transfer);
  static void SetUpParts(Operation& operation, FileSlot& file, const request::FileParts& parts);
  static void SetUpCall(Operation& operation, const request::FileCall& call, FileSlot* first,
                        FileSlot* second);
  static void SetUpOpen(Operation& operation, const request::Open& open, FileSlot* directory);
  static void SetUpWork(Operation& operation, const request::Work& work);
  static void SetUpClose(Operation& operation, FileSlot& file);
  static bool RegisterMemory(uint32_t /*slot*/, std::span<std::byte> /*memory*/) { return false; }
  static void DeregisterMemory(uint32_t /*slot*/) {}

  // SocketOwner.
  void OnSocket(uint32_t slot, uint8_t edges) override;
  void OnListener(uint32_t slot) override { MakeDue(listeners_[slot]); }

  Socket& SocketOf(const Connection& connection) { return *network_.Find(connection.socket); }

  // Turns.
  uint32_t Enter(EnterMode mode, const WaitOptions& options) override;
  void Turn();
  void MixReady();
  void RunConnection(Connection& connection);
  void RunListener(Listener& listener);
  int32_t AddAccepted(SocketId socket, uint32_t* flags);

  // Transfers: sim_transfer.cc.
  bool IsLateCancel();
  void RunRecv(Connection& connection);
  void TakeBytes(Connection& connection);
  void RunSend(Connection& connection);
  void GiveBytes(Connection& connection);
  void RunTransferAll(Connection& connection, Operation& operation, bool is_send);
  void RunRecvFrom(Connection& connection, Operation& operation);
  void RunSendTo(Connection& connection, Operation& operation);
  CallResult TryRecv(Connection& connection, std::byte* data, uint32_t bytes) {
    statistics_.kernel_submissions.Add(1);
    return network_.Recv(SocketOf(connection), data, bytes);
  }
  CallResult TrySend(Connection& connection, const std::byte* data, uint32_t bytes);
  CallResult TryPeek(Connection& connection) { return network_.Peek(SocketOf(connection)); }
  static void WaitToRecv(Connection& /*connection*/) {}
  void AfterShot(Connection& connection, bool /*is_full*/) { PushReady(connection); }

  // Other operations: sim_operation.cc.
  void BeginConnect(Operation& operation);
  void RunConnect(Connection& connection, Operation& operation);
  void EndConnect(Operation& operation, int32_t result);
  void BeginShutdown(Operation& operation);
  void BeginPoll(Operation& operation);
  bool LookAtPoll(Operation& operation);
  void RunPolls(Connection& connection);

  // Operations of files: sim_file.cc.
  void BeginFile(Operation& operation);
  CallResult RunFile(Operation& operation);
  void RunOpen(Operation& operation);
  void RunOpened();
  bool CancelFile(Operation& operation);

  // Cancelling and closing: sim_operation.cc.
  bool Stop(Connection& connection, bool is_send);
  bool CancelPoll(Operation& operation);
  static bool IsStream(const Connection& connection) { return !connection.has_messages(); }
  bool SendEnd(Connection& connection);
  CallResult DropUnread(Connection& connection);
  Acknowledged AllAcknowledged(Connection& connection);
  static void WaitForPeer(Connection& /*connection*/) {}
  void FreeConnection(Connection& connection);

  // Control plane.
  absl::StatusOr<ConnectionId> AddSocket(const SocketSource& source) override;
  absl::StatusOr<Endpoint> FindAddress(const AddressOf& of) override;
  absl::StatusOr<FileId> AddFile(const FileSource& source) override;
  absl::StatusOr<NativeHandle> FindFile(FileId file, FileUse use) override;
  absl::StatusOr<FileId> AddDescriptor(NativeHandle handle);
  absl::Status CheckHandle(NativeHandle handle);
  absl::StatusOr<ConnectionId> AddConnection(SocketId socket);

  World& world_;
  Network& network_;
  Disk& disk_;
  Descriptors& descriptors_;
  const HostId host_;
  const uint32_t number_;
  const uint32_t submission_space_;               // where nothing is prepared
  SlotList<Operation, &Operation::next> opened_;  // opens that are to complete
  bool is_waiting_ = false;
};

}  // namespace ioring::sim

// In sim_ring.cc.
extern template class ioring::emulated::EmulatedRing<ioring::sim::SimRing, ioring::sim::SimTypes>;

#endif  // IORING_RING_SIM_SIM_RING_H_

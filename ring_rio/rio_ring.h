// RioRing: the ring of Windows, over one completion port; with or without Registered I/O.
//
// How it works inside: as ring_core/emulated/emulated_ring.h says. What Windows keeps gives a
// packet to the port, and the packet goes on with it. Packets for whose completions there is no
// room stay in the port.
//
// What is a completion on Windows, and what is done here:
//  - Receives into the caller's memory are overlapped calls; what is there already comes at
//    once, without a packet. Cancelling one takes no bytes with it.
//  - Sends are made at once. What does not fit waits for the socket to be writable, because an
//    overlapped send that is cancelled does not say how many of its bytes left.
//  - Managed receives and polls wait for readiness: an overlapped receive of no bytes, or a poll
//    of the socket (ring_rio/socket_poll.h).
//  - Registered I/O transfers slices of registered memory. It cannot cancel a request, and the
//    contract is kept so: a receive is handed to it when there is something to receive, so that
//    it ends at once; a send that it has is past stopping (kNotFound), like a zero-copy send,
//    until its connection is closed, which drops it. A kAll transfer that is cancelled ends with
//    the piece that Registered I/O has.
//  - A socket that another ring's port has (Windows cannot change that) is polled and called.
//  - Reads and writes of files are overlapped calls, one for each part; a few threads make what
//    Windows has only as calls that block (ring_rio/file_call.h).
//  - A handle for overlapped calls has no position of its own. The ring keeps one, and transfers at
//    kOwnPosition of one file take turns. Pipes have none, and are read and written as they are.
//  - A wait sleeps in whole milliseconds, rounded up.
#ifndef IORING_RING_RIO_RIO_RING_H_
#define IORING_RING_RIO_RIO_RING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/buffer_table.h"
#include "ring/clock.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_parts.h"
#include "ring_core/table/descriptor_index.h"
#include "ring_core/table/linger_table.h"
#include "ring_core/table/slot_list.h"
#include "ring_rio/accept_pool.h"
#include "ring_rio/calls.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/connection_table.h"
#include "ring_rio/file_table.h"
#include "ring_rio/file_work.h"
#include "ring_rio/listener.h"
#include "ring_rio/operation.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/rio_queue.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/sockets.h"
#include "ring_rio/work_threads.h"

namespace ioring::rio {

struct RioTypes {
  using Connection = rio::Connection;
  using Operation = rio::Operation;
  using Listener = rio::Listener;
  using FileTable = rio::FileTable;
  using Address = SocketAddress;
};

class RioRing final : public emulated::EmulatedRing<RioRing, RioTypes> {
 public:
  // With the system's Registered I/O ("rio"); Unimplemented where it has none.
  static absl::StatusOr<std::unique_ptr<RioRing>> CreateRio(const RingOptions& options);
  // The same over another table of functions: a fake's.
  static absl::StatusOr<std::unique_ptr<RioRing>> CreateRio(const RingOptions& options,
                                                            const RioFunctions& functions);
  // Without it ("iocp").
  static absl::StatusOr<std::unique_ptr<RioRing>> CreateIocp(const RingOptions& options);
  ~RioRing() override;

  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) override;
  absl::Status CloseListener(ListenerId listener) override;
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) override;

  void Wake() override;

  // Requests that Windows has: OVERLAPPEDs and requests of Registered I/O, those of idle
  // listeners included. For tests.
  uint32_t RequestsOutstanding() const {
    return requests_out_ + (rio_ != nullptr ? rio_->in_flight() : 0);
  }

 private:
  friend EmulatedRing;

  // What a plain or kAll transfer is to move next.
  struct Piece {
    std::byte* data;
    uint32_t length;
    uint32_t unit;  // of registered memory that Registered I/O may transfer, or kNoUnit
  };
  struct RegisteredMemory {
    RIO_BUFFERID id;
    std::byte* data;
  };
  // What a packet may push: an operation's end, its deadline's, and a close's.
  static constexpr uint32_t kPerPacket = 4;
  static constexpr uint32_t kPacketsMax = 64;
  // AcceptEx in flight per listener: more, when all of them have brought something in one turn.
  static constexpr uint32_t kAcceptsAtFirst = 8;
  static constexpr uint32_t kAcceptsMax = 64;

  RioRing(const RingOptions& options, std::unique_ptr<CompletionPort> port,
          std::unique_ptr<SocketPoller> poller, const SocketFunctions& functions);
  static absl::StatusOr<std::unique_ptr<RioRing>> Create(const RingOptions& options,
                                                         const RioFunctions* functions);
  void Report();

  // What EmulatedRing asks for; the rest is below.
  static int64_t ClockNanos() { return NowNanos(); }
  static constexpr CallResult kWouldBlock = -WSAEWOULDBLOCK;
  static constexpr CallResult kWasCancelled = -ERROR_OPERATION_ABORTED;
  static constexpr CallResult kTooLong = -WSAEMSGSIZE;
  static bool ToAddress(const Endpoint& endpoint, Address* address) {
    return ToSocketAddress(endpoint, address);
  }
  static Endpoint ToEndpoint(const Address& address) {
    return FromSocketAddress(address.get(), address.size);
  }
  void SetUpTransfer(Connection& connection, uint32_t length, TransferTraits traits, bool is_send,
                     Operation* operation);
  static void SetUpConnect(Connection& connection, const Endpoint& /*endpoint*/) {
    connection.set(kIsStream);
  }
  void SetUpPoll(Operation& operation, PollEvents events);
  void SetUpFile(Operation& operation, const FileTable::File& file,
                 const request::FileTransfer& transfer);
  void SetUpParts(Operation& operation, const FileTable::File& file,
                  const request::FileParts& transfer);
  void SetUpCall(Operation& operation, const request::FileCall& call, const FileTable::File* first,
                 const FileTable::File* second);
  void SetUpOpen(Operation& operation, const request::Open& open, const FileTable::File* directory);
  void SetUpWork(Operation& operation, const request::Work& work);
  void SetUpClose(Operation& operation, FileTable::File& file);

  // Turns, waiting and packets: rio_wait.cc.
  void Turn();
  void RunConnection(Connection& connection);
  uint32_t Enter(EnterMode mode, const WaitOptions& options) override;
  void TakePackets(int64_t now_ns, int64_t until_ns);
  bool IsOwn(const OVERLAPPED* overlapped) const;
  void OnPacket(const OVERLAPPED_ENTRY& packet);
  void OnRecvPacket(Connection& connection, const OVERLAPPED_ENTRY& packet);
  void OnSendPacket(Connection& connection, const OVERLAPPED_ENTRY& packet);
  void AfterPacket(Connection& connection);

  // Transfers: rio_transfer.cc.
  void RunRecv(Connection& connection);
  void RunSend(Connection& connection);
  void RunStreamRecv(Connection& connection);
  void RunStreamSend(Connection& connection);
  void RunRecvFrom(Connection& connection, Operation& operation);
  void RunSendTo(Connection& connection, Operation& operation);
  // A receive after receiving was shut down finds the end, which Windows calls a failure. Whoever
  // had the socket before may have shut it down.
  static CallResult OrEnd(Connection& connection, CallResult result) {
    if (result != -WSAESHUTDOWN) return result;
    connection.recv_shut = true;
    return 0;
  }
  Piece NextPiece(Connection& connection, bool is_send) const;
  bool OnTransferred(Connection& connection, bool is_send, CallResult result);
  CallResult TryRecv(Connection& connection, std::byte* data, uint32_t bytes);
  CallResult TryPeek(Connection& connection);
  void WaitToRecv(Connection& connection) { WaitReadable(connection); }
  void AfterShot(Connection& connection, bool is_full);
  void WaitReadable(Connection& connection);
  void WaitWritable(Connection& connection);
  bool StartPollOf(Connection& connection, bool is_send, uint32_t events);
  void FreeHalf(Connection& connection, bool is_send);

  // Registered I/O: rio_registered.cc.
  bool UsesRio(Connection& connection, const Piece& piece);
  bool StartRio(Connection& connection, bool is_send, const Piece& piece);
  RIO_BUF SliceOf(const Piece& piece) const;
  void CommitLater(Connection& connection, RequestFlags direction);
  void Commit(Connection& connection);
  void CommitAll();
  void TakeRioResults();
  void OnRioResult(const RIORESULT& result);

  // Listeners, accepting and connecting: rio_accept.cc.
  void FillPool(Listener& listener, uint32_t index);
  void OnAcceptPacket(AcceptRequest& request);
  int32_t AddAccepted(AcceptRequest& request, Listener& listener, uint32_t* flags);
  void RunListener(Listener& listener, uint32_t index);
  void BeginConnect(Operation& operation);
  CallResult StartConnect(Connection& connection, const SocketAddress& address);
  void OnConnect(Connection& connection, Operation& operation, CallResult result);
  void EndConnect(Operation& operation, int32_t result);
  void Join(Connection& connection);

  // Shutdowns and polls: rio_control.cc, rio_poll.cc.
  void BeginShutdown(Operation& operation);
  void BeginPoll(Operation& operation);
  void StartPoll(Operation& operation);
  void OnPollPacket(Operation& operation);
  bool CancelPoll(Operation& operation);
  void LookAgain(Connection& connection, PollEvents events);

  // Files: rio_file.cc.
  void SetUpRequest(Operation& operation);
  FileWork& SetUpFileWork(Operation& operation, const FileTable::File* first,
                          const FileTable::File* second);
  void BeginFile(Operation& operation);
  static bool IsTransfer(const Operation& operation);
  static bool Moves(const Operation& operation, const FileTable::File& file);
  CallResult StartPiece(Operation& operation);
  bool GoesOn(const Operation& operation) const;
  void OnTransferPacket(Operation& operation, const OVERLAPPED_ENTRY& packet);
  void EndFileTransfer(Operation& operation, CallResult result);
  void MovePosition(const Operation& operation, CallResult result);
  void BeginFileWork(Operation& operation);
  void OnFilePacket(Operation& operation, const OVERLAPPED_ENTRY& packet);
  void EndWork(Operation& operation, int32_t result, const char* what);
  void EndOpening(Operation& operation, const FileWork& work);
  bool CancelFile(Operation& operation);

  // Cancelling and closing: rio_cancel.cc.
  bool Stop(Connection& connection, bool is_send);
  void BeginClose(Connection& connection);
  static bool IsStream(const Connection& connection) { return connection.has(kIsStream); }
  bool SendEnd(Connection& connection);
  CallResult DropUnread(Connection& connection);
  Acknowledged AllAcknowledged(Connection& connection);
  // It is looked at by the clock alone: a request of it would have to be taken back first.
  static void WaitForPeer(Connection& /*connection*/) {}
  void CloseNow(Connection& connection);
  void FreeConnection(Connection& connection);

  // Control plane: rio_control.cc.
  absl::StatusOr<ConnectionId> AddSocket(const SocketSource& source) override;
  absl::StatusOr<Endpoint> FindAddress(const AddressOf& of) override;
  absl::StatusOr<FileId> AddFile(const FileSource& source) override {
    return files_.Add(source, *port_);
  }
  absl::StatusOr<NativeHandle> FindFile(FileId file, FileUse use) override {
    return files_.FindHandle(file, use);
  }
  absl::StatusOr<ConnectionId> TakeOver(SOCKET socket);
  absl::StatusOr<ConnectionId> MakeDatagram(const Endpoint& local);
  absl::StatusOr<ConnectionId> AddConnection(SOCKET socket, bool is_stream);
  absl::Status RefuseOwn(SOCKET socket);
  // Handles are multiples of four.
  static uint64_t NumberOf(SOCKET socket) { return uint64_t{socket} / 4; }
  bool RegisterMemory(uint32_t slot, std::span<std::byte> memory);
  void DeregisterMemory(uint32_t slot) { rio_->Deregister(registered_[slot].id); }

  const std::unique_ptr<CompletionPort> port_;
  const std::unique_ptr<SocketPoller> poller_;
  const SocketFunctions functions_;
  Request notify_{};
  std::unique_ptr<RioQueue> rio_;       // null: without Registered I/O
  bool socket_rio_ = false;             // sockets use it for registered memory
  const uint32_t rio_threshold_bytes_;  // ... for slices of at least this size
  uint32_t requests_out_ = 0;           // OVERLAPPEDs that Windows has
  DescriptorIndex by_socket_;
  FileWorkPool works_;
  WorkThreads threads_{*port_};

  std::vector<RegisteredMemory> registered_;
  AcceptPool accepts_;
  SlotList<Connection, &Connection::next_commit> to_commit_;
  std::array<OVERLAPPED_ENTRY, kPacketsMax> packets_;
  std::array<RIORESULT, kPacketsMax> rio_results_;
};

}  // namespace ioring::rio

// In rio_ring.cc.
extern template class ioring::emulated::EmulatedRing<ioring::rio::RioRing, ioring::rio::RioTypes>;

namespace ioring {

using RioRing = rio::RioRing;

}  // namespace ioring

#endif  // IORING_RING_RIO_RIO_RING_H_

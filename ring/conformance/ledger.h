// LedgerRing: a ring that passes everything on to another and keeps books on it.
//
// For the conformance suite, so that every test proves the rules of ring/ring.h that hold
// always: each accepted operation yields exactly one final completion (rule 1), no
// completion comes for what was never prepared, Prepare enters no kernel and changes
// nothing when it refuses, a managed buffer is never given out twice, and the figures of
// InFlight and GetStatistics are the true ones. A breach is a failure of the running
// test. Owns the ring it wraps. Threads: as the wrapped ring.
#ifndef IORING_RING_CONFORMANCE_LEDGER_H_
#define IORING_RING_CONFORMANCE_LEDGER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {

class LedgerRing : public Ring {
 public:
  // `options`: what `ring` was made with.
  LedgerRing(std::unique_ptr<Ring> ring, const RingOptions& options);
  ~LedgerRing() override;

  // ---- What the books say.

  // Operations that were accepted and whose final completion was not taken.
  uint64_t OpenOperations() const { return open_; }
  // Calls of Wake, and how many of them completions stood for.
  uint64_t WakeCalls() const { return wake_calls_.load(std::memory_order_relaxed); }
  uint64_t WakesSeen() const { return wakes_seen_; }
  // Buffers that were taken and not given back.
  const std::vector<ManagedBuffer>& HeldBuffers() const { return held_; }
  // Compares the books with what the ring says. For a ring at rest.
  void CheckAtRest();
  // Gives the wrapped ring up without destroying it: for one that did not come to rest.
  void Abandon();

  // ---- Ring: passed on.

  std::string_view BackendName() const override { return ring_->BackendName(); }
  const CapabilityReport& Capabilities() const override { return ring_->Capabilities(); }
  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) override {
    return ring_->CreateListener(endpoint, options);
  }
  absl::Status CloseListener(ListenerId listener) override {
    return ring_->CloseListener(listener);
  }
  absl::StatusOr<Endpoint> LocalEndpoint(ListenerId listener) const override {
    return ring_->LocalEndpoint(listener);
  }
  absl::StatusOr<ConnectionId> RegisterSocket(NativeHandle handle) override {
    return ring_->RegisterSocket(handle);
  }
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) override {
    return ring_->UnregisterSocket(connection);
  }
  absl::StatusOr<ConnectionId> OpenDatagram(const Endpoint& local) override {
    return ring_->OpenDatagram(local);
  }
  absl::StatusOr<Endpoint> PeerEndpoint(ConnectionId connection) override {
    return ring_->PeerEndpoint(connection);
  }
  absl::StatusOr<Endpoint> LocalEndpoint(ConnectionId connection) override {
    return ring_->LocalEndpoint(connection);
  }
  absl::StatusOr<BufferId> RegisterBuffer(const RegisteredBufferOptions& options) override {
    return ring_->RegisterBuffer(options);
  }
  absl::Status UnregisterBuffer(BufferId buffer) override {
    return ring_->UnregisterBuffer(buffer);
  }
  bool IsKernelRegistered(BufferId buffer) const override {
    return ring_->IsKernelRegistered(buffer);
  }
  std::string_view RegistrationProblem() const override { return ring_->RegistrationProblem(); }
  uint32_t UsesInFlight(BufferId buffer, uint32_t offset) const override {
    return ring_->UsesInFlight(buffer, offset);
  }
  absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) override;
  absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) override;
  absl::Status UnregisterBufferGroup(BufferGroupId group) override;
  uint32_t FreeBuffers(BufferGroupId group) const override { return ring_->FreeBuffers(group); }
  absl::StatusOr<FileId> OpenFile(const std::string& path, const FileOptions& options) override {
    return ring_->OpenFile(path, options);
  }
  absl::Status CloseFile(FileId file) override { return ring_->CloseFile(file); }

  Prepared PrepareAccept(ListenerId listener, Shots shots, Token token) override;
  Prepared PrepareConnect(const Endpoint& endpoint, Token token) override;
  Prepared PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                       TransferFlags flags = TransferFlags::kNone) override;
  Prepared PrepareSend(ConnectionId connection, std::span<const std::byte> memory, Token token,
                       TransferFlags flags = TransferFlags::kNone) override;
  Prepared PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                             TransferFlags flags = TransferFlags::kNone) override;
  Prepared PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                             TransferFlags flags = TransferFlags::kNone) override;
  Prepared PrepareRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                              Token token) override;
  Prepared PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory, Endpoint* source,
                           Token token) override;
  Prepared PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                         const Endpoint& destination, Token token) override;
  Prepared PrepareShutdown(ConnectionId connection, Direction direction, Token token) override;
  Prepared PrepareClose(ConnectionId connection, CloseMode mode, Token token) override;
  Prepared PreparePollAdd(ConnectionId connection, PollEvents events, Shots shots,
                          Token token) override;
  Prepared PreparePollRemove(Token target, Token token) override;
  Prepared PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token) override;
  Prepared PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token) override;
  Prepared PrepareDeadline(std::chrono::nanoseconds delay, Token token) override;
  Prepared PrepareCancel(Token target, Token token) override;
  Prepared PrepareCancelConnection(ConnectionId connection, Direction direction,
                                   Token token) override;
  Prepared PrepareCancelAll(Token token) override;
  Prepared PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory,
                       Token token) override;
  Prepared PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                        Token token) override;
  Prepared PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                             Token token) override;
  Prepared PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                              Token token) override;
  Prepared PrepareSync(FileId file, SyncMode mode, Token token) override;
  Prepared PrepareNop(Token token) override;

  uint32_t SubmissionQueueSpace() const override { return ring_->SubmissionQueueSpace(); }
  uint32_t Submit() override { return ring_->Submit(); }
  using Ring::SubmitAndWait;
  uint32_t SubmitAndWait(const WaitOptions& options) override {
    return ring_->SubmitAndWait(options);
  }
  uint32_t WaitCompletions(const WaitOptions& options) override {
    return ring_->WaitCompletions(options);
  }
  void Wake() override;
  uint32_t CompletionQueueCount() const override { return ring_->CompletionQueueCount(); }
  std::span<const Completion> PeekCompletions() override;
  void AdvanceCompletionQueue(size_t count) override;
  ManagedBuffer TakeBuffer(const Completion& completion) override;
  void ReturnBuffer(const ManagedBuffer& buffer) override;
  std::string ExplainError(const Completion& completion) const override {
    return ring_->ExplainError(completion);
  }
  Statistics GetStatistics() const override { return ring_->GetStatistics(); }
  uint32_t InFlight() const override { return ring_->InFlight(); }

 private:
  enum class Kind : uint8_t { kOther, kRecv, kManaged, kSend, kRead, kWrite };
  // What is known of a token.
  struct Account {
    Kind kind = Kind::kOther;
    uint64_t open = 0;            // operations whose final completion is to come
    uint64_t open_many = 0;       // those of them that may have completions before it
    uint64_t memory_to_come = 0;  // sends whose memory is not free yet
  };
  struct Group {
    BufferGroupId id;
    std::vector<std::span<std::byte>> memory;
  };

  template <typename Prepare>
  Prepared Book(Token token, Kind kind, Shots shots, Prepare prepare);
  void BookCompletion(const Completion& completion);
  void BookWake(const Completion& completion);
  void CheckFlags(const Completion& completion, Account& account);
  void CountBytes(const Completion& completion, Kind kind);
  void CheckBuffer(const Completion& completion, const ManagedBuffer& buffer);
  // The first breaches of a test tell enough.
  void Breach(const std::string& what);

  std::unique_ptr<Ring> ring_;
  const RingOptions options_;
  absl::flat_hash_map<uint64_t, Account> accounts_;
  std::vector<Group> groups_;
  std::vector<ManagedBuffer> held_;
  std::span<const Completion> view_;
  std::atomic<uint64_t> wake_calls_{0};
  uint64_t wakes_seen_ = 0;
  uint64_t wake_completions_ = 0;
  uint64_t open_ = 0;
  uint64_t accepted_ = 0;
  uint64_t refused_ = 0;
  uint64_t completions_ = 0;
  // What the completions say; bytes_... and nothing else are used.
  Statistics bytes_;
  int breaches_ = 0;
};

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_LEDGER_H_

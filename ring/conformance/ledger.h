// LedgerRing: a ring that passes everything on to another and keeps books on it.
//
// For the conformance suite, so that every test proves the rules of ring/ring.h that hold
// always: each accepted operation yields exactly one final completion (rule 1), no
// completion comes for what was never prepared, Prepare enters no kernel and changes
// nothing when it refuses, a managed buffer is never given out twice, a deadline ends after
// its operation and never strikes early, and the figures of InFlight and GetStatistics are
// the true ones. A breach is a failure of the running test. Owns the ring it wraps, and has
// the state of that one. Looks after each call at the completions that the call has pushed.
// Threads: as the wrapped ring.
#ifndef IORING_RING_CONFORMANCE_LEDGER_H_
#define IORING_RING_CONFORMANCE_LEDGER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/ring.h"
#include "ring/ring_backend.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {

class LedgerRing : public Ring {
 public:
  // `options`: what `ring` was made with.
  LedgerRing(std::unique_ptr<Ring> ring, const RingOptions& options);
  ~LedgerRing() override;

  // ---- What the books say.

  // Calls of Wake, and how many of them completions stand for.
  uint64_t WakeCalls() const { return wake_calls_.load(std::memory_order_relaxed); }
  uint64_t WakesSeen() const { return wakes_seen_; }
  // Buffers that completions brought and that were not given back. Where the completion queue is
  // empty, all of them were taken.
  const std::vector<ManagedBuffer>& BuffersOut() const { return buffers_out_; }
  // Compares the books with what the ring says. For a ring at rest.
  void CheckAtRest();
  // Gives the wrapped ring up without destroying it: for one that did not come to rest.
  void Abandon();

  // ---- Ring: passed on.

  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) override;
  absl::Status CloseListener(ListenerId listener) override;
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) override;
  absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) override;
  absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) override;
  absl::Status UnregisterBufferGroup(BufferGroupId group) override;
  uint32_t FreeBuffers(BufferGroupId group) const override { return ring_->FreeBuffers(group); }
  uint32_t SubmissionQueueSpace() const override { return ring_->SubmissionQueueSpace(); }
  void Wake() override;
  void ReturnBuffer(const ManagedBuffer& buffer) override;

 protected:
  Prepared StartRecv(ConnectionId connection, std::span<std::byte> memory, TransferTraits traits,
                     Token token) override;
  Prepared StartSend(ConnectionId connection, std::span<std::byte> memory, TransferTraits traits,
                     Token token) override;
  Prepared StartRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                            Token token) override;
  Prepared Start(const Request& request, Token token) override;
  uint32_t Enter(EnterMode mode, const WaitOptions& options) override;
  absl::StatusOr<ConnectionId> AddSocket(const SocketSource& source) override;
  absl::StatusOr<Endpoint> FindAddress(const AddressOf& of) override;
  absl::StatusOr<FileId> AddFile(const FileSource& source) override {
    return backend().AddFile(source);
  }
  absl::StatusOr<NativeHandle> FindFile(FileId file, FileUse use) override {
    return backend().FindFile(file, use);
  }
  absl::StatusOr<bool> SetKernelMemory(uint32_t slot,
                                       const RegisteredBufferOptions& options) override;

 private:
  using Time = std::chrono::steady_clock::time_point;
  enum class Kind : uint8_t {
    kOther,
    kRecv,
    kManaged,
    kSend,
    kRead,
    kManagedRead,
    kWrite,
    kSendFile,
  };
  // What is known of a token.
  struct Account {
    Kind kind = Kind::kOther;
    uint64_t open = 0;            // operations whose final completion is to come
    uint64_t open_many = 0;       // those of them that may have completions before it
    uint64_t memory_to_come = 0;  // sends whose memory is not free yet
    uint64_t ended = 0;           // operations whose final completion came
  };
  // What is known of a deadline that alone has its token, by that.
  struct DeadlineAccount {
    // The token that it is on, where one operation had it or none; and the account's `ended` then.
    std::optional<uint64_t> target;
    uint64_t target_ended = 0;
    bool had_target = false;
    bool may_be_canceled = false;
    std::chrono::nanoseconds delay{0};
    // It does not strike before this time and the delay have passed.
    Time since;
  };
  struct Group {
    BufferGroupId id;
    std::vector<std::span<std::byte>> memory;
  };

  RingBackend& backend() { return BackendOf(*ring_); }
  // Passes a control-plane call on, which may submit.
  template <typename Call>
  auto Pass(Call call);
  // Passes a Prepare on, and opens an account where it was accepted.
  template <typename Prepare>
  Prepared Book(Token token, Kind kind, Shots shots, Prepare prepare);
  void CheckRefusal(Prepared prepared, Kind kind, uint32_t space_before, uint32_t in_flight_before);
  void BookDeadline(const request::Deadline& deadline, Token token);
  void BookCancel(const request::Target& target);

  // Looks at what was pushed since the last time, which was at `earliest` or later.
  void Observe(Time earliest);
  void BookCompletion(const Completion& completion, Time earliest);
  void BookWake(const Completion& completion);
  void BookBuffer(const Completion& completion, const ManagedBuffer& buffer);
  void CheckFlags(const Completion& completion, Account& account);
  void CountBytes(const Completion& completion, Kind kind);
  void RestartDeadlines(Token token, Time earliest);
  void CheckDeadline(const Completion& completion);
  // The first breaches of a test tell enough.
  void Breach(const std::string& what);

  std::unique_ptr<Ring> ring_;
  const RingOptions options_;
  absl::flat_hash_map<uint64_t, Account> accounts_;
  absl::flat_hash_map<uint64_t, DeadlineAccount> deadlines_;
  std::vector<Group> groups_;
  std::vector<ManagedBuffer> buffers_out_;
  uint32_t observed_ = 0;  // of CompletionQueue::pushed()
  std::atomic<uint64_t> wake_calls_{0};
  uint64_t wakes_seen_ = 0;
  uint64_t wake_completions_ = 0;
  uint64_t open_ = 0;
  uint64_t accepted_ = 0;
  uint64_t refused_ = 0;
  uint64_t completions_ = 0;
  uint64_t send_files_in_flight_ = 0;  // where their tokens are theirs alone
  bool sends_files_ = false;           // has prepared a request::SendFile
  // What the completions say; bytes_... and nothing else are used.
  Statistics bytes_;
  int breaches_ = 0;
};

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_LEDGER_H_

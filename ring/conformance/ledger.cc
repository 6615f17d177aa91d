#include "ring/conformance/ledger.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr int kBreachesShown = 5;

std::string Describe(const Completion& completion) {
  return absl::StrCat("a completion with token ", completion.token.value, ", result ",
                      completion.result, " (", ErrorName(completion.error()), ") and flags ",
                      completion.flags);
}

bool Overlap(const ManagedBuffer& a, const ManagedBuffer& b) {
  const std::less<const std::byte*> before;
  return before(a.data, b.data + b.size) && before(b.data, a.data + a.size);
}

bool LiesIn(const ManagedBuffer& buffer, std::span<const std::byte> memory) {
  const std::less_equal<const std::byte*> at_most;
  return at_most(memory.data(), buffer.data) &&
         at_most(buffer.data + buffer.size, memory.data() + memory.size());
}

bool IsSame(const ManagedBuffer& a, const ManagedBuffer& b) {
  return a.data == b.data && a.size == b.size && a.group_index == b.group_index &&
         a.buffer == b.buffer;
}

}  // namespace

LedgerRing::LedgerRing(std::unique_ptr<Ring> ring, const RingOptions& options)
    : ring_(std::move(ring)), options_(options) {
  CHECK(ring_ != nullptr);
}

LedgerRing::~LedgerRing() = default;

void LedgerRing::Abandon() { static_cast<void>(ring_.release()); }

void LedgerRing::Breach(const std::string& what) {
  if (++breaches_ <= kBreachesShown) ADD_FAILURE() << what;
}

template <typename Prepare>
Prepared LedgerRing::Book(Token token, Kind kind, Shots shots, Prepare prepare) {
  const uint32_t space_before = ring_->SubmissionQueueSpace();
  const uint32_t in_flight_before = ring_->InFlight();
  const uint64_t entries_before = ring_->GetStatistics().kernel_entries;
  const Prepared prepared = prepare();
  if (ring_->GetStatistics().kernel_entries != entries_before) {
    Breach("Prepare entered the kernel (rule 1)");
  }
  const uint32_t in_flight = ring_->InFlight();
  if (prepared != Prepared::kAccepted) {
    ++refused_;
    const uint32_t space = ring_->SubmissionQueueSpace();
    if (space != space_before || in_flight != in_flight_before) {
      Breach(absl::StrCat("Prepare returned ", PreparedName(prepared),
                          " and changed something (rule 1)"));
    }
    const bool is_true = prepared == Prepared::kSubmissionQueueFull
                             ? space == 0
                             : space != 0 && in_flight >= options_.max_operations;
    if (!is_true) {
      Breach(absl::StrCat("Prepare returned ", PreparedName(prepared), " with room for ", space,
                          " operations and ", in_flight, " of ", options_.max_operations,
                          " in flight (rule 1)"));
    }
    return prepared;
  }
  // Equal where the completion is in the queue already.
  if (in_flight != in_flight_before && in_flight != in_flight_before + 1) {
    Breach(absl::StrCat("Prepare raised InFlight from ", in_flight_before, " to ", in_flight));
  }
  ++accepted_;
  ++open_;
  Account& account = accounts_[token.value];
  account.kind = kind;
  ++account.open;
  if (shots == Shots::kMany || kind == Kind::kSend) ++account.open_many;
  return Prepared::kAccepted;
}

Prepared LedgerRing::PrepareAccept(ListenerId listener, Shots shots, Token token) {
  return Book(token, Kind::kOther, shots,
              [&] { return ring_->PrepareAccept(listener, shots, token); });
}

Prepared LedgerRing::PrepareConnect(const Endpoint& endpoint, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareConnect(endpoint, token); });
}

Prepared LedgerRing::PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                                 TransferFlags flags) {
  return Book(token, Kind::kRecv, Shots::kOne,
              [&] { return ring_->PrepareRecv(connection, memory, token, flags); });
}

Prepared LedgerRing::PrepareSend(ConnectionId connection, std::span<const std::byte> memory,
                                 Token token, TransferFlags flags) {
  return Book(token, Kind::kSend, Shots::kOne,
              [&] { return ring_->PrepareSend(connection, memory, token, flags); });
}

Prepared LedgerRing::PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice,
                                       Token token, TransferFlags flags) {
  return Book(token, Kind::kRecv, Shots::kOne,
              [&] { return ring_->PrepareRecvBuffer(connection, slice, token, flags); });
}

Prepared LedgerRing::PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice,
                                       Token token, TransferFlags flags) {
  return Book(token, Kind::kSend, Shots::kOne,
              [&] { return ring_->PrepareSendBuffer(connection, slice, token, flags); });
}

Prepared LedgerRing::PrepareRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                                        Token token) {
  return Book(token, Kind::kManaged, shots,
              [&] { return ring_->PrepareRecvManaged(connection, group, shots, token); });
}

Prepared LedgerRing::PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory,
                                     Endpoint* source, Token token) {
  return Book(token, Kind::kRecv, Shots::kOne,
              [&] { return ring_->PrepareRecvFrom(socket, memory, source, token); });
}

Prepared LedgerRing::PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                                   const Endpoint& destination, Token token) {
  return Book(token, Kind::kSend, Shots::kOne,
              [&] { return ring_->PrepareSendTo(socket, memory, destination, token); });
}

Prepared LedgerRing::PrepareShutdown(ConnectionId connection, Direction direction, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareShutdown(connection, direction, token); });
}

Prepared LedgerRing::PrepareClose(ConnectionId connection, CloseMode mode, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareClose(connection, mode, token); });
}

Prepared LedgerRing::PreparePollAdd(ConnectionId connection, PollEvents events, Shots shots,
                                    Token token) {
  return Book(token, Kind::kOther, shots,
              [&] { return ring_->PreparePollAdd(connection, events, shots, token); });
}

Prepared LedgerRing::PreparePollRemove(Token target, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PreparePollRemove(target, token); });
}

Prepared LedgerRing::PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token) {
  return Book(token, Kind::kOther, shots,
              [&] { return ring_->PrepareTimeout(delay, shots, token); });
}

Prepared LedgerRing::PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareTimeoutAt(time, token); });
}

Prepared LedgerRing::PrepareDeadline(std::chrono::nanoseconds delay, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareDeadline(delay, token); });
}

Prepared LedgerRing::PrepareCancel(Token target, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareCancel(target, token); });
}

Prepared LedgerRing::PrepareCancelConnection(ConnectionId connection, Direction direction,
                                             Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareCancelConnection(connection, direction, token); });
}

Prepared LedgerRing::PrepareCancelAll(Token token) {
  return Book(token, Kind::kOther, Shots::kOne, [&] { return ring_->PrepareCancelAll(token); });
}

Prepared LedgerRing::PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory,
                                 Token token) {
  return Book(token, Kind::kRead, Shots::kOne,
              [&] { return ring_->PrepareRead(file, offset, memory, token); });
}

Prepared LedgerRing::PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                                  Token token) {
  return Book(token, Kind::kWrite, Shots::kOne,
              [&] { return ring_->PrepareWrite(file, offset, memory, token); });
}

Prepared LedgerRing::PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                       Token token) {
  return Book(token, Kind::kRead, Shots::kOne,
              [&] { return ring_->PrepareReadBuffer(file, offset, slice, token); });
}

Prepared LedgerRing::PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                        Token token) {
  return Book(token, Kind::kWrite, Shots::kOne,
              [&] { return ring_->PrepareWriteBuffer(file, offset, slice, token); });
}

Prepared LedgerRing::PrepareSync(FileId file, SyncMode mode, Token token) {
  return Book(token, Kind::kOther, Shots::kOne,
              [&] { return ring_->PrepareSync(file, mode, token); });
}

Prepared LedgerRing::PrepareNop(Token token) {
  return Book(token, Kind::kOther, Shots::kOne, [&] { return ring_->PrepareNop(token); });
}

absl::StatusOr<BufferGroupId> LedgerRing::RegisterBufferGroup(const BufferGroupOptions& options) {
  absl::StatusOr<BufferGroupId> group = ring_->RegisterBufferGroup(options);
  if (group.ok()) groups_.push_back(Group{*group, {options.memory}});
  return group;
}

absl::Status LedgerRing::AddBuffers(BufferGroupId group, std::span<std::byte> memory) {
  const absl::Status status = ring_->AddBuffers(group, memory);
  if (!status.ok()) return status;
  for (Group& known : groups_) {
    if (known.id == group) known.memory.push_back(memory);
  }
  return status;
}

absl::Status LedgerRing::UnregisterBufferGroup(BufferGroupId group) {
  const absl::Status status = ring_->UnregisterBufferGroup(group);
  if (status.ok()) std::erase_if(groups_, [&](const Group& known) { return known.id == group; });
  return status;
}

// Also called by signal handlers: nothing but a lock-free counter of its own.
void LedgerRing::Wake() {
  wake_calls_.fetch_add(1, std::memory_order_relaxed);
  ring_->Wake();
}

std::span<const Completion> LedgerRing::PeekCompletions() {
  view_ = ring_->PeekCompletions();
  if (view_.size() > ring_->CompletionQueueCount()) {
    Breach(absl::StrCat("PeekCompletions shows ", view_.size(), " completions, but the count is ",
                        ring_->CompletionQueueCount()));
  }
  if (view_.empty() && ring_->CompletionQueueCount() != 0) {
    Breach("PeekCompletions shows nothing, but the count is not 0");
  }
  return view_;
}

void LedgerRing::AdvanceCompletionQueue(size_t count) {
  CHECK(count <= view_.size());
  for (const Completion& completion : view_.first(count)) BookCompletion(completion);
  view_ = view_.subspan(count);
  ring_->AdvanceCompletionQueue(count);
  if (ring_->CompletionQueueCount() == 0 && ring_->InFlight() != open_) {
    Breach(absl::StrCat("InFlight is ", ring_->InFlight(), " with an empty completion queue, but ",
                        open_, " operations are open"));
  }
}

void LedgerRing::BookCompletion(const Completion& completion) {
  ++completions_;
  const auto found = accounts_.find(completion.token.value);
  if (found == accounts_.end() || found->second.open == 0) {
    if (completion.token == options_.wake_token) return BookWake(completion);
    return Breach(
        absl::StrCat(Describe(completion), " belongs to no operation in flight (rule 1)"));
  }
  Account& account = found->second;
  if (completion.error() == Error::kUnknown) {
    Breach(absl::StrCat(Describe(completion), " has an error that no table knows (rule 3)"));
  }
  if (completion.result <= -kErrorCount) {
    Breach(absl::StrCat(Describe(completion), " has an error that is none (rule 3)"));
  }
  CheckFlags(completion, account);
  CountBytes(completion, account.kind);
  if (completion.more()) return;
  --account.open;
  --open_;
  if (account.open_many > account.open) --account.open_many;
}

void LedgerRing::BookWake(const Completion& completion) {
  ++wake_completions_;
  wakes_seen_ += static_cast<uint64_t>(std::max(completion.result, 0));
  if (completion.result <= 0 || completion.flags != 0) {
    Breach(absl::StrCat("a wake's completion counts calls and has no flags, but came as ",
                        Describe(completion)));
  }
  if (wakes_seen_ > WakeCalls()) {
    Breach(absl::StrCat("completions stand for ", wakes_seen_, " calls of Wake, but there were ",
                        WakeCalls()));
  }
}

void LedgerRing::CheckFlags(const Completion& completion, Account& account) {
  if (completion.more() && account.open_many == 0) {
    Breach(absl::StrCat(Describe(completion), " says kMore of an operation with one completion"));
  }
  const bool has_buffer = (completion.flags & kBuffer) != 0;
  if (has_buffer && account.kind != Kind::kManaged) {
    Breach(absl::StrCat(Describe(completion), " has kBuffer, but is no managed receive's"));
  }
  if (!has_buffer && account.kind == Kind::kManaged && completion.result > 0) {
    Breach(absl::StrCat(Describe(completion), " brought bytes without a buffer"));
  }
  const bool is_recv = account.kind == Kind::kRecv || account.kind == Kind::kManaged;
  if ((completion.flags & kEmptyDatagram) != 0 && (!is_recv || completion.result != 0)) {
    Breach(absl::StrCat(Describe(completion), " is no receive of an empty datagram"));
  }
  const bool memory_free = (completion.flags & kMemoryFree) != 0;
  if (account.kind != Kind::kSend) {
    if (memory_free) Breach(absl::StrCat(Describe(completion), " is no send's"));
    return;
  }
  if (completion.more()) ++account.memory_to_come;
  if (!memory_free) return;
  if (completion.more() || completion.result != 0 || account.memory_to_come == 0) {
    Breach(absl::StrCat(Describe(completion), " is no second completion of a send"));
  } else {
    --account.memory_to_come;
  }
}

void LedgerRing::CountBytes(const Completion& completion, Kind kind) {
  const auto bytes = static_cast<uint64_t>(std::max(completion.result, 0));
  switch (kind) {
    case Kind::kOther:
      break;
    case Kind::kRecv:
    case Kind::kManaged:
      bytes_.bytes_received += bytes;
      break;
    case Kind::kSend:
      bytes_.bytes_sent += bytes;
      break;
    case Kind::kRead:
      bytes_.bytes_read += bytes;
      break;
    case Kind::kWrite:
      bytes_.bytes_written += bytes;
      break;
  }
}

ManagedBuffer LedgerRing::TakeBuffer(const Completion& completion) {
  const ManagedBuffer buffer = ring_->TakeBuffer(completion);
  CheckBuffer(completion, buffer);
  held_.push_back(buffer);
  return buffer;
}

void LedgerRing::CheckBuffer(const Completion& completion, const ManagedBuffer& buffer) {
  const auto bytes = static_cast<uint32_t>(std::max(completion.result, 0));
  if (buffer.size != bytes) {
    Breach(absl::StrCat("a managed buffer has ", buffer.size, " bytes, but came with ",
                        Describe(completion)));
  }
  if (buffer.size == 0) return;
  const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& known) {
    return known.id.index == buffer.group_index;
  });
  const auto holds = [&](std::span<const std::byte> memory) { return LiesIn(buffer, memory); };
  if (group == groups_.end() || std::none_of(group->memory.begin(), group->memory.end(), holds)) {
    return Breach("a managed buffer does not lie in its group's memory");
  }
  for (const ManagedBuffer& other : held_) {
    if (Overlap(buffer, other)) return Breach("memory that the caller still holds was given again");
  }
}

void LedgerRing::ReturnBuffer(const ManagedBuffer& buffer) {
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [&](const ManagedBuffer& held) { return IsSame(held, buffer); });
  CHECK(found != held_.end()) << "a test returned a buffer that it does not hold";
  held_.erase(found);
  ring_->ReturnBuffer(buffer);
}

void LedgerRing::CheckAtRest() {
  EXPECT_EQ(ring_->InFlight(), 0u) << "rule 12";
  EXPECT_EQ(ring_->CompletionQueueCount(), 0u);
  EXPECT_EQ(open_, 0u) << "operations that had no final completion (rule 1)";
  for (const auto& [token, account] : accounts_) {
    if (account.open == 0) continue;
    Breach(absl::StrCat(account.open, " operations with token ", token,
                        " have had no final completion (rule 1)"));
  }
  const Statistics statistics = ring_->GetStatistics();
  EXPECT_EQ(statistics.submissions, accepted_);
  EXPECT_EQ(statistics.completions, completions_);
  EXPECT_EQ(statistics.submission_queue_full, refused_);
  EXPECT_EQ(statistics.wakes, wake_completions_);
  EXPECT_EQ(statistics.bytes_received, bytes_.bytes_received);
  EXPECT_EQ(statistics.bytes_sent, bytes_.bytes_sent);
  EXPECT_EQ(statistics.bytes_read, bytes_.bytes_read);
  EXPECT_EQ(statistics.bytes_written, bytes_.bytes_written);
}

}  // namespace ioring

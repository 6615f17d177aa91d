#include "ring/conformance/ledger.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/completion_queue.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/ring.h"
#include "ring/ring_backend.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

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

// Whether an operation may have more completions than one because it was prepared as multishot.
Shots ShotsOf(const Request& request) {
  if (const auto* accept = std::get_if<request::Accept>(&request)) return accept->shots;
  if (const auto* poll = std::get_if<request::Poll>(&request)) return poll->shots;
  if (const auto* timer = std::get_if<request::Timer>(&request)) return timer->shots;
  return Shots::kOneShot;
}

// Why there is no deadline.
bool IsDeadlineRefusal(Error error) {
  return error == Error::kBusy || error == Error::kNotFound || error == Error::kBadId ||
         error == Error::kInvalidArgument;
}

bool IsSame(const ManagedBuffer& a, const ManagedBuffer& b) {
  return a.data == b.data && a.size == b.size && a.group_index == b.group_index &&
         a.buffer == b.buffer;
}

}  // namespace

LedgerRing::LedgerRing(std::unique_ptr<Ring> ring, const RingOptions& options)
    : Ring(StateOf(*ring)),
      ring_(std::move(ring)),
      options_(options),
      observed_(QueueOf(*this).pushed()) {}

LedgerRing::~LedgerRing() = default;

void LedgerRing::Abandon() { static_cast<void>(ring_.release()); }

void LedgerRing::Breach(const std::string& what) {
  if (++breaches_ <= kBreachesShown) ADD_FAILURE() << what;
}

// ---- Preparing.

void LedgerRing::CheckRefusal(Prepared prepared, Kind kind, uint32_t space_before,
                              uint32_t in_flight_before) {
  const uint32_t space = SubmissionQueueSpace();
  const uint32_t in_flight = InFlight();
  if (space != space_before || in_flight != in_flight_before) {
    Breach(absl::StrCat("Prepare returned ", PreparedName(prepared),
                        " and changed something (rule 1)"));
  }
  // Where it sends a file, it may need two places of the table, as those may have that are sent.
  const uint64_t places =
      in_flight + send_files_in_flight_ + (kind == Kind::kSendFile ? uint64_t{1} : 0);
  const bool is_true = prepared == Prepared::kSubmissionQueueFull
                           ? space == 0
                           : space != 0 && places >= options_.max_operations;
  if (!is_true) {
    Breach(absl::StrCat("Prepare returned ", PreparedName(prepared), " with room for ", space,
                        " operations and ", in_flight, " of ", options_.max_operations,
                        " in flight (rule 1)"));
  }
}

template <typename Prepare>
Prepared LedgerRing::Book(Token token, Kind kind, Shots shots, Prepare prepare) {
  const uint32_t space_before = SubmissionQueueSpace();
  const uint32_t in_flight_before = InFlight();
  const uint64_t entries_before = GetStatistics().kernel_entries;
  const Prepared prepared = prepare();
  if (GetStatistics().kernel_entries != entries_before) {
    Breach("Prepare entered the kernel (rule 1)");
  }
  if (prepared != Prepared::kAccepted) {
    ++refused_;
    CheckRefusal(prepared, kind, space_before, in_flight_before);
    return prepared;
  }
  // Equal where the completion is in the queue already.
  const uint32_t in_flight = InFlight();
  if (in_flight != in_flight_before && in_flight != in_flight_before + 1) {
    Breach(absl::StrCat("Prepare raised InFlight from ", in_flight_before, " to ", in_flight));
  }
  ++accepted_;
  ++open_;
  if (kind == Kind::kSendFile) {
    ++send_files_in_flight_;
    sends_files_ = true;
  }
  Account& account = accounts_[token.value];
  account.kind = kind;
  ++account.open;
  if (shots == Shots::kMultishot || kind == Kind::kSend) ++account.open_many;
  return Prepared::kAccepted;
}

Prepared LedgerRing::StartRecv(ConnectionId connection, std::span<std::byte> memory,
                               TransferTraits traits, Token token) {
  const Time before = steady_clock::now();
  const Prepared prepared = Book(token, Kind::kRecv, Shots::kOneShot, [&] {
    return backend().StartRecv(connection, memory, traits, token);
  });
  Observe(before);
  return prepared;
}

Prepared LedgerRing::StartSend(ConnectionId connection, std::span<std::byte> memory,
                               TransferTraits traits, Token token) {
  const Time before = steady_clock::now();
  const Prepared prepared = Book(token, Kind::kSend, Shots::kOneShot, [&] {
    return backend().StartSend(connection, memory, traits, token);
  });
  Observe(before);
  return prepared;
}

Prepared LedgerRing::StartRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                                      Token token) {
  const Time before = steady_clock::now();
  const Prepared prepared = Book(token, Kind::kManaged, shots, [&] {
    return backend().StartRecvManaged(connection, group, shots, token);
  });
  Observe(before);
  return prepared;
}

Prepared LedgerRing::Start(const Request& request, Token token) {
  Kind kind = Kind::kOther;
  if (std::holds_alternative<request::RecvFrom>(request)) kind = Kind::kRecv;
  if (std::holds_alternative<request::SendTo>(request)) kind = Kind::kSend;
  if (const auto* file = std::get_if<request::FileTransfer>(&request)) {
    kind = file->is_write ? Kind::kWrite : Kind::kRead;
  } else if (const auto* parts = std::get_if<request::FileParts>(&request)) {
    kind = parts->is_write ? Kind::kWrite : Kind::kRead;
  } else if (std::holds_alternative<request::ReadManaged>(request)) {
    kind = Kind::kManagedRead;
  } else if (std::holds_alternative<request::SendFile>(request)) {
    kind = Kind::kSendFile;
  }
  const Time before = steady_clock::now();
  const Prepared prepared =
      Book(token, kind, ShotsOf(request), [&] { return backend().Start(request, token); });
  if (prepared == Prepared::kAccepted) {
    if (const auto* deadline = std::get_if<request::Deadline>(&request)) {
      BookDeadline(*deadline, token);
    } else if (const auto* cancel = std::get_if<request::Cancel>(&request)) {
      BookCancel(cancel->target);
    } else if (std::holds_alternative<request::CancelAll>(request)) {
      for (auto& [of, known] : deadlines_) known.may_be_canceled = true;
    }
  }
  Observe(before);
  return prepared;
}

void LedgerRing::BookCancel(const request::Target& target) {
  if (target.kind != request::Target::Kind::kToken) return;
  const auto found = deadlines_.find(target.token.value);
  if (found != deadlines_.end()) found->second.may_be_canceled = true;
}

void LedgerRing::BookDeadline(const request::Deadline& deadline, Token token) {
  BookCancel(deadline.target);
  if (accounts_[token.value].open != 1) {
    deadlines_.erase(token.value);
    return;
  }
  DeadlineAccount known{.delay = nanoseconds{deadline.delay_ns}, .since = steady_clock::now()};
  if (deadline.target.kind == request::Target::Kind::kToken && deadline.target.token != token) {
    const Account& target = accounts_[deadline.target.token.value];
    if (target.open <= 1) known.target = deadline.target.token.value;
    known.had_target = target.open != 0;
    known.target_ended = target.ended;
  }
  deadlines_.insert_or_assign(token.value, known);
}

// ---- What may submit, and so push completions.

template <typename Call>
auto LedgerRing::Pass(Call call) {
  const Time before = steady_clock::now();
  auto result = call();
  Observe(before);
  return result;
}

uint32_t LedgerRing::Enter(EnterMode mode, const WaitOptions& options) {
  return Pass([&] { return backend().Enter(mode, options); });
}

absl::StatusOr<ConnectionId> LedgerRing::AddSocket(const SocketSource& source) {
  return Pass([&] { return backend().AddSocket(source); });
}

absl::StatusOr<Endpoint> LedgerRing::FindAddress(const AddressOf& of) {
  return Pass([&] { return backend().FindAddress(of); });
}

absl::StatusOr<bool> LedgerRing::SetKernelMemory(uint32_t slot,
                                                 const RegisteredBufferOptions& options) {
  return Pass([&] { return backend().SetKernelMemory(slot, options); });
}

absl::StatusOr<ListenerId> LedgerRing::CreateListener(const Endpoint& endpoint,
                                                      const ListenerOptions& options) {
  return Pass([&] { return ring_->CreateListener(endpoint, options); });
}

absl::Status LedgerRing::CloseListener(ListenerId listener) {
  return Pass([&] { return ring_->CloseListener(listener); });
}

absl::StatusOr<NativeHandle> LedgerRing::UnregisterSocket(ConnectionId connection) {
  return Pass([&] { return ring_->UnregisterSocket(connection); });
}

absl::StatusOr<BufferGroupId> LedgerRing::RegisterBufferGroup(const BufferGroupOptions& options) {
  absl::StatusOr<BufferGroupId> group = Pass([&] { return ring_->RegisterBufferGroup(options); });
  if (group.ok()) groups_.push_back(Group{*group, {options.memory}});
  return group;
}

// Booked before what the call pushes is looked at: that may lie in the new memory.
absl::Status LedgerRing::AddBuffers(BufferGroupId group, std::span<std::byte> memory) {
  return Pass([&] {
    const absl::Status status = ring_->AddBuffers(group, memory);
    if (!status.ok()) return status;
    for (Group& known : groups_) {
      if (known.id == group) known.memory.push_back(memory);
    }
    return status;
  });
}

absl::Status LedgerRing::UnregisterBufferGroup(BufferGroupId group) {
  const absl::Status status = Pass([&] { return ring_->UnregisterBufferGroup(group); });
  if (status.ok()) std::erase_if(groups_, [&](const Group& known) { return known.id == group; });
  return status;
}

// Also called by signal handlers: nothing but a lock-free counter of its own.
void LedgerRing::Wake() {
  wake_calls_.fetch_add(1, std::memory_order_relaxed);
  ring_->Wake();
}

void LedgerRing::ReturnBuffer(const ManagedBuffer& buffer) {
  const auto found = std::find_if(buffers_out_.begin(), buffers_out_.end(),
                                  [&](const ManagedBuffer& out) { return IsSame(out, buffer); });
  CHECK(found != buffers_out_.end()) << "a test returned a buffer that it does not hold";
  buffers_out_.erase(found);
  const Time before = steady_clock::now();
  ring_->ReturnBuffer(buffer);
  Observe(before);
}

// ---- Completions.

void LedgerRing::Observe(Time earliest) {
  const CompletionQueue& queue = QueueOf(*this);
  while (observed_ != queue.pushed()) {
    const Completion& completion = queue.At(observed_);
    BookCompletion(completion, earliest);
    if ((completion.flags & kBuffer) != 0) BookBuffer(completion, queue.BufferAt(observed_));
    ++observed_;
  }
  if (InFlight() != open_) {
    Breach(absl::StrCat("InFlight is ", InFlight(), ", but ", open_,
                        " operations have no final completion in the queue"));
  }
}

void LedgerRing::BookCompletion(const Completion& completion, Time earliest) {
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
  if (completion.more()) return RestartDeadlines(completion.token, earliest);
  --account.open;
  ++account.ended;
  --open_;
  if (account.kind == Kind::kSendFile && send_files_in_flight_ != 0) --send_files_in_flight_;
  if (account.open_many > account.open) --account.open_many;
  CheckDeadline(completion);
}

// The longest silence begins anew with each completion.
void LedgerRing::RestartDeadlines(Token token, Time earliest) {
  for (auto& [of, known] : deadlines_) {
    if (known.target == token.value && known.had_target) known.since = earliest;
  }
}

void LedgerRing::CheckDeadline(const Completion& completion) {
  const auto found = deadlines_.find(completion.token.value);
  if (found == deadlines_.end()) return;
  const DeadlineAccount known = found->second;
  deadlines_.erase(found);
  if (IsDeadlineRefusal(completion.error())) return;
  const bool has_struck = completion.error() == Error::kTimedOut;
  if (!has_struck && completion.result != 0) {
    return Breach(absl::StrCat(Describe(completion), " is not what a deadline says"));
  }
  if (has_struck && steady_clock::now() - known.since < known.delay) {
    Breach(absl::StrCat(Describe(completion), ": a deadline struck before its time"));
  }
  if (!known.target || (known.may_be_canceled && !has_struck)) return;
  const Account& target = accounts_[*known.target];
  // A zero-copy send has ended for its deadline when its bytes are out.
  if (target.ended == known.target_ended && target.memory_to_come == 0) {
    Breach(absl::StrCat(Describe(completion), " ends a deadline on token ", *known.target,
                        known.had_target ? " before its operation" : ", which nothing had"));
  }
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
  const bool is_managed = account.kind == Kind::kManaged || account.kind == Kind::kManagedRead;
  if (has_buffer && !is_managed) {
    Breach(absl::StrCat(Describe(completion), " has kBuffer, but is no managed receive's"));
  }
  if (!has_buffer && is_managed && completion.result > 0) {
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
    case Kind::kSendFile:
      bytes_.bytes_sent += bytes;
      [[fallthrough]];
    case Kind::kRead:
    case Kind::kManagedRead:
      bytes_.bytes_read += bytes;
      break;
    case Kind::kWrite:
      bytes_.bytes_written += bytes;
      break;
  }
}

void LedgerRing::BookBuffer(const Completion& completion, const ManagedBuffer& buffer) {
  const auto bytes = static_cast<uint32_t>(std::max(completion.result, 0));
  if (buffer.size != bytes) {
    Breach(absl::StrCat("a managed buffer has ", buffer.size, " bytes, but came with ",
                        Describe(completion)));
  }
  const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& known) {
    return known.id.index == buffer.group_index;
  });
  const auto holds = [&](std::span<const std::byte> memory) { return LiesIn(buffer, memory); };
  if (group == groups_.end() || std::none_of(group->memory.begin(), group->memory.end(), holds)) {
    Breach("a managed buffer does not lie in its group's memory");
  }
  const auto overlaps = [&](const ManagedBuffer& other) { return Overlap(buffer, other); };
  if (std::any_of(buffers_out_.begin(), buffers_out_.end(), overlaps)) {
    Breach("memory that was not given back was given again");
  }
  buffers_out_.push_back(buffer);
}

void LedgerRing::CheckAtRest() {
  EXPECT_EQ(InFlight(), 0u) << "rule 12";
  EXPECT_EQ(CompletionQueueCount(), 0u);
  EXPECT_EQ(open_, 0u) << "operations that had no final completion (rule 1)";
  for (const auto& [token, account] : accounts_) {
    if (account.open == 0) continue;
    Breach(absl::StrCat(account.open, " operations with token ", token,
                        " have had no final completion (rule 1)"));
  }
  const Statistics statistics = GetStatistics();
  EXPECT_EQ(statistics.submissions, accepted_);
  EXPECT_EQ(statistics.completions, completions_);
  EXPECT_EQ(statistics.submission_queue_full, refused_);
  EXPECT_EQ(statistics.wakes, wake_completions_);
  EXPECT_EQ(statistics.bytes_received, bytes_.bytes_received);
  EXPECT_EQ(statistics.bytes_sent, bytes_.bytes_sent);
  // Files are read before they are sent, and that may fail.
  EXPECT_GE(statistics.bytes_read, bytes_.bytes_read);
  if (!sends_files_) {
    EXPECT_EQ(statistics.bytes_read, bytes_.bytes_read);
  }
  EXPECT_EQ(statistics.bytes_written, bytes_.bytes_written);
}

}  // namespace ioring

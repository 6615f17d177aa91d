#include "ring/fuzzing/model.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::fuzzing {
namespace {

// No program has operations for nearly so many: who gives more never ends.
constexpr uint64_t kCompletionsMax = 100'000;

}  // namespace

std::string_view KindName(Kind kind) {
  static constexpr std::array kNames = std::to_array<std::string_view>({"accept",
                                                                        "connect",
                                                                        "recv",
                                                                        "managed recv",
                                                                        "recv from",
                                                                        "send",
                                                                        "send to",
                                                                        "send a file",
                                                                        "shutdown",
                                                                        "close",
                                                                        "poll",
                                                                        "poll remove",
                                                                        "timeout",
                                                                        "deadline",
                                                                        "cancel",
                                                                        "cancel connection",
                                                                        "cancel all",
                                                                        "read",
                                                                        "write",
                                                                        "sync",
                                                                        "managed read",
                                                                        "truncate",
                                                                        "stat of the file",
                                                                        "allocate",
                                                                        "advise",
                                                                        "copy a range",
                                                                        "reflink",
                                                                        "open",
                                                                        "close a file",
                                                                        "stat",
                                                                        "make a folder",
                                                                        "remove a folder",
                                                                        "unlink",
                                                                        "rename",
                                                                        "link",
                                                                        "make a symbolic link",
                                                                        "read a link",
                                                                        "read of a pipe",
                                                                        "write to a pipe",
                                                                        "work",
                                                                        "nop"});
  return kNames[static_cast<size_t>(kind)];
}

bool IsAboutNames(Kind kind) {
  return kind == Kind::kOpen || kind == Kind::kStat || kind == Kind::kMakeFolder ||
         kind == Kind::kRemoveFolder || kind == Kind::kUnlink || kind == Kind::kRename ||
         kind == Kind::kLink || kind == Kind::kSymlink || kind == Kind::kReadLink;
}

bool IsOnFile(Kind kind) {
  switch (kind) {
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kReadManaged:
    case Kind::kTruncate:
    case Kind::kStatFile:
    case Kind::kAllocate:
    case Kind::kAdvise:
    case Kind::kCopyRange:
    case Kind::kReflink:
    case Kind::kSendFile:
      return true;
    default:
      return false;
  }
}

bool FillsMemory(Kind kind) {
  return kind == Kind::kRead || kind == Kind::kPipeRead || kind == Kind::kRecv ||
         kind == Kind::kRecvFrom;
}

bool IsTransfer(Kind kind, Direction direction) {
  const bool recv = kind == Kind::kRecv || kind == Kind::kManaged || kind == Kind::kRecvFrom;
  const bool send = kind == Kind::kSend || kind == Kind::kSendTo || kind == Kind::kSendFile;
  return (recv && direction != Direction::kSend) || (send && direction != Direction::kRecv);
}

Model::Model(std::unique_ptr<Ring> ring, const RingOptions& options, bool trace)
    : options_(options), trace_(trace), ring_(std::move(ring), options) {}

Model::~Model() = default;

void Model::Log(std::string text) {
  if (trace_) {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  log_.push_back(std::move(text));
}

void Model::Fail(const std::string& what) {
  Log(absl::StrCat("FAILURE: ", what));
  if (failure_.empty()) failure_ = what;
}

Operation& Model::Accepted(Operation operation) {
  const uint64_t token = NextToken().value;
  ++made_;
  operation.heard = operation.prepared = std::chrono::steady_clock::now();
  Log(absl::StrCat("    token ", token, ": ", KindName(operation.kind),
                   operation.many ? " many" : "", operation.all ? " all" : "",
                   operation.connection == kNone ? "" : absl::StrCat(" c", operation.connection),
                   operation.memory.empty() ? "" : absl::StrCat(" ", operation.memory.size(), " B"),
                   operation.group == kNone ? "" : absl::StrCat(" g", operation.group),
                   operation.bad_id ? " (stale)" : "",
                   operation.bad_argument || operation.too_large ? " (wrong)" : ""));
  return operations_.emplace(token, std::move(operation)).first->second;
}

void Model::MarkCanceled(Operation& cancel, uint64_t target) {
  const auto found = operations_.find(target);
  if (found == operations_.end()) return;
  found->second.perhaps_canceled = true;
  cancel.targets.push_back(target);
}

bool Model::MayBeCanceled(const Operation& operation) const {
  if (operation.perhaps_canceled) return true;
  return std::any_of(operations_.begin(), operations_.end(), [&](const auto& entry) {
    const Operation& deadline = entry.second;
    if (deadline.kind != Kind::kDeadline || !Elapsed(deadline)) return false;
    return std::any_of(deadline.targets.begin(), deadline.targets.end(), [&](uint64_t target) {
      const auto found = operations_.find(target);
      return found != operations_.end() && &found->second == &operation;
    });
  });
}

bool Model::CanBeStopped(const Operation& operation) const {
  switch (operation.kind) {
    case Kind::kAccept:
    case Kind::kRecv:
    case Kind::kManaged:
    case Kind::kRecvFrom:
    case Kind::kSend:
    case Kind::kPoll:
    case Kind::kTimeout:
      return !operation.bad_id && !operation.bad_argument && !operation.perhaps_busy &&
             !MayBeCanceled(operation);
    default:
      return false;
  }
}

void Model::MarkDeadline(Operation& deadline, const std::vector<uint64_t>& targets) {
  if (deadline.bad_id || deadline.bad_argument) return;
  const auto meets = [&](uint64_t target) {
    return std::find(targets.begin(), targets.end(), target) != targets.end();
  };
  for (const auto& [token, other] : operations_) {
    deadline.perhaps_busy =
        deadline.perhaps_busy || (other.kind == Kind::kDeadline && &other != &deadline &&
                                  std::any_of(other.targets.begin(), other.targets.end(), meets));
    deadline.perhaps_not_found =
        deadline.perhaps_not_found || (meets(token) && !CanBeStopped(other));
  }
  deadline.targets = targets;
}

bool Model::GoesOn(uint64_t token) const {
  const auto found = operations_.find(token);
  return found != operations_.end() && !found->second.sent;
}

bool Model::HasEndedTarget(const Operation& deadline) const {
  return std::any_of(deadline.targets.begin(), deadline.targets.end(),
                     [&](uint64_t target) { return !GoesOn(target); });
}

bool Model::MustDeadlineEnd(const Operation& deadline) const {
  bool any_goes_on = false;
  std::chrono::steady_clock::time_point since = deadline.prepared;
  for (const uint64_t target : deadline.targets) {
    const auto found = operations_.find(target);
    if (found == operations_.end()) continue;
    const Operation& operation = found->second;
    // It ends when the peer has taken what was sent, and the deadline after it.
    if (operation.sent) return false;
    any_goes_on = true;
    // Ticks may keep it from striking for ever.
    if (operation.many && operation.kind == Kind::kTimeout) return false;
    if (operation.many) since = std::max(since, operation.heard);
  }
  return !any_goes_on || std::chrono::steady_clock::now() - since >= deadline.delay;
}

bool Model::IsKeptOut(const Operation& deadline) const {
  if (deadline.targets.size() != 1) return false;
  return std::any_of(operations_.begin(), operations_.end(), [&](const auto& entry) {
    const Operation& other = entry.second;
    return &other != &deadline && other.kind == Kind::kDeadline && !other.perhaps_busy &&
           !other.perhaps_not_found && !MayBeCanceled(other) && other.targets == deadline.targets &&
           other.prepared < deadline.prepared;
  });
}

bool Model::HasTransfer(int connection, Direction direction) const {
  return std::any_of(operations_.begin(), operations_.end(), [&](const auto& entry) {
    const Operation& operation = entry.second;
    return operation.connection == connection && !operation.sent &&
           IsTransfer(operation.kind, direction);
  });
}

bool Model::HasOperations(int connection) const {
  return std::any_of(operations_.begin(), operations_.end(), [&](const auto& entry) {
    return entry.second.connection == connection && !entry.second.bad_id;
  });
}

int Model::AddConnection(ConnectionId id, Connection::Sort sort) {
  const int index = static_cast<int>(connections.size());
  Connection connection;
  connection.id = id;
  connection.sort = sort;
  connection.stream = 2 * static_cast<uint64_t>(index);  // datagrams have the odd numbers
  for (const Connection& other : connections) {
    if (other.id == id && other.state == Connection::State::kOpen) {
      Fail(absl::StrCat("connection ", id.index, ".", id.generation, " was given out twice"));
    }
  }
  connections.push_back(std::move(connection));
  return index;
}

void Model::Take(size_t count) {
  while (count > 0 && !failed()) {
    const std::span<const Completion> view = ring_.PeekCompletions();
    if (view.empty()) break;
    const std::span<const Completion> taken = view.first(std::min(count, view.size()));
    for (const Completion& completion : taken) Complete(completion);
    ring_.AdvanceCompletionQueue(taken.size());
    count -= taken.size();
    completions_ += taken.size();
    if (completions_ > kCompletionsMax) Fail("completions come without end");
  }
}

void Model::ReturnBuffer(size_t which) {
  const auto at = held_.begin() + static_cast<std::ptrdiff_t>(which);
  const ManagedBuffer buffer = *at;
  held_.erase(at);
  ring_.ReturnBuffer(buffer);
}

void Model::CheckFigures() {
  const uint32_t in_flight = ring_.InFlight();
  if (in_flight > operations_.size()) {
    Fail(absl::StrCat("InFlight is ", in_flight, ", but only ", operations_.size(),
                      " operations have had no final completion"));
  }
  if (ring_.CompletionQueueCount() != 0) return;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& buffer = buffers[i];
    for (uint32_t at = 0; buffer.registered && at < buffer.bytes; at += buffer.unit_bytes) {
      uint32_t uses = 0;
      for (const auto& [token, operation] : operations_) {
        uses += operation.buffer == static_cast<int>(i) && !operation.bad_argument &&
                operation.slice->offset / buffer.unit_bytes == at / buffer.unit_bytes;
      }
      const uint32_t told = ring_.UsesInFlight(buffer.id, at);
      if (told > uses) {
        Fail(absl::StrCat("UsesInFlight of buffer ", i, " at ", at, " is ", told, ", but ", uses,
                          " operations use that unit"));
      }
    }
  }
}

bool Model::Elapsed(const Operation& operation) const {
  return std::chrono::steady_clock::now() - operation.prepared >= operation.delay;
}

bool Model::ExpectsBytes(const Operation& operation) const {
  if (operation.connection == kNone || operation.bad_id) return false;
  const Connection& own = connections[static_cast<size_t>(operation.connection)];
  if (own.sort == Connection::Sort::kDatagram) {
    // A system may drop what an end that is gone has sent: Linux does, of Unix-domain pairs.
    return own.messages_sent > own.messages_taken && (own.peer == kNone || !PeerMayBeGone(own));
  }
  if (own.peer == kNone) return false;
  const Connection& peer = connections[static_cast<size_t>(own.peer)];
  const bool reset = peer.state != Connection::State::kOpen && peer.mode == CloseMode::kReset;
  if (reset || own.ended) return false;
  const uint64_t waiting = peer.sent > own.received ? peer.sent - own.received : 0;
  return waiting >= (operation.all ? operation.memory.size() : 1) || peer.send_shut_done ||
         peer.state == Connection::State::kClosed;
}

std::string Model::ExpectedOf(const Operation& operation) const {
  if (operation.bad_id) return "its id is stale";
  if (operation.bad_argument || operation.too_large) return "its argument is wrong";
  // Memory that is sent without a copy is free when the peer has taken it, whatever stops.
  // No cancel ends the close of a file.
  if (operation.must_end && !operation.sent && operation.kind != Kind::kCloseFile) {
    return "it was asked to stop";
  }
  switch (operation.kind) {
    case Kind::kRecv:
    case Kind::kRecvFrom:
    case Kind::kManaged:
      return ExpectsBytes(operation) ? "what it waits for is there" : "";
    case Kind::kPoll:
      // A receive may take the bytes before the poll sees them.
      return !operation.many && Any(operation.events & kPollReadable) && ExpectsBytes(operation) &&
                     !HasTransfer(operation.connection, Direction::kRecv)
                 ? "what it polls for holds"
                 : "";
    case Kind::kTimeout:
      return !operation.many && Elapsed(operation) ? "its time has passed" : "";
    case Kind::kDeadline:
      return MustDeadlineEnd(operation) ? "its time has passed, or there is nothing it is on" : "";
    case Kind::kShutdown:
    case Kind::kPollRemove:
    case Kind::kCancel:
    case Kind::kCancelConnection:
    case Kind::kCancelAll:
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kSync:
    case Kind::kReadManaged:
    case Kind::kTruncate:
    case Kind::kStatFile:
    case Kind::kAllocate:
    case Kind::kAdvise:
    case Kind::kCopyRange:
    case Kind::kReflink:
    case Kind::kOpen:
    case Kind::kStat:
    case Kind::kMakeFolder:
    case Kind::kRemoveFolder:
    case Kind::kUnlink:
    case Kind::kRename:
    case Kind::kLink:
    case Kind::kSymlink:
    case Kind::kReadLink:
    case Kind::kWork:
    case Kind::kNop:
      return "it waits for nothing";
    case Kind::kPipeRead:
    case Kind::kPipeWrite:
    case Kind::kCloseFile:
      return ExpectedOfPipe(operation);
    case Kind::kClose:
      return "nothing keeps it from closing";
    case Kind::kAccept:
    case Kind::kConnect:
    case Kind::kSend:
    case Kind::kSendTo:
    case Kind::kSendFile:
      return "";
  }
  return "";
}

std::string Model::Expected() const {
  for (const auto& [token, operation] : operations_) {
    const std::string why = ExpectedOf(operation);
    if (!why.empty()) {
      return absl::StrCat("token ", token, ", a ", KindName(operation.kind), " on c",
                          operation.connection, " g", operation.group, ": ", why);
    }
  }
  return "";
}

}  // namespace ioring::fuzzing

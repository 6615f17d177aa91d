// What a completion may say.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/fuzzing/content.h"
#include "ring/fuzzing/model.h"
#include "ring/options.h"

namespace ioring::fuzzing {
namespace {

bool IsCancel(Kind kind) {
  return kind == Kind::kCancel || kind == Kind::kCancelConnection || kind == Kind::kCancelAll ||
         kind == Kind::kPollRemove;
}

bool IsRecv(Kind kind) { return IsTransfer(kind, Direction::kRecv); }

bool IsSend(Kind kind) { return IsTransfer(kind, Direction::kSend); }

}  // namespace

void Model::Breach(const Completion& completion, const Operation& operation,
                   std::string_view what) {
  Fail(absl::StrCat("token ", completion.token.value, " (", KindName(operation.kind), "), result ",
                    completion.result, " ",
                    completion.ok() ? std::string_view() : ErrorName(completion.error()),
                    ", flags ", completion.flags & 0xffff, ": ", what));
}

void Model::Complete(const Completion& completion) {
  Log(absl::StrCat("    completion of ", completion.token.value, ": ", completion.result, " ",
                   completion.ok() ? std::string_view() : ErrorName(completion.error()), " flags ",
                   completion.flags & 0xffff));
  if (completion.token == options_.wake_token) return;  // the ledger counts
  const auto found = operations_.find(completion.token.value);
  if (found == operations_.end()) {
    return Fail(absl::StrCat("token ", completion.token.value, " completed with ",
                             completion.result, ", but is not in flight"));
  }
  Operation& operation = found->second;
  operation.heard = std::chrono::steady_clock::now();
  if ((completion.flags & kBuffer) != 0) {
    held_.push_back(ring_.TakeBuffer(completion));
  }
  if (completion.ok()) {
    CompleteWell(operation, completion);
  } else {
    CompleteFailed(operation, completion);
  }
  if ((completion.flags & kBuffer) != 0 && !hold_buffers_) ReturnBuffer(held_.size() - 1);
  if (!completion.more()) Finish(completion.token.value, completion);
}

void Model::Finish(uint64_t token, const Completion& completion) {
  const auto found = operations_.find(token);
  const Operation& operation = found->second;
  if (IsCancel(operation.kind) && completion.ok()) CompleteCancel(operation);
  if (operation.kind == Kind::kClose && completion.ok() && operation.connection != kNone) {
    Connection& connection = connections[static_cast<size_t>(operation.connection)];
    connection.state = Connection::State::kClosed;
    for (const auto& [other, open] : operations_) {
      if (other != token && open.connection == operation.connection && !open.bad_id) {
        Breach(completion, operation,
               absl::StrCat("the connection is closed, but token ", other, " (",
                            KindName(open.kind), ") on it has not completed"));
      }
    }
  }
  operations_.erase(found);
}

void Model::CompleteCancel(const Operation& operation) {
  for (const uint64_t target : operation.targets) {
    const auto found = operations_.find(target);
    if (found == operations_.end() || found->second.sent) continue;
    found->second.must_end = true;
  }
}

// One that did not strike: its operation has ended, or it was cancelled itself.
void Model::CompleteDeadline(const Operation& deadline, const Completion& completion) {
  if (completion.result != 0) return Breach(completion, deadline, "it completes with 0");
  if (deadline.targets.empty()) return Breach(completion, deadline, "there was no such operation");
  if (MayBeCanceled(deadline)) return;
  if (!HasEndedTarget(deadline)) {
    return Breach(completion, deadline, "the operation that it is on has not ended");
  }
  if (IsKeptOut(deadline)) Breach(completion, deadline, "the operation had another deadline");
}

bool Model::MayFindNothing(const Operation& deadline) const {
  return deadline.bad_id || deadline.perhaps_not_found || deadline.targets.empty() ||
         HasEndedTarget(deadline);
}

bool Model::PeerMayBeGone(const Connection& connection) const {
  if (connection.peer == kNone) return true;
  const Connection& peer = connections[static_cast<size_t>(connection.peer)];
  return peer.state != Connection::State::kOpen;
}

bool Model::MayEnd(const Connection& connection) const {
  if (connection.recv_shut || PeerMayBeGone(connection)) return true;
  return connections[static_cast<size_t>(connection.peer)].send_shut;
}

bool Model::MayBeShort(const Operation& operation) const {
  const Connection& own = connections[static_cast<size_t>(operation.connection)];
  if (MayBeCanceled(operation) || MayEnd(own) || own.send_shut) return true;
  return connections[static_cast<size_t>(own.peer)].recv_shut;
}

bool Model::HasCause(const Operation& operation, Error error) const {
  const Connection& own = connections[static_cast<size_t>(operation.connection)];
  const bool datagram = own.sort == Connection::Sort::kDatagram;
  const bool peer_shut = own.peer != kNone && connections[static_cast<size_t>(own.peer)].recv_shut;
  switch (error) {
    case Error::kBrokenPipe:
      return IsSend(operation.kind) && (own.send_shut || peer_shut || PeerMayBeGone(own));
    case Error::kConnectionReset:
    case Error::kConnectionAborted:
      // What comes to an end that receives no more resets both.
      return PeerMayBeGone(own) || peer_shut || own.recv_shut;
    case Error::kConnectionRefused:
      return datagram && PeerMayBeGone(own);
    case Error::kNotConnected:
      if (operation.kind == Kind::kShutdown) {
        return datagram || PeerMayBeGone(own) || own.send_shut || own.recv_shut;
      }
      return datagram ? PeerMayBeGone(own) : PeerMayBeGone(own) && own.recv_shut;
    case Error::kMessageTooLong:
      return datagram;
    default:
      return false;
  }
}

void Model::CompleteFailed(const Operation& operation, const Completion& completion) {
  const Error error = completion.error();
  const bool on_connection = operation.connection != kNone && !operation.bad_id;
  bool expected = false;
  switch (error) {
    case Error::kCanceled:
      expected = MayBeCanceled(operation) && operation.kind != Kind::kClose &&
                 operation.kind != Kind::kCloseFile && operation.kind != Kind::kDeadline;
      break;
    case Error::kBadId:
      expected = operation.bad_id;
      break;
    case Error::kInvalidArgument:
      // What is not made of whole blocks cannot be shared.
      expected = operation.bad_argument || operation.kind == Kind::kReflink;
      break;
    case Error::kFileTooLarge:
      expected = operation.too_large;
      break;
    case Error::kNotSupported:
      expected = operation.kind == Kind::kAllocate || operation.kind == Kind::kCopyRange ||
                 operation.kind == Kind::kReflink;
      break;
    case Error::kBusy:
      expected = operation.perhaps_busy;
      break;
    case Error::kNotFound:
      expected = operation.kind == Kind::kCancel || operation.kind == Kind::kPollRemove ||
                 (operation.kind == Kind::kConnect && operation.refused) ||
                 (operation.kind == Kind::kDeadline && MayFindNothing(operation));
      break;
    case Error::kNoBuffers:
      expected = (operation.kind == Kind::kManaged || operation.kind == Kind::kReadManaged) &&
                 operation.group != kNone &&
                 groups[static_cast<size_t>(operation.group)].policy == ExhaustionPolicy::kFail;
      break;
    case Error::kTooManyIds:
      expected = operation.kind == Kind::kAccept || operation.kind == Kind::kConnect ||
                 (operation.kind == Kind::kOpen && FilesPerhapsOpen() > options_.max_files);
      break;
    case Error::kTimedOut:
      expected = operation.kind == Kind::kDeadline && Elapsed(operation) &&
                 HasEndedTarget(operation) && !IsKeptOut(operation);
      break;
    case Error::kBrokenPipe:
      // Of a peer that ended its stream and was reset before the connect was looked at, Linux says
      // this.
      expected = operation.kind == Kind::kConnect ||
                 (operation.kind == Kind::kPipeWrite &&
                  !pipes[static_cast<size_t>(operation.pipe)].ends[0].open);
      break;
    default:
      expected = operation.kind == Kind::kConnect &&
                 (error == Error::kConnectionRefused || error == Error::kConnectionReset);
      break;
  }
  expected = expected || (on_connection && HasCause(operation, error)) ||
             (IsAboutNames(operation.kind) && !operation.bad_id && NamesAllow(operation, error));
  if (!expected) return Breach(completion, operation, "nothing that happened is a cause of that");
  if (operation.message != kNone) {
    Message& message = messages[static_cast<size_t>(operation.message)];
    message.failed = true;
    if (message.received) Breach(completion, operation, "the datagram that failed was received");
  }
  if (IsAboutNames(operation.kind)) SetNames(operation, completion);
  if (operation.kind == Kind::kWork) CompleteWork(operation, completion);
  if (on_connection && error == Error::kConnectionReset) {
    connections[static_cast<size_t>(operation.connection)].reset_told = true;
  }
  if (on_connection && IsRecv(operation.kind)) {
    Connection& own = connections[static_cast<size_t>(operation.connection)];
    if (error == Error::kMessageTooLong) ++own.messages_taken;
    own.ended = own.ended || (own.sort == Connection::Sort::kStream &&
                              (error == Error::kConnectionReset || error == Error::kNotConnected));
  }
}

void Model::CompleteWell(Operation& operation, const Completion& completion) {
  if (operation.bad_id) return Breach(completion, operation, "its id is stale");
  if (operation.bad_argument || operation.too_large) {
    return Breach(completion, operation, "its argument is wrong");
  }
  switch (operation.kind) {
    case Kind::kAccept:
    case Kind::kConnect:
      return CompleteConnection(operation, completion);
    case Kind::kRecv:
    case Kind::kManaged:
    case Kind::kRecvFrom:
    case Kind::kSend:
    case Kind::kSendTo:
    case Kind::kSendFile:
      return CompleteTransfer(operation, completion);
    case Kind::kPoll: {
      const PollEvents allowed = operation.events | kPollHangUp | kPollError;
      if (!Any(completion.poll_events()) || Any(completion.poll_events() & ~allowed)) {
        Breach(completion, operation, absl::StrCat("it polls for ", ToResult(operation.events)));
      }
      return;
    }
    case Kind::kTimeout:
      if (completion.result != 0 || !Elapsed(operation)) {
        Breach(completion, operation, "its time has not passed");
      }
      return;
    case Kind::kCancelConnection:
      if (static_cast<size_t>(completion.result) > operation.targets.size()) {
        Breach(completion, operation,
               absl::StrCat("there were only ", operation.targets.size(), " operations"));
      }
      return;
    case Kind::kCancel:
    case Kind::kPollRemove:
      if (completion.result != 0 || operation.targets.empty()) {
        Breach(completion, operation, "there was no such operation");
      }
      return;
    case Kind::kDeadline:
      return CompleteDeadline(operation, completion);
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kReadManaged:
    case Kind::kTruncate:
    case Kind::kStatFile:
    case Kind::kAllocate:
    case Kind::kAdvise:
    case Kind::kCopyRange:
    case Kind::kReflink:
      return CompleteFile(operation, completion);
    case Kind::kPipeRead:
      return CompletePipeRead(operation, completion);
    case Kind::kPipeWrite:
      return CompletePipeWrite(operation, completion);
    case Kind::kCloseFile:
      if (operation.pipe != kNone) {
        pipes[static_cast<size_t>(operation.pipe)].ends[operation.end].closed = true;
      }
      break;
    case Kind::kOpen:
    case Kind::kStat:
    case Kind::kMakeFolder:
    case Kind::kRemoveFolder:
    case Kind::kUnlink:
    case Kind::kRename:
    case Kind::kLink:
    case Kind::kSymlink:
    case Kind::kReadLink:
      return CompleteNames(operation, completion);
    case Kind::kWork:
      return CompleteWork(operation, completion);
    case Kind::kShutdown: {
      Connection& own = connections[static_cast<size_t>(operation.connection)];
      own.send_shut_done = own.send_shut_done || operation.direction != Direction::kRecv;
      break;
    }
    default:
      break;
  }
  if (completion.result != 0) Breach(completion, operation, "it completes with 0");
}

void Model::CompleteConnection(const Operation& operation, const Completion& completion) {
  const int index = AddConnection(completion.connection(), Connection::Sort::kStream);
  connections.back().listener = operation.listener;
  Log(absl::StrCat("    c", index, " is ", completion.connection().index, ".",
                   completion.connection().generation));
}

void Model::CompleteTransfer(Operation& operation, const Completion& completion) {
  if (IsSend(operation.kind)) return CompleteSend(operation, completion);
  CompleteRecv(operation, completion);
}

void Model::CompleteRecv(Operation& operation, const Completion& completion) {
  Connection& own = connections[static_cast<size_t>(operation.connection)];
  std::span<const std::byte> bytes = operation.memory;
  const auto size = static_cast<size_t>(completion.result);
  if (operation.kind == Kind::kManaged) {
    bytes = {};
    if (size > 0) {
      if ((completion.flags & kBuffer) == 0) {
        return Breach(completion, operation, "bytes without a buffer");
      }
      bytes = {held_.back().data, held_.back().size};
    }
  }
  if (size > bytes.size()) return Breach(completion, operation, "more bytes than memory");
  bytes = bytes.first(size);
  if (own.sort == Connection::Sort::kDatagram)
    return CompleteDatagram(operation, completion, bytes);
  if (size == 0) return CompleteStreamEnd(operation);
  if (operation.all && size < operation.memory.size() && !MayBeShort(operation)) {
    return Breach(completion, operation, "nothing is a reason for less than the whole span");
  }
  Deliver(operation.connection, bytes);
}

void Model::CompleteStreamEnd(const Operation& operation) {
  Connection& own = connections[static_cast<size_t>(operation.connection)];
  own.ended = true;
  if (!MayEnd(own)) {
    return Fail(absl::StrCat("c", operation.connection, " received the end of its stream, but c",
                             own.peer, " is open and has not shut down"));
  }
  if (own.recv_shut || own.reset_told || own.peer == kNone) return;
  if (HasTransfer(own.peer, Direction::kSend)) return;
  const Connection& peer = connections[static_cast<size_t>(own.peer)];
  const bool dropped = peer.state != Connection::State::kOpen && peer.mode == CloseMode::kReset;
  if (!dropped && own.received != peer.sent) {
    Fail(absl::StrCat("c", operation.connection, " received the end of its stream after ",
                      own.received, " bytes, but c", own.peer, " has sent ", peer.sent));
  }
}

uint64_t Model::UnderWay(int connection) const {
  uint64_t bytes = 0;
  for (const auto& [token, operation] : operations_) {
    const bool sends = operation.kind == Kind::kSend || operation.kind == Kind::kSendFile;
    if (operation.connection == connection && sends && !operation.sent && !operation.bad_id &&
        !operation.bad_argument) {
      bytes += operation.memory.size();
    }
  }
  return bytes;
}

void Model::Link(int connection, uint64_t name) {
  Connection& own = connections[static_cast<size_t>(connection)];
  for (size_t i = 0; i < connections.size(); ++i) {
    Connection& other = connections[i];
    if (NameOf(other.stream) != name || other.sort != Connection::Sort::kStream) continue;
    if (other.peer != kNone || other.listener != own.listener ||
        static_cast<int>(i) == connection) {
      break;
    }
    own.peer = static_cast<int>(i);
    other.peer = connection;
    return;
  }
  Fail(absl::StrCat("c", connection, " received bytes that no peer of it has sent: stream ", name));
}

void Model::Deliver(int connection, std::span<const std::byte> bytes) {
  Connection& own = connections[static_cast<size_t>(connection)];
  for (size_t i = 0; own.received + i < kNameBytes && i < bytes.size(); ++i) {
    own.name[own.received + i] = bytes[i];
  }
  const uint64_t place = own.received;
  own.received += bytes.size();
  if (own.peer == kNone && own.received >= kNameBytes) Link(connection, ReadName(own.name));
  if (own.peer == kNone || failed()) return;
  const Connection& peer = connections[static_cast<size_t>(own.peer)];
  if (peer.order_unknown) return;
  if (place < kNameBytes && own.received >= kNameBytes &&
      ReadName(own.name) != NameOf(peer.stream)) {
    return Fail(absl::StrCat("c", connection, " received another's bytes than c", own.peer, "'s"));
  }
  const size_t wrong = FirstWrong(peer.stream, place, bytes);
  if (wrong != bytes.size()) {
    return Fail(absl::StrCat("c", connection, " received wrong bytes from place ", place + wrong,
                             " of c", own.peer, "'s stream on (byte ", wrong, " of ", bytes.size(),
                             ")"));
  }
  const uint64_t sent = peer.sent + UnderWay(own.peer);
  if (own.received > sent) {
    Fail(absl::StrCat("c", connection, " has received ", own.received, " bytes, but c", own.peer,
                      " says that it has sent ", sent, " at most"));
  }
}

void Model::CompleteSend(Operation& operation, const Completion& completion) {
  if ((completion.flags & kMemoryFree) != 0) return;
  operation.sent = true;
  Connection& own = connections[static_cast<size_t>(operation.connection)];
  const auto size = static_cast<size_t>(completion.result);
  if (operation.message != kNone) {
    const Message& message = messages[static_cast<size_t>(operation.message)];
    if (size != message.bytes) return Breach(completion, operation, "a datagram is sent whole");
    if (message.to == kNone) return;
    ++connections[static_cast<size_t>(message.to)].messages_sent;
    return;
  }
  if (size == 0 || size > operation.memory.size()) {
    return Breach(completion, operation,
                  absl::StrCat("it has ", operation.memory.size(), " bytes"));
  }
  if (operation.all && size < operation.memory.size() && !MayBeShort(operation)) {
    return Breach(completion, operation, "nothing is a reason for less than the whole span");
  }
  if (operation.start != own.sent) own.order_unknown = true;
  own.sent += size;
}

void Model::CompleteDatagram(const Operation& operation, const Completion& completion,
                             std::span<const std::byte> bytes) {
  Connection& own = connections[static_cast<size_t>(operation.connection)];
  // After a shutdown a system tells the end and an empty datagram alike.
  const bool end = bytes.empty() && ((completion.flags & kEmptyDatagram) == 0 || own.recv_shut ||
                                     (own.peer != kNone && MayEnd(own)));
  if (end) {
    if (!MayEnd(own)) Breach(completion, operation, "it is the end, but nothing ended it");
    own.ended = true;
    // It may have been a datagram: then one less is to come.
    const bool may_be_message = (completion.flags & kEmptyDatagram) != 0;
    if (may_be_message && own.messages_taken < own.messages_sent) ++own.messages_taken;
    return;
  }
  ++own.messages_taken;
  const auto fits = [&](const Message& message) {
    if (message.to != operation.connection || message.received) return false;
    if (bytes.size() < kNameBytes) return message.bytes == bytes.size();
    const auto number = static_cast<uint64_t>(&message - messages.data()) * 2 + 1;
    return NameOf(number) == ReadName(bytes);
  };
  // Short ones are all alike, so that one whose sending failed may stand for another.
  auto found = std::find_if(messages.begin(), messages.end(), [&](const Message& message) {
    return fits(message) && !message.failed;
  });
  if (found == messages.end()) found = std::find_if(messages.begin(), messages.end(), fits);
  if (found == messages.end()) {
    return Breach(completion, operation, "no such datagram was sent to it, or it came twice");
  }
  if (found->failed) return Breach(completion, operation, "the datagram's sending has failed");
  if (found->bytes != bytes.size()) {
    return Breach(completion, operation, absl::StrCat("the datagram has ", found->bytes, " bytes"));
  }
  const auto number = static_cast<uint64_t>(found - messages.begin()) * 2 + 1;
  if (bytes.size() >= kNameBytes && FirstWrong(number, 0, bytes) != bytes.size()) {
    return Breach(completion, operation, "the datagram's bytes are wrong");
  }
  found->received = true;
  const Connection& from = connections[static_cast<size_t>(found->from)];
  if (operation.source != nullptr && bytes.size() >= kNameBytes && from.local != Endpoint() &&
      !(*operation.source == from.local)) {
    Breach(completion, operation,
           absl::StrCat("the sender is ", from.local.ToString(), ", not ",
                        operation.source->ToString()));
  }
}

}  // namespace ioring::fuzzing

// Polls: each is a poll of the socket, which a multishot poll asks for again.
//
// A socket's poll tells what holds, again and again. A multishot poll tells of what comes to
// hold. So what was told is not asked for any more until this ring received or sent on the
// connection, after which it may have ceased to hold.
#include <cstdint>

#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_rio/calls.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/socket_poll.h"

namespace ioring::rio {
namespace {

constexpr PollEvents kBrokenEvents = kPollHangUp | kPollError;

uint32_t SocketEventsFor(PollEvents events) {
  uint32_t bits = 0;
  if (Any(events & kPollReadable)) bits |= kSocketReadable | kSocketEnded;
  if (Any(events & kPollWritable)) bits |= kSocketWritable;
  if (Any(events & kBrokenEvents)) bits |= kSocketReset | kSocketClosed | kSocketConnectFailed;
  return bits;
}

PollEvents PollEventsFor(uint32_t bits) {
  PollEvents events = kPollNone;
  if ((bits & (kSocketReadable | kSocketEnded)) != 0) events |= kPollReadable;
  if ((bits & kSocketWritable) != 0) events |= kPollWritable;
  if ((bits & (kSocketReset | kSocketConnectFailed)) != 0) events |= kBrokenEvents;
  if ((bits & kSocketClosed) != 0) events |= kPollHangUp;
  return events;
}

}  // namespace

void RioRing::SetUpPoll(Operation& operation, PollEvents events) {
  operation.request.kind = RequestKind::kOperation;
  operation.request.index = operations_.IndexOf(operation);
  operation.poll = {};
  operation.poll.wanted = events;
}

void RioRing::BeginPoll(Operation& operation) {
  LinkPoll(operation);
  StartPoll(operation);
}

// Asks for what was not told yet, if there is such. Needs no room for completions: many polls may
// look again at once.
void RioRing::StartPoll(Operation& operation) {
  const PollEvents events = (operation.poll.wanted | kBrokenEvents) & ~operation.poll.reported;
  if (!Any(events)) return;
  statistics_.kernel_submissions.Add(1);
  const SOCKET socket = connections_[operation.connection].socket;
  if (!poller_->Start(socket, SocketEventsFor(events), &operation.poll.info, &operation.request)) {
    return EndSoon(operation, Fail(operation.token, -CallResult{WSAGetLastError()}, "poll"));
  }
  operation.set(kPending);
  ++requests_out_;
}

void RioRing::OnPollPacket(Operation& operation) {
  operation.clear(kPending);
  if (operation.has(kCancelled)) return EndOperation(operation, ToResult(Error::kCanceled));
  const uint32_t bits = EventsOf(operation.poll.info, operation.request);
  const PollEvents events = PollEventsFor(bits);
  if (!Any(events)) return StartPoll(operation);  // called back to ask for more
  operation.poll.reported |= events;
  if (!TellPoll(operation, ToResult(events))) StartPoll(operation);
}

bool RioRing::CancelPoll(Operation& operation) {
  if (operation.has(kPending)) {
    operation.set(kCancelled);
    poller_->Cancel(&operation.request);
  } else {
    EndSoon(operation, ToResult(Error::kCanceled));
  }
  return true;
}

// Some of `events` may have ceased to hold, so that they can come to hold.
void RioRing::LookAgain(Connection& connection, PollEvents events) {
  for (uint32_t link = connection.first_poll; link != 0;) {
    Operation& operation = operations_[link - 1];
    link = operation.next;
    if (!Any(operation.poll.reported & events) || operation.has(kEnding)) continue;
    operation.poll.reported &= ~events;
    if (operation.has(kCancelled)) continue;
    if (operation.has(kPending)) {
      poller_->Cancel(&operation.request);
    } else {
      StartPoll(operation);
    }
  }
}

}  // namespace ioring::rio

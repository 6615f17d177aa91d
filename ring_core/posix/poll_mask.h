// Poll masks: PollEvents (ring/options.h) as poll(2) has them, and back. io_uring's polls have the
// same bits.
#ifndef IORING_RING_CORE_POSIX_POLL_MASK_H_
#define IORING_RING_CORE_POSIX_POLL_MASK_H_

#include <poll.h>

#include "ring/options.h"

namespace ioring::posix {

// Linux tells by it that the peer has sent its end. Elsewhere there is only POLLHUP, once both
// directions have ended.
#if defined(POLLRDHUP)
inline constexpr int kPollPeerEnded = POLLRDHUP;
#else
inline constexpr int kPollPeerEnded = 0;
#endif

// `pollfd::events` of a poll that asks for `wanted`. (kPollError needs no bit, and kPollHangUp none
// for POLLHUP: the system tells of both unasked.) A few instructions, any thread.
constexpr short ToPollMask(PollEvents wanted) {
  int mask = 0;
  if (Any(wanted & kPollReadable)) mask |= POLLIN;
  if (Any(wanted & kPollWritable)) mask |= POLLOUT;
  if (Any(wanted & kPollHangUp)) mask |= kPollPeerEnded;
  return static_cast<short>(mask);
}

// What `pollfd::revents` tells; bits that PollEvents has no name for are left out (POLLNVAL). A few
// instructions, any thread.
constexpr PollEvents FromPollMask(int mask) {
  PollEvents events = kPollNone;
  if ((mask & (POLLIN | POLLPRI)) != 0) events |= kPollReadable;
  if ((mask & POLLOUT) != 0) events |= kPollWritable;
  if ((mask & (POLLHUP | kPollPeerEnded)) != 0) events |= kPollHangUp;
  if ((mask & POLLERR) != 0) events |= kPollError;
  return events;
}

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_POLL_MASK_H_

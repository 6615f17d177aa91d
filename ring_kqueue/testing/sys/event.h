// A fake of BSD's kqueue for tests on Linux: the declarations.
//
// What tests of //ring_kqueue compile against instead of a BSD's own <sys/event.h>. Types and
// numbers are FreeBSD's (12 and later); code that is to be tested here must not depend on
// them, because the other systems have others. It is testonly, and nothing of it is in a
// program that is shipped.
//
// The fake keeps the rules of FreeBSD's kqueue(2), one test each, which names the rule. It
// is built like the original: a knote for each (ident, filter), and a queue of knotes that may
// be ready, whose filter runs again when they are taken. epoll, edge-triggered, only says
// whose filter to run. So two filters on one descriptor, EV_CLEAR, EV_ONESHOT, EV_DISPATCH
// and a mixture of them cost nothing extra.
//
// kevent may be called from any thread. Signals are blocked while it works and open while it
// sleeps, as in a system call: so a signal handler may call it (to trigger an EVFILT_USER),
// and a signal interrupts a sleep, or prevents it, but nothing else.
//
// Where it cannot be a kqueue, or systems differ:
//
//  * fflags of an EV_EOF: reading SO_ERROR on Linux takes the error away from the call that
//    is to report it, so the fake never reads it. It deduces the error: ECONNREFUSED for a
//    TCP connection that never was one and for datagrams, else ECONNRESET. (A time-out is
//    ECONNRESET here, ETIMEDOUT on BSD.) 0 when a call has taken the error, as on BSD.
//  * close() is seen when the knote is next looked at: the descriptor is closed, or is
//    another file. Not seen: closing it and getting the same file back under the same number
//    (dup2 of a copy); and, because all of them share one inode, an eventfd, timerfd or epoll
//    replaced by another one while a copy is open.
//  * A kqueue that was closed gives its inner descriptors back at the next kqueue().
//  * As on BSD, the child of a fork() has no kqueue. Here that holds for the C library's fork.
//  * EVFILT_READ of a Unix-domain listener: data is 1, not the backlog's length. Of a datagram
//    socket: the size of the next datagram (FreeBSD: of all). Of a regular file: an append is
//    no event by itself; EVFILT_WRITE of one is EINVAL.
//  * EVFILT_WRITE with EV_CLEAR: BSD reports whenever the peer acknowledges something. Linux
//    wakes writers only when there was no room, so the fake reports less often; but it also
//    reports to a writer that the peer's end has arrived. A local shutdown(SHUT_WR) is EV_EOF for
//    TCP, but not for Unix-domain sockets.
//  * EV_CLEAR may report an arrival a second time when it came during the first report.
//  * Re-adding a knote keeps EV_CLEAR, EV_ONESHOT and EV_DISPATCH as they were, and EV_ADD
//    alone enables a disabled one. The first is what FreeBSD's kernel does and what its manual
//    leaves open, the second is its manual's word, which its kernel does not keep. Portable
//    code depends on neither.
//  * An answer's flags are EV_ERROR alone, as on FreeBSD; macOS sets it among the change's.
//  * Filters other than the four below are EINVAL.
#ifndef IORING_RING_KQUEUE_TESTING_SYS_EVENT_H_
#define IORING_RING_KQUEUE_TESTING_SYS_EVENT_H_

#include <stdint.h>
#include <time.h>

// Filters.
#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_TIMER (-7)
#define EVFILT_USER (-11)

// Actions.
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008

// Flags.
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080

// Answers.
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

// EVFILT_READ, EVFILT_WRITE: data is the low-water mark.
#define NOTE_LOWAT 0x00000001

// EVFILT_TIMER: the unit of data, milliseconds without any; a point of CLOCK_REALTIME.
#define NOTE_SECONDS 0x00000001
#define NOTE_MSECONDS 0x00000002
#define NOTE_USECONDS 0x00000004
#define NOTE_NSECONDS 0x00000008
#define NOTE_ABSTIME 0x00000010

// EVFILT_USER: what to do with the lower 24 bits of fflags, and the trigger.
#define NOTE_FFNOP 0x00000000U
#define NOTE_FFAND 0x40000000U
#define NOTE_FFOR 0x80000000U
#define NOTE_FFCOPY 0xc0000000U
#define NOTE_FFCTRLMASK 0xc0000000U
#define NOTE_FFLAGSMASK 0x00ffffffU
#define NOTE_TRIGGER 0x01000000U

struct kevent {
  uintptr_t ident;  // what it is about: a descriptor, or the caller's number
  short filter;
  unsigned short flags;
  unsigned int fflags;
  int64_t data;
  void* udata;      // the caller's
  uint64_t ext[4];  // the caller's, in this fake
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_) \
  do {                                                                 \
    struct kevent* const ev_set_event = (event);                       \
    ev_set_event->ident = (ident_);                                    \
    ev_set_event->filter = (filter_);                                  \
    ev_set_event->flags = (flags_);                                    \
    ev_set_event->fflags = (fflags_);                                  \
    ev_set_event->data = (data_);                                      \
    ev_set_event->udata = (udata_);                                    \
    for (uint64_t & ev_set_ext : ev_set_event->ext) ev_set_ext = 0;    \
  } while (0)

extern "C" {

int kqueue(void);
int kevent(int kq, const struct kevent* changelist, int nchanges, struct kevent* eventlist,
           int nevents, const struct timespec* timeout);
}

#endif  // IORING_RING_KQUEUE_TESTING_SYS_EVENT_H_

// One change for kevent(2), in whichever types the system's <sys/event.h> has.
//
// The systems agree on the names of struct kevent's fields, not on their types, order and
// number: FreeBSD's structure has 64 bytes since version 12, macOS's 32; NetBSD's filter is
// unsigned, and its udata was an integer until version 10. EV_SET converts with old casts. So
// fields are set one by one, each converted to the type it has here.
//
// Free functions: any thread, async-signal-safe, no system call.
#ifndef IORING_RING_KQUEUE_KEVENT_CHANGE_H_
#define IORING_RING_KQUEUE_KEVENT_CHANGE_H_

#include <sys/types.h>
// After sys/types.h, which FreeBSD before 12 needs.
#include <sys/event.h>

#include <bit>
#include <cstdint>
#include <utility>

namespace ioring::kqueue {

using Udata = decltype(std::declval<struct kevent>().udata);
static_assert(sizeof(Udata) == sizeof(uint64_t),
              "ring_kqueue keeps 64-bit keys in udata: it needs a 64-bit system");

inline Udata ToUdata(uint64_t key) { return std::bit_cast<Udata>(key); }
inline uint64_t FromUdata(Udata udata) { return std::bit_cast<uint64_t>(udata); }

// `filter`, `flags` and `fflags` are the macros' values.
inline struct kevent MakeChange(uintptr_t ident, int filter, unsigned flags, unsigned fflags = 0,
                                uint64_t key = 0) {
  struct kevent change {};
  change.ident = static_cast<decltype(change.ident)>(ident);
  change.filter = static_cast<decltype(change.filter)>(filter);
  change.flags = static_cast<decltype(change.flags)>(flags);
  change.fflags = static_cast<decltype(change.fflags)>(fflags);
  change.udata = ToUdata(key);
  return change;
}

// A change for a descriptor.
inline struct kevent MakeDescriptorChange(int descriptor, int filter, unsigned flags,
                                          uint64_t key = 0) {
  return MakeChange(static_cast<uintptr_t>(descriptor), filter, flags, 0, key);
}

// The filter as a plain number: NetBSD's field is unsigned.
inline bool IsFilter(const struct kevent& event, int filter) {
  return event.filter == static_cast<decltype(event.filter)>(filter);
}

}  // namespace ioring::kqueue

#endif  // IORING_RING_KQUEUE_KEVENT_CHANGE_H_

// Linked by a test, it fails every case that leaves something of the system's behind.
#ifndef IORING_RING_RIO_TESTING_NOTHING_LEFT_H_
#define IORING_RING_RIO_TESTING_NOTHING_LEFT_H_

#include <functional>

namespace ioring::rio {

// At the end of each case: the process's handles are as many as at the start, but for a few that
// libraries open once for themselves; and `is_empty` says true, where there is one. (Requests
// that Windows has are none then, as a ring's destructor waits for them.) To be called before the
// cases run; returns true.
bool ExpectNothingLeft(std::function<bool()> is_empty = nullptr);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_TESTING_NOTHING_LEFT_H_

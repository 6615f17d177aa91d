// A fake of Registered I/O, for systems without it (Wine) and for faults that no system gives
// on demand: a table of functions that keeps Registered I/O's rules, and punishes breaking them.
//
// What a caller can see of Windows' rules is kept:
//  - memory is registered, and slices lie within it (WSAEFAULT);
//  - a request queue takes as many requests as it was made for (WSAENOBUFS), of one buffer each
//    (WSAEINVAL); a socket has one request queue for its life (WSAEINVAL);
//  - request queues are charged to completion queues when they are made or resized, and a
//    completion queue is not resized below its charges (WSAENOBUFS, WSAETOOMANYREFS);
//  - deferred requests do nothing until a commit, which carries nothing itself (WSAEINVAL);
//  - one notification at a time (WSAEALREADY), once for each RIONotify;
//  - no request can be cancelled; what is in flight when its socket is closed is aborted.
// What Windows answers with silent corruption ends the program here, with a sentence, or
// corrupts the completion queue (RIO_CORRUPT_CQ): memory deregistered in flight, queues closed in
// flight, queues used by two threads at once.
//
// Requests are non-blocking calls, repeated when a poll says so (ring_rio/socket_poll.h), so that
// sockets may belong to any completion port, and must be non-blocking. Calls are only made in the
// threads that call the table's functions: one socket may not be closed in another thread.
//
// The functions of the table know no object that they belong to, so neither does the fake: all
// state is the process's. Any thread.
#ifndef IORING_RING_RIO_TESTING_RIO_FAKE_H_
#define IORING_RING_RIO_TESTING_RIO_FAKE_H_

#include <cstdint>

#include "ring_rio/rio_api.h"

namespace ioring::rio {

RioFunctions RioFake();

// What exists; all 0 when everything was given back.
struct RioFakeCounts {
  uint32_t buffers = 0;
  uint32_t completion_queues = 0;
  uint32_t request_queues = 0;  // of sockets that are open
  uint32_t requests = 0;        // whose results were not taken

  friend bool operator==(const RioFakeCounts&, const RioFakeCounts&) = default;
};
RioFakeCounts CountRioFake();

// What went by since the start: for tests that prove that it goes that way at all.
struct RioFakeTotals {
  uint64_t recvs = 0;
  uint64_t sends = 0;
  uint64_t commits = 0;
  uint64_t notifications = 0;
};
RioFakeTotals RioFakeSoFar();

// ---- Faults. Each ends with FaultlessAgain.

enum class RioFunction : uint8_t { kReceive, kSend, kCreateRequestQueue, kRegisterBuffer, kResize };

// The next `times` calls fail with `code`.
void FailRio(RioFunction function, int code, int times);
// The next result taken of `is_send`'s direction is this failure, whatever happened.
void FailNextRioResult(bool is_send, int code);
// Results are not there yet, however long they are waited for, or are again.
void HoldRioResults(bool hold);
// Every completion queue is corrupt from now on.
void CorruptRioQueues();
void FaultlessAgain();

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_TESTING_RIO_FAKE_H_

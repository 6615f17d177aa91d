// Closing a stream so that no reset overtakes what was sent.
//
// A socket that is closed with bytes of its peer unread, or that the peer sends to after it was
// closed, resets the connection, and what the peer has not taken by then is lost. So the end is
// sent first, and what the peer still sends is read and dropped; the socket is closed later.
//
// Free functions without state: any thread. None allocates or waits. Sources: RFC 1122, section
// 4.2.2.13; shutdown(2), tcp(7), unix(7), and the systems' own.
#ifndef IORING_RING_CORE_POSIX_LINGER_H_
#define IORING_RING_CORE_POSIX_LINGER_H_

#include <cstdint>

#include "ring_core/posix/socket_kind.h"
#include "ring_core/table/linger_table.h"

namespace ioring::posix {

// What SendEnd gives shutdown(2). A Unix-domain stream ends in both directions, so that nothing can
// come between the last read and the close.
int HowToEnd(StreamKind kind);
// False where there is no connection (any more): there is nothing to wait for.
bool SendEnd(int socket, StreamKind kind);

// Reads and drops bytes of the peer, at most some KiB, without waiting. Their number; 0: the peer's
// end; or the negative of errno, -EAGAIN where there is nothing.
int64_t DropUnread(int socket);

// Whether the peer's system has all bytes that were sent. Requires that the end was sent.
Acknowledged AllAcknowledged(int socket);
// The same by the number that SIOCOUTQ gives on Linux: it counts the end as a byte.
inline Acknowledged AcknowledgedBy(int64_t unacknowledged) {
  if (unacknowledged < 0) return Acknowledged::kUnknown;
  return unacknowledged <= 1 ? Acknowledged::kYes : Acknowledged::kNo;
}

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_LINGER_H_

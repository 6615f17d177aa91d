// Calls on sockets: what they transferred, or the code of what failed, as one number.
#ifndef IORING_RING_RIO_CALLS_H_
#define IORING_RING_RIO_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "ring/options.h"
#include "ring_core/table/linger_table.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// Bytes, or the negative of Winsock's (or the system's) error code.
using CallResult = int64_t;
// An overlapped call whose packet will come.
inline constexpr CallResult kPacketComes = std::numeric_limits<int64_t>::min();

// A non-blocking send copies all that it takes into the system's memory, and takes all it is
// given if there is any room; so it is given a bounded amount.
inline constexpr uint32_t kSendMaxBytes = 1 << 20;

// At once; -WSAEWOULDBLOCK where that cannot be.
CallResult RecvNow(SOCKET socket, std::byte* data, uint32_t bytes);
CallResult SendNow(SOCKET socket, const std::byte* data, uint32_t bytes);
// Looks for a byte and takes none: 1; 0 at the end of the stream, or for an empty datagram.
CallResult PeekByte(SOCKET socket);
// Both take one datagram; -WSAEMSGSIZE for one that is longer than the memory, which is gone then.
CallResult RecvMessageNow(SOCKET socket, std::byte* data, uint32_t bytes);
CallResult RecvFromNow(SOCKET socket, std::byte* data, size_t bytes, SocketAddress* source);
CallResult SendToNow(SOCKET socket, const std::byte* data, size_t bytes,
                     const SocketAddress& destination);

// Overlapped. `bytes` 0: completes when there is something to receive, and takes nothing.
// `skips_done`: no packet comes for what is done at once, which the result then is.
CallResult StartRecv(SOCKET socket, std::byte* data, uint32_t bytes, Request* request,
                     bool skips_done);
CallResult StartConnect(SOCKET socket, LPFN_CONNECTEX connect, const SocketAddress& address,
                        Request* request);
// A ReadFile or WriteFile; always gives a packet unless it fails.
CallResult StartFile(HANDLE file, bool is_write, std::byte* data, uint32_t bytes, uint64_t offset,
                     Request* request);

// What a socket's packet says; the second, of a receive that asked for bytes.
CallResult ResultOf(SOCKET socket, const OVERLAPPED_ENTRY& packet);
CallResult RecvResultOf(SOCKET socket, const OVERLAPPED_ENTRY& packet);

CallResult Shutdown(SOCKET socket, Direction direction);
// Whether the peer's system has all bytes that were sent (SIO_TCP_INFO, Windows 10 1703); kUnknown
// where the system does not tell.
Acknowledged AllAcknowledged(SOCKET socket);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_CALLS_H_

// Making sockets and setting them up.
//
// Any thread. Errors of the control plane are statuses that say what was wrong and what to do.
#ifndef IORING_RING_RIO_SOCKETS_H_
#define IORING_RING_RIO_SOCKETS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// Winsock's functions that only a call gives (WSAIoctl).
struct SocketFunctions {
  LPFN_ACCEPTEX accept = nullptr;
  LPFN_CONNECTEX connect = nullptr;
  // Sockets are handles of the system, and no layered provider's of its own making, for which
  // FILE_SKIP_COMPLETION_PORT_ON_SUCCESS loses packets (Microsoft's KB 2568167).
  bool has_system_handles = false;
};

// Starts Winsock, once per process; it is never ended, as other code may use it.
void StartWinsock();

absl::StatusOr<SocketFunctions> LoadSocketFunctions();

// An overlapped socket that no child process inherits and that may have a request queue of
// Registered I/O where the system knows of that; INVALID_SOCKET: WSAGetLastError. A socket that
// accept() makes would lack the flag, which is why AcceptEx gets one of these.
SOCKET NewSocket(int family, int type);

// Calls on it do not block (overlapped ones never do), and TCP sends without Nagle's delay.
// False: WSAGetLastError.
bool SetUpStream(SOCKET socket);
bool SetNonBlocking(SOCKET socket);

absl::StatusOr<SOCKET> OpenListener(const Endpoint& endpoint, const ListenerOptions& options);
absl::StatusOr<SOCKET> OpenDatagram(const Endpoint& local);
// What a socket made elsewhere is, and what was changed of it. (That it does not block any more is
// not noted: Winsock does not tell whether it did.)
struct TakenOver {
  bool is_stream = false;  // it has no messages
  bool no_delay = false;
};

// Checks and sets up a socket made elsewhere.
absl::Status TakeOverSocket(SOCKET socket, TakenOver* taken);
// Changes back what was changed, for whom the socket goes back to.
void GiveBackSocket(SOCKET socket, bool no_delay);

absl::StatusOr<Endpoint> LocalEndpoint(SOCKET socket);
absl::StatusOr<Endpoint> PeerEndpoint(SOCKET socket);

// Whether closing it would wait until the peer has what was sent (SO_LINGER). A non-blocking socket
// cannot: closesocket then fails with WSAEWOULDBLOCK, and closes nothing.
bool Lingers(SOCKET socket);
void StopLingering(SOCKET socket);

// Ends the connection: with a FIN after what was sent, or with a reset.
void CloseSocket(SOCKET socket, bool reset);

inline HANDLE HandleOf(SOCKET socket) { return reinterpret_cast<HANDLE>(socket); }

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_SOCKETS_H_

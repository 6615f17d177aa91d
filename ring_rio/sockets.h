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
// A socket made elsewhere.
struct HandedIn {
  bool is_stream = false;  // it has no messages
  bool delays = false;     // a stream without TCP_NODELAY, which does not listen
};

// Tells what the socket is. Changes nothing.
absl::Status LookAtSocket(SOCKET socket, HandedIn* found);
// Sets it up. On failure it is as it was.
absl::Status TakeOverSocket(SOCKET socket, const HandedIn& found);
// Changes back what TakeOverSocket changed. The socket blocks then: Winsock does not tell whether
// it did before. (One that tells its owner of events, WSAEventSelect, does not: Winsock refuses.)
void GiveBackSocket(SOCKET socket, bool delays);

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

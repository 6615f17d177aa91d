// Sockets as every POSIX backend sets them up.
//
// All of them: close-on-exec; where the system has the option, no SIGPIPE; TCP without
// the Nagle delay; IPv6 sockets take no IPv4. Free functions without state: any thread.
// Every one makes system calls and may allocate: control plane only. Errors are statuses
// whose message is one sentence: which endpoint, what was wrong, what to do.
// A returned descriptor is the caller's to close.
#ifndef IORING_RING_CORE_POSIX_SOCKETS_H_
#define IORING_RING_CORE_POSIX_SOCKETS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_core/posix/unix_path.h"

namespace ioring::posix {

enum class BlockingMode : uint8_t { kBlocking, kNonBlocking };

struct BoundSocket {
  int descriptor = -1;
  UnixPath path;  // to be removed before the descriptor is closed
};

// Binds and listens. Port 0 takes a free one (LocalEndpoint tells). Accepted sockets
// inherit the buffer sizes and, on Linux and FreeBSD, TCP_NODELAY; close-on-exec and the
// blocking mode are for accept4 to say.
//
// A Unix-domain path that is left over from a process that is gone is removed first: it
// is a socket to which none is bound any more (BindOverAbandoned). A path that is in use, or
// no socket, is left alone: AlreadyExists.
//
// AlreadyExists: the port is in use. PermissionDenied. ResourceExhausted: descriptors.
// NotFound: the path's folder. InvalidArgument: not an address of this machine, or not one
// that can be listened on; a Unix-domain path with `share_port`.
absl::StatusOr<BoundSocket> OpenListener(const Endpoint& endpoint, const ListenerOptions& options,
                                         BlockingMode blocking);

// A datagram socket bound to `local` (port 0: any); errors and paths as OpenListener.
absl::StatusOr<BoundSocket> OpenDatagram(const Endpoint& local, BlockingMode blocking);

// A stream socket to connect with. InvalidArgument for kNone or where the system lacks
// the family.
absl::StatusOr<int> OpenStream(Endpoint::Family family, BlockingMode blocking);

// What keeps transfers on a socket from blocking.
enum class NonBlocking : uint8_t {
  kByCall,    // each call says so itself, or the caller may block: the mode is left as it is
  kBySocket,  // its mode (O_NONBLOCK)
};

// What TakeOverSocket changed.
struct SocketChanges {
  bool close_on_exec : 1 = false;
  bool non_blocking : 1 = false;
  bool no_delay : 1 = false;
  bool no_signal : 1 = false;

  // Of what all who have the socket share: copies of the descriptor, other processes.
  bool any_shared() const { return non_blocking || no_delay || no_signal; }
};

// Makes a socket that was made elsewhere, or was accepted, like the ones made here, and notes
// what that changed, also where it fails half-way. What can only be polled, because it is no
// socket or because it listens, is left as it is. InvalidArgument where it is not open.
absl::Status TakeOverSocket(int fd, NonBlocking non_blocking, SocketChanges* changes);

// Changes back what was changed, for whom the socket goes back to.
void GiveBackSocket(int fd, SocketChanges changes);
// The same for who has a copy of a descriptor that is to be closed.
void GiveBackShared(int fd, SocketChanges changes);

// kNone for an unnamed Unix-domain socket. FailedPrecondition where there is no peer,
// Unimplemented where `fd` is no socket, InvalidArgument where it is not open.
absl::StatusOr<Endpoint> LocalEndpoint(int fd);
absl::StatusOr<Endpoint> PeerEndpoint(int fd);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_SOCKETS_H_

// Sockets as every POSIX backend sets them up.
//
// All of them: close-on-exec; where the system has the option, no SIGPIPE; TCP without
// the Nagle delay; IPv6 sockets take no IPv4. Free functions without state: any thread.
// Every one makes system calls and may allocate: control plane only. Errors are statuses
// whose message is one sentence: which endpoint, what was wrong, what to do.
// A returned descriptor is the caller's to close.
#ifndef IORING_RING_POSIX_SOCKETS_H_
#define IORING_RING_POSIX_SOCKETS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/options.h"

namespace ioring::posix {

enum class BlockingMode : uint8_t { kBlocking, kNonBlocking };

// Binds and listens. Port 0 takes a free one (LocalEndpoint tells). Accepted sockets
// inherit the buffer sizes and, on Linux and FreeBSD, TCP_NODELAY; close-on-exec and the
// blocking mode are for accept4 to say.
//
// A Unix-domain path that is left over from a process that is gone is removed first: it
// is a socket and refuses a connection. The probe connects once to a listener that is
// alive. A path that is in use, or no socket, is left alone: AlreadyExists. On macOS and
// BSD a listener whose queue is full refuses too, and is taken for one that is gone
// (Linux says EAGAIN).
//
// AlreadyExists: the port is in use. PermissionDenied. ResourceExhausted: descriptors.
// NotFound: the path's folder. InvalidArgument: not an address of this machine, or not one
// that can be listened on; a Unix-domain path with `share_port`.
absl::StatusOr<int> OpenListener(const Endpoint& endpoint, const ListenerOptions& options,
                                 BlockingMode blocking);

// A datagram socket bound to `local` (port 0: any); errors and paths as OpenListener.
absl::StatusOr<int> OpenDatagram(const Endpoint& local, BlockingMode blocking);

// A stream socket to connect with. InvalidArgument for kNone or where the system lacks
// the family.
absl::StatusOr<int> OpenStream(Endpoint::Family family, BlockingMode blocking);

// Makes a descriptor that was made elsewhere, or was accepted, like the ones made here.
// Descriptors that are no sockets get close-on-exec and the blocking mode only. On an
// error the descriptor stays the caller's and may be partly set up.
absl::Status PrepareTakenOverSocket(int fd, BlockingMode blocking);

// kNone for an unnamed Unix-domain socket. FailedPrecondition where there is no peer,
// Unimplemented where `fd` is no socket, InvalidArgument where it is not open.
absl::StatusOr<Endpoint> LocalEndpoint(int fd);
absl::StatusOr<Endpoint> PeerEndpoint(int fd);

// Removes what a listener on a Unix-domain path left in the file system. Only sockets
// are removed; other files, missing ones, abstract names and other families are left
// alone, which is no error.
absl::Status RemoveUnixPath(const Endpoint& endpoint);

}  // namespace ioring::posix

#endif  // IORING_RING_POSIX_SOCKETS_H_

// UnixPath: the file that binding a Unix-domain socket to a path makes, and who may remove it.
//
// A path belongs to whoever bound it last: a successor may bind at another name and rename that
// over the path. So the file is known by device and inode, and only that file is removed.
// All functions make system calls and may allocate. Sources: unix(7), bind(2), connect(2),
// unlink(2), flock(2).
#ifndef IORING_RING_CORE_POSIX_UNIX_PATH_H_
#define IORING_RING_CORE_POSIX_UNIX_PATH_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "ring/endpoint.h"
#include "ring_core/posix/socket_address.h"

namespace ioring::posix {

// A path in the file system, as opposed to an abstract name and to other families.
bool IsUnixPath(const Endpoint& endpoint);

class UnixPath {
 public:
  // No file.
  UnixPath() = default;
  // What binding a socket to `endpoint` made just now; no file where it is no path. A later
  // change of the working directory does no harm.
  static UnixPath JustBound(const Endpoint& endpoint);

  // Removes the file, unless the path names another one by now or none, which is no error. To be
  // called while the socket is open: once that is closed and the file gone, the file system may
  // give the same inode to another file. Does nothing the second time.
  absl::Status Remove();

 private:
  std::string path_;  // absolute; empty: no file
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// Binds to a path that a socket file has, if no socket is bound to that any more: removes the
// file first. Returns 0, or errno's value: EADDRINUSE where a socket of any type is bound to it,
// listening or not, or where it is no socket. Connects to nobody.
//
// Of several that do this at the same time (any process, through this function) one succeeds:
// they take the lock of the folder (flock) for it, and wait at most 100 ms for it.
int BindOverAbandoned(int fd, const Endpoint& endpoint, const SocketAddress& address);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_UNIX_PATH_H_

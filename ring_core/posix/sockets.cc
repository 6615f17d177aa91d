#include "ring_core/posix/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/unix_path.h"

namespace ioring::posix {
namespace {

// Closes a descriptor unless it is released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

bool IsInternet(const Endpoint& endpoint) {
  return endpoint.family() == Endpoint::Family::kIpv4 ||
         endpoint.family() == Endpoint::Family::kIpv6;
}

bool IsSocketFile(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

bool Exists(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0;
}

bool IsLinkLocal(const Endpoint& endpoint) {
  return endpoint.family() == Endpoint::Family::kIpv6 && endpoint.address()[0] == 0xfe &&
         (endpoint.address()[1] & 0xc0) == 0x80;
}

std::string_view WhyUnixRefused(int code, const Endpoint& endpoint) {
  const std::string path(endpoint.path());
  switch (code) {
    case EADDRINUSE:
      if (IsUnixPath(endpoint) && Exists(path) && !IsSocketFile(path)) {
        return "a file that is no socket has that path; remove it or choose another path";
      }
      return "the path is in use; stop the program that has it or choose another path";
    case EACCES:
    case EPERM:
      return "no permission to make a socket there; choose a folder that this user may write to";
    case ENOENT:
    case ENOTDIR:
      return "the folder of the path does not exist; make it first or choose another path";
    case EROFS:
      return "the file system is read-only; choose another path";
    default:
      return "the system refuses";
  }
}

std::string_view WhyInternetRefused(int code, const Endpoint& endpoint) {
  switch (code) {
    case EADDRINUSE:
      return "the port is in use; stop the program that has it or choose another port";
    case EACCES:
    case EPERM:
      return endpoint.port() != 0 && endpoint.port() < 1024
                 ? "a port below 1024 takes a privilege; choose a higher one, or run with the "
                   "privilege (on Linux: CAP_NET_BIND_SERVICE)"
                 : "permission was denied; see what security policies this system has";
    case EADDRNOTAVAIL:
      return "the address is not one of this machine; choose one of its own, or 0.0.0.0 or [::] "
             "for all of them";
    case ENODEV:
      return "the scope after the '%' is no interface of this machine";
    case EINVAL:
      return IsLinkLocal(endpoint) ? "a link-local address needs its interface, like "
                                     "[fe80::1%eth0]:7777"
                                   : "the system refuses";
    default:
      return "the system refuses";
  }
}

// What keeps any socket from being made, or else what is wrong with the endpoint.
std::string_view WhyRefused(int code, const Endpoint& endpoint) {
  switch (code) {
    case EMFILE:
      return "the process is out of descriptors; raise its limit (ulimit -n) or open fewer";
    case ENFILE:
      return "the system is out of descriptors; close some elsewhere or raise its limit";
    case ENOBUFS:
    case ENOMEM:
      return "the system is out of memory for sockets";
    case EAFNOSUPPORT:
    case EPFNOSUPPORT:
      return "this system has no addresses of that family";
    default:
      return IsInternet(endpoint) ? WhyInternetRefused(code, endpoint)
                                  : WhyUnixRefused(code, endpoint);
  }
}

// What is done to an endpoint, for messages: "cannot listen on".
struct Purpose {
  std::string_view words;
  int type;  // SOCK_STREAM or SOCK_DGRAM
};
constexpr Purpose kListen = {"cannot listen on ", SOCK_STREAM};
constexpr Purpose kDatagram = {"cannot open a datagram socket on ", SOCK_DGRAM};

absl::Status Refused(int code, const Purpose& purpose, const Endpoint& endpoint) {
  return ErrnoStatus(
      code, absl::StrCat(purpose.words, endpoint.ToString(), ": ", WhyRefused(code, endpoint)));
}

absl::Status OptionRefused(std::string_view option) {
  return ErrnoStatus(errno, absl::StrCat("the system refuses to set ", option, " on a socket"));
}

bool SetOption(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

// No SIGPIPE, and no Nagle delay where it is TCP. Fails softly where the peer is gone
// already (macOS says EINVAL) or the protocol has no such option.
absl::Status SetTransferOptions(int fd, bool is_tcp) {
  const auto matters = [] {
    return errno != EINVAL && errno != ENOPROTOOPT && errno != EOPNOTSUPP;
  };
#if defined(SO_NOSIGPIPE)
  if (!SetOption(fd, SOL_SOCKET, SO_NOSIGPIPE, 1) && matters())
    return OptionRefused("SO_NOSIGPIPE");
#endif
  if (is_tcp && !SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1) && matters()) {
    return OptionRefused("TCP_NODELAY");
  }
  return absl::OkStatus();
}

bool GetOption(int fd, int level, int option, int* value) {
  socklen_t size = sizeof(*value);
  return getsockopt(fd, level, option, value, &size) == 0;
}

absl::Status ChangeFlags(int fd, NonBlocking non_blocking, SocketChanges* changes) {
  const int descriptor_flags = fcntl(fd, F_GETFD);
  const int status_flags = fcntl(fd, F_GETFL);
  const bool change_exec = (descriptor_flags & FD_CLOEXEC) == 0;
  const bool change_mode =
      non_blocking == NonBlocking::kBySocket && (status_flags & O_NONBLOCK) == 0;
  changes->close_on_exec = change_exec && fcntl(fd, F_SETFD, descriptor_flags | FD_CLOEXEC) == 0;
  changes->non_blocking = change_mode && fcntl(fd, F_SETFL, status_flags | O_NONBLOCK) == 0;
  if (change_exec == changes->close_on_exec && change_mode == changes->non_blocking) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, absl::StrCat("the system refuses to set flags on descriptor ", fd));
}

// As SetTransferOptions, noting what was not set before.
absl::Status ChangeOptions(int fd, bool is_tcp, SocketChanges* changes) {
  int no_delay = 0;
  const bool delays = is_tcp && GetOption(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay) && no_delay == 0;
#if defined(SO_NOSIGPIPE)
  int no_signal = 0;
  changes->no_signal = GetOption(fd, SOL_SOCKET, SO_NOSIGPIPE, &no_signal) && no_signal == 0;
#endif
  changes->no_delay = delays;
  return SetTransferOptions(fd, is_tcp);
}

int DomainOf(Endpoint::Family family) {
  switch (family) {
    case Endpoint::Family::kIpv4:
      return AF_INET;
    case Endpoint::Family::kIpv6:
      return AF_INET6;
    case Endpoint::Family::kUnix:
      return AF_UNIX;
    case Endpoint::Family::kNone:
      break;
  }
  return AF_UNSPEC;
}

#if !defined(SOCK_CLOEXEC) || !defined(SOCK_NONBLOCK)
// Close-on-exec and the blocking mode of a descriptor that exists already.
absl::Status SetDescriptorFlags(int fd, BlockingMode blocking) {
  const int descriptor_flags = fcntl(fd, F_GETFD);
  const int status_flags = fcntl(fd, F_GETFL);
  if (descriptor_flags < 0 || status_flags < 0) {
    return ErrnoStatus(errno, absl::StrCat("the descriptor ", fd, " is not open"));
  }
  const int wanted = blocking == BlockingMode::kNonBlocking ? status_flags | O_NONBLOCK
                                                            : status_flags & ~O_NONBLOCK;
  if (fcntl(fd, F_SETFD, descriptor_flags | FD_CLOEXEC) < 0 ||
      (wanted != status_flags && fcntl(fd, F_SETFL, wanted) < 0)) {
    return ErrnoStatus(errno, absl::StrCat("the system refuses to set flags on descriptor ", fd));
  }
  return absl::OkStatus();
}
#endif

// -1 with errno where it fails. Close-on-exec, in the blocking mode asked for.
int MakeSocket(Endpoint::Family family, int type, BlockingMode blocking) {
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  const int flags = SOCK_CLOEXEC | (blocking == BlockingMode::kNonBlocking ? SOCK_NONBLOCK : 0);
  return socket(DomainOf(family), type | flags, 0);
#else
  // A fork between the calls passes the descriptor on; this system has no way around it.
  Descriptor made(socket(DomainOf(family), type, 0));
  if (made.get() < 0 || !SetDescriptorFlags(made.get(), blocking).ok()) return -1;
  return made.Release();
#endif
}

// Binds, taking over the path of a process that is gone.
absl::Status Bind(int fd, const Endpoint& endpoint, const Purpose& purpose) {
  const absl::StatusOr<SocketAddress> address = ToSocketAddress(endpoint);
  if (!address.ok()) {
    return absl::Status(address.status().code(), absl::StrCat(purpose.words, endpoint.ToString(),
                                                              ": ", address.status().message()));
  }
  if (bind(fd, address->get(), address->size) == 0) return absl::OkStatus();
  int code = errno;
  if (code == EADDRINUSE && IsUnixPath(endpoint)) {
    code = BindOverAbandoned(fd, endpoint, *address);
    if (code == 0) return absl::OkStatus();
  }
  return Refused(code, purpose, endpoint);
}

absl::Status RefuseNone(const Endpoint& endpoint, const Purpose& purpose) {
  if (endpoint.family() != Endpoint::Family::kNone) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(purpose.words, "an endpoint without an address; give one like 127.0.0.1:7777"));
}

// OpenBSD's IPv6 sockets are so, and the option is refused there (its ip6(4)).
#if defined(__OpenBSD__)
constexpr bool kAlwaysIpv6Only = true;
#else
constexpr bool kAlwaysIpv6Only = false;
#endif

absl::Status SetIpv6Only(int fd, const Endpoint& endpoint) {
  if (kAlwaysIpv6Only || endpoint.family() != Endpoint::Family::kIpv6) return absl::OkStatus();
  if (!SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return OptionRefused("IPV6_V6ONLY");
  return absl::OkStatus();
}

absl::Status SetBufferSize(int fd, int option, uint32_t bytes, std::string_view name) {
  if (bytes == 0) return absl::OkStatus();
  const int value = static_cast<int>(std::min<uint32_t>(bytes, INT_MAX));
  if (!SetOption(fd, SOL_SOCKET, option, value)) return OptionRefused(name);
  return absl::OkStatus();
}

absl::Status SetReuse(int fd, const ListenerOptions& options) {
  // A port whose last connections are still fading away may be taken.
  if (!SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return OptionRefused("SO_REUSEADDR");
  if (!options.share_port) return absl::OkStatus();
    // FreeBSD shares connections out only with an option of its own.
#if defined(SO_REUSEPORT_LB)
  constexpr int kOption = SO_REUSEPORT_LB;
#else
  constexpr int kOption = SO_REUSEPORT;
#endif
  if (!SetOption(fd, SOL_SOCKET, kOption, 1)) return OptionRefused("SO_REUSEPORT");
  return absl::OkStatus();
}

absl::Status SetListenerOptions(int fd, const Endpoint& endpoint, const ListenerOptions& options) {
  if (IsInternet(endpoint)) {
    if (absl::Status status = SetReuse(fd, options); !status.ok()) return status;
    if (absl::Status status = SetIpv6Only(fd, endpoint); !status.ok()) return status;
  }
  if (absl::Status status = SetTransferOptions(fd, IsInternet(endpoint)); !status.ok()) {
    return status;
  }
  // Before listening: the window of accepted connections is settled by then.
  if (absl::Status status = SetBufferSize(fd, SO_RCVBUF, options.recv_buffer_bytes, "SO_RCVBUF");
      !status.ok()) {
    return status;
  }
  return SetBufferSize(fd, SO_SNDBUF, options.send_buffer_bytes, "SO_SNDBUF");
}

absl::Status CheckListenerOptions(const Endpoint& endpoint, const ListenerOptions& options) {
  if (absl::Status status = RefuseNone(endpoint, kListen); !status.ok()) return status;
  if (options.backlog < 1) {
    return absl::InvalidArgumentError(absl::StrCat(kListen.words, endpoint.ToString(),
                                                   ": the backlog is ", options.backlog,
                                                   ", but must be at least 1"));
  }
  if (options.share_port && !IsInternet(endpoint)) {
    return absl::InvalidArgumentError(absl::StrCat(
        kListen.words, endpoint.ToString(),
        " with share_port: only one listener fits on a Unix-domain path; use a single one"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Endpoint> NameOf(int fd, int (*ask)(int, sockaddr*, socklen_t*),
                                std::string_view side) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (ask(fd, address.get(), &address.size) != 0) {
    return ErrnoStatus(
        errno, absl::StrCat("the ", side, " endpoint of descriptor ", fd, " is not to be had"));
  }
  return FromSocketAddress(address.get(), address.size);
}

}  // namespace

absl::StatusOr<BoundSocket> OpenListener(const Endpoint& endpoint, const ListenerOptions& options,
                                         BlockingMode blocking) {
  if (absl::Status status = CheckListenerOptions(endpoint, options); !status.ok()) return status;
  Descriptor listener(MakeSocket(endpoint.family(), SOCK_STREAM, blocking));
  if (listener.get() < 0) return Refused(errno, kListen, endpoint);
  if (absl::Status status = SetListenerOptions(listener.get(), endpoint, options); !status.ok()) {
    return status;
  }
  if (absl::Status status = Bind(listener.get(), endpoint, kListen); !status.ok()) return status;
  UnixPath path = UnixPath::JustBound(endpoint);
  if (listen(listener.get(), options.backlog) != 0) {
    const int code = errno;
    path.Remove().IgnoreError();  // the first error is told
    return Refused(code, kListen, endpoint);
  }
  return BoundSocket{listener.Release(), std::move(path)};
}

absl::StatusOr<BoundSocket> OpenDatagram(const Endpoint& local, BlockingMode blocking) {
  if (absl::Status status = RefuseNone(local, kDatagram); !status.ok()) return status;
  Descriptor socket(MakeSocket(local.family(), SOCK_DGRAM, blocking));
  if (socket.get() < 0) return Refused(errno, kDatagram, local);
  if (absl::Status status = SetIpv6Only(socket.get(), local); !status.ok()) return status;
  if (absl::Status status = SetTransferOptions(socket.get(), /*is_tcp=*/false); !status.ok()) {
    return status;
  }
  if (absl::Status status = Bind(socket.get(), local, kDatagram); !status.ok()) return status;
  return BoundSocket{socket.Release(), UnixPath::JustBound(local)};
}

absl::StatusOr<int> OpenStream(Endpoint::Family family, BlockingMode blocking) {
  if (family == Endpoint::Family::kNone) {
    return absl::InvalidArgumentError(
        "an endpoint without an address cannot be connected to; give one like 127.0.0.1:7777");
  }
  Descriptor stream(MakeSocket(family, SOCK_STREAM, blocking));
  if (stream.get() < 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot make a socket to connect with: ",
                                           WhyRefused(errno, Endpoint())));
  }
  const bool is_tcp = family != Endpoint::Family::kUnix;
  if (absl::Status status = SetTransferOptions(stream.get(), is_tcp); !status.ok()) return status;
  return stream.Release();
}

absl::Status TakeOverSocket(int fd, NonBlocking non_blocking, SocketChanges* changes) {
  *changes = SocketChanges{};
  int type = 0;
  if (!GetOption(fd, SOL_SOCKET, SO_TYPE, &type)) {
    if (errno == ENOTSOCK) return absl::OkStatus();
    return ErrnoStatus(
        errno, errno == EBADF ? absl::StrCat("the descriptor ", fd, " is not open")
                              : absl::StrCat("the type of descriptor ", fd, " is not to be had"));
  }
  int listens = 0;
  if (GetOption(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens) && listens != 0) return absl::OkStatus();
  // First, since macOS does not tell the family of an accepted socket whose peer is gone.
  if (absl::Status status = ChangeFlags(fd, non_blocking, changes); !status.ok()) return status;
  sockaddr_storage local = {};
  socklen_t size = sizeof(local);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("the family of descriptor ", fd, " is not to be had"));
  }
  const bool is_internet = local.ss_family == AF_INET || local.ss_family == AF_INET6;
  return ChangeOptions(fd, is_internet && type == SOCK_STREAM, changes);
}

void GiveBackShared(int fd, SocketChanges changes) {
  if (changes.no_delay) SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 0);
#if defined(SO_NOSIGPIPE)
  if (changes.no_signal) SetOption(fd, SOL_SOCKET, SO_NOSIGPIPE, 0);
#endif
  if (!changes.non_blocking) return;
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

void GiveBackSocket(int fd, SocketChanges changes) {
  GiveBackShared(fd, changes);
  if (!changes.close_on_exec) return;
  const int flags = fcntl(fd, F_GETFD);
  if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
}

absl::StatusOr<Endpoint> LocalEndpoint(int fd) { return NameOf(fd, getsockname, "local"); }

absl::StatusOr<Endpoint> PeerEndpoint(int fd) { return NameOf(fd, getpeername, "peer's"); }

}  // namespace ioring::posix

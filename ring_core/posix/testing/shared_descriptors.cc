#include "ring_core/posix/testing/shared_descriptors.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/log/check.h"

namespace ioring::posix {
namespace {

Shared UnixPair(int type) {
  int ends[2];
  PCHECK(socketpair(AF_UNIX, type, 0, ends) == 0);
  Shared shared{type == SOCK_STREAM ? "stream pair" : "datagram pair", Descriptor(ends[0]), {}};
  shared.others.emplace_back(ends[1]);
  return shared;
}

}  // namespace

Descriptor Copy(const Descriptor& descriptor) { return Descriptor(dup(descriptor.get())); }

Shared Pipe() {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  Shared shared{"pipe", Descriptor(ends[0]), {}};
  shared.others.emplace_back(ends[1]);
  return shared;
}

Shared Terminal() {
  Descriptor master(posix_openpt(O_RDWR | O_NOCTTY));
  PCHECK(grantpt(master.get()) == 0);
  PCHECK(unlockpt(master.get()) == 0);
  const char* name = ptsname(master.get());
  PCHECK(name != nullptr);
  Shared shared{"terminal", Descriptor(open(name, O_RDWR | O_NOCTTY)), {}};
  shared.others.push_back(std::move(master));
  return shared;
}

Shared Listening() {
  Shared shared{"listening socket", Descriptor(socket(AF_INET, SOCK_STREAM, 0)), {}};
  PCHECK(listen(shared.descriptor.get(), 8) == 0);
  return shared;
}

Shared UnixStreams() { return UnixPair(SOCK_STREAM); }
Shared UnixDatagrams() { return UnixPair(SOCK_DGRAM); }

Shared TcpPair() {
  const Shared listener = Listening();
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  PCHECK(getsockname(listener.descriptor.get(), generic, &size) == 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Shared shared{"TCP", Descriptor(socket(AF_INET, SOCK_STREAM, 0)), {}};
  PCHECK(connect(shared.descriptor.get(), generic, size) == 0);
  shared.others.emplace_back(accept(listener.descriptor.get(), nullptr, nullptr));
  return shared;
}

Shared Udp() { return {"UDP", Descriptor(socket(AF_INET, SOCK_DGRAM, 0)), {}}; }

}  // namespace ioring::posix

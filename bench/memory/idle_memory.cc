#include "bench/memory/idle_memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/testing/server_process.h"
#include "pool/buffer_group.h"
#include "ring/drain.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

// For everything but connections.
constexpr rlim_t kOtherDescriptors = 100;
constexpr uint32_t kServerMade = 64;
constexpr uint32_t kSpareShare = 8;
// What the system has for one pair of addresses; the next ones get another of their own.
constexpr uint32_t kPerAddress = 20'000;
constexpr absl::Duration kDeadline = absl::Seconds(30);

// Anonymous memory in use, in bytes.
absl::StatusOr<uint64_t> AnonymousBytes(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/smaps_rollup"));
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint64_t kibibytes = 0;
    if (words.size() == 3 && words[0] == "Anonymous:" && absl::SimpleAtoi(words[1], &kibibytes)) {
      return kibibytes << 10;
    }
  }
  return absl::NotFoundError("no figure \"Anonymous\" in /proc/PID/smaps_rollup (Linux 5.11)");
}

// Raises the limit as far as it goes; how many of `wanted` connections it allows.
uint32_t AllowDescriptors(uint32_t wanted, uint32_t per_connection) {
  const rlim_t needed = rlim_t{wanted} * per_connection + kOtherDescriptors;
  rlimit limit = {};
  PCHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_max < needed) {
    const rlimit more = {needed, needed};
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) return wanted;  // for root only
  }
  limit.rlim_cur = limit.rlim_max;
  PCHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlim_t allowed = (limit.rlim_max - kOtherDescriptors) / per_connection;
  return static_cast<uint32_t>(std::min<rlim_t>(wanted, allowed));
}

IdleMemory UseRing(BackendKind backend, uint32_t connections) {
  connections = AllowDescriptors(connections, 2);
  RingOptions options;
  options.max_connections = connections;
  absl::StatusOr<CreatedRing> created = CreateRing(options, backend);
  CHECK_OK(created.status());
  const std::unique_ptr<Ring> ring = std::move(created->ring);
  const absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(*ring, {});
  CHECK_OK(group.status());
  ring->Submit();
  const uint64_t before = AnonymousBytes(getpid()).value();
  for (uint32_t i = 0; i < connections; ++i) {
    int ends[2];
    PCHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const absl::StatusOr<ConnectionId> id = ring->RegisterSocket(ends[0]);
    CHECK_OK(id.status());
    if (ring->SubmissionQueueSpace() == 0) ring->Submit();
    CHECK(ring->PrepareRecvManaged(*id, (*group)->id(), Shots::kMultishot, Token{i}) ==
          Prepared::kAccepted);
  }
  // So that receives are tried and wait.
  ring->SubmitAndWait({.timeout = std::chrono::nanoseconds(0)});
  const uint64_t after = AnonymousBytes(getpid()).value();
  CHECK_EQ(ring->InFlight(), connections) << "a receive has ended";
  const IdleMemory memory = {connections, static_cast<double>(after - before) / connections};
  CHECK_OK(Drain(*ring, std::chrono::steady_clock::now() + std::chrono::seconds(60)));
  return memory;
}

// As many connections as `sockets` has room for, from as many addresses as that takes.
absl::Status ConnectAll(const std::string& address, std::vector<int>& sockets) {
  const std::vector<std::string> sides = absl::StrSplit(address, ':');
  uint32_t port = 0;
  if (sides.size() != 2 || !absl::SimpleAtoi(sides[1], &port)) {
    return absl::InvalidArgumentError(absl::StrCat("the server listens on ", address));
  }
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(port));
  for (size_t i = 0; i < sockets.size(); ++i) {
    sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sockets[i] < 0) return absl::ErrnoToStatus(errno, "socket");
    sockaddr_in from = {};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + static_cast<uint32_t>(i / kPerAddress));
    const int on = 1;
    setsockopt(sockets[i], IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(sockets[i], reinterpret_cast<const sockaddr*>(&from), sizeof(from)) < 0 ||
        connect(sockets[i], reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("connection ", i));
    }
  }
  return absl::OkStatus();
}

// The server has accepted all of them when the last one's byte is back.
absl::Status AwaitEcho(int socket) {
  char byte = 'x';
  const timeval patience = {.tv_sec = 30};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  // A wait with a time limit is interrupted when the process was stopped and goes on (signal(7)).
  const auto receive = [&] {
    ssize_t received;
    do {
      received = recv(socket, &byte, 1, 0);
    } while (received < 0 && errno == EINTR);
    return received;
  };
  if (send(socket, &byte, 1, MSG_NOSIGNAL) == 1 && receive() == 1) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, "the server does not answer its last connection");
}

absl::StatusOr<std::unique_ptr<ServerProcess>> StartServer(const std::string& program,
                                                           BackendKind backend,
                                                           uint32_t connections) {
  return ServerProcess::Start(
      {.command = {program, "--listen=127.0.0.1:0", "--idle_timeout=0", "--engine=managed",
                   absl::StrCat("--backend=", BackendKindName(backend)),
                   absl::StrCat("--max_connections=", connections)}});
}

absl::StatusOr<uint64_t> ServerBytes(const std::string& program, BackendKind backend, uint32_t made,
                                     uint32_t connections) {
  absl::StatusOr<std::unique_ptr<ServerProcess>> server = StartServer(program, backend, made);
  if (!server.ok()) return server.status();
  std::vector<int> sockets(connections, -1);
  absl::Status status = ConnectAll((*server)->address(), sockets);
  if (status.ok()) status = AwaitEcho(sockets.back());
  const absl::StatusOr<uint64_t> bytes = AnonymousBytes((*server)->pid());
  for (const int socket : sockets) {
    if (socket >= 0) close(socket);
  }
  (*server)->Signal(SIGTERM);
  (*server)->WaitForExit(kDeadline);
  if (!status.ok()) return status;
  return bytes;
}

}  // namespace

void DisableHugePages() { prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }

absl::StatusOr<IdleMemory> MeasureRing(BackendKind backend, uint32_t connections) {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  const pid_t child = fork();
  PCHECK(child >= 0);
  if (child == 0) {
    const IdleMemory memory = UseRing(backend, connections);
    _exit(write(ends[1], &memory, sizeof(memory)) == ssize_t{sizeof(memory)} ? 0 : 1);
  }
  close(ends[1]);
  IdleMemory memory;
  const bool told = read(ends[0], &memory, sizeof(memory)) == ssize_t{sizeof(memory)};
  close(ends[0]);
  waitpid(child, nullptr, 0);
  if (told) return memory;
  return absl::AbortedError("the ring's process ended early; what it said is above");
}

absl::StatusOr<IdleMemory> MeasureServer(const std::string& program, BackendKind backend,
                                         uint32_t connections) {
  // The server keeps room for connections that it refuses, and its table of direct descriptors may
  // not be longer than the limit.
  connections = AllowDescriptors(connections + connections / kSpareShare, 1);
  connections -= connections / kSpareShare;
  const absl::StatusOr<uint64_t> base = ServerBytes(program, backend, kServerMade, 1);
  if (!base.ok()) return base.status();
  const absl::StatusOr<uint64_t> full = ServerBytes(program, backend, connections, connections);
  if (!full.ok()) return full.status();
  const auto difference = static_cast<double>(*full) - static_cast<double>(*base);
  return IdleMemory{connections, difference / connections};
}

}  // namespace ioring

// What the hand-written echo servers share: flags, the listening socket, the end.
//
// These servers are the yardstick of the library's own: each is what somebody who knows
// one technique well would write by hand for exactly this task, in one file, without any
// of the library. They depend on nothing here but this header.
#ifndef IORING_BENCH_BASELINE_BASELINE_H_
#define IORING_BENCH_BASELINE_BASELINE_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

namespace baseline {

[[noreturn]] inline void Die(const char* what, int error) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
  std::exit(1);
}

// Takes "--name=number" (or "--name", which counts as 1) out of the command line.
class Flags {
 public:
  Flags(int argc, char** argv) : argc_(argc), argv_(argv) {}

  // Ends the program where the number is none from `min` to `max`.
  uint32_t Take(std::string_view name, uint32_t value, uint32_t min, uint32_t max) {
    for (int i = 1; i < argc_; ++i) {
      std::string_view argument = argv_[i];
      if (!argument.starts_with(name)) continue;
      argument.remove_prefix(name.size());
      if (argument.empty()) {
        value = 1;
      } else if (argument.front() == '=') {
        value = Number(argument.substr(1), argv_[i], min, max);
      } else {
        continue;
      }
      ++taken_;
    }
    return value;
  }

  // Call after the last `Take`.
  void RefuseUnknown(const char* usage) const {
    if (taken_ == argc_ - 1) return;
    std::fprintf(stderr, "usage: %s\n", usage);
    std::exit(1);
  }

 private:
  static uint32_t Number(std::string_view text, const char* argument, uint32_t min, uint32_t max) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool good = error == std::errc() && end == text.data() + text.size();
    if (good && number >= min && number <= max) return number;
    std::fprintf(stderr, "%s: it takes a number from %u to %u\n", argument, min, max);
    std::exit(1);
  }

  int argc_;
  char** argv_;
  int taken_ = 0;
};

// What flags may ask for.
inline constexpr uint32_t kPortMax = 65535;
inline constexpr uint32_t kBufferSizeMax = 1u << 30;
inline constexpr uint32_t kConnectionsMax = 1u << 20;

// Listens on 127.0.0.1. Accepted sockets inherit TCP_NODELAY.
inline int Listen(uint32_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) Die("socket", errno);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  socklen_t length = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) < 0) Die("bind", errno);
  if (listen(listener, 4096) < 0) Die("listen", errno);
  return listener;
}

// Says where clients find the server. Call when nothing can go wrong any more.
inline void Announce(int listener) {
  sockaddr_in address = {};
  socklen_t length = sizeof(address);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
  if (std::fflush(stdout) != 0) Die("standard output", errno);
}

// The descriptors that this process may open, after raising the soft limit.
inline uint32_t RaiseDescriptorLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<uint32_t>(std::min<rlim_t>(limit.rlim_cur, 1u << 20));
}

// A descriptor that becomes readable when the server is asked to end. Call before
// anything else: a signal before that ends the program at once.
inline int StopDescriptor() {
  // Else a socket would take its place.
  if (fcntl(STDOUT_FILENO, F_GETFD) < 0) Die("standard output", errno);
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int stop = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (stop < 0) Die("signalfd", errno);
  return stop;
}

inline void PrintCpuTime() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  std::printf("cpu_seconds=%.6f\n", seconds(usage.ru_utime) + seconds(usage.ru_stime));
  if (std::fflush(stdout) != 0) Die("standard output", errno);
}

}  // namespace baseline

#endif  // IORING_BENCH_BASELINE_BASELINE_H_

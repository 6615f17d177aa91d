// An echo server on level-triggered epoll, the way everybody writes it: when a socket is
// readable read once, write what came, and wait for the socket to become writable only
// when it would not take everything.

#include <sys/epoll.h>

#include <memory>
#include <vector>

#include "bench/baseline/baseline.h"

namespace {

constexpr int kEventsMax = 256;

struct Connection {
  int fd = -1;
  std::vector<char> unsent;  // what the socket did not take; nothing is read meanwhile
  size_t unsent_offset = 0;
};

class Server {
 public:
  Server(int listener, int stop, uint32_t buffer_size)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), listener_(listener), stop_(stop) {
    if (epoll_ < 0) baseline::Die("epoll_create1", errno);
    buffer_.resize(buffer_size);
    Control(EPOLL_CTL_ADD, listener_, EPOLLIN);
    Control(EPOLL_CTL_ADD, stop_, EPOLLIN);
  }

  void Run() {
    epoll_event events[kEventsMax];
    for (;;) {
      const int count = epoll_wait(epoll_, events, kEventsMax, -1);
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == stop_) return;
        if (events[i].data.fd == listener_) {
          Accept();
        } else {
          Handle(*connections_[events[i].data.fd], events[i].events);
        }
      }
    }
  }

 private:
  void Control(int operation, int fd, uint32_t events) {
    epoll_event event = {};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, operation, fd, &event) < 0) baseline::Die("epoll_ctl", errno);
  }

  void Accept() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN) return;
        // Out of descriptors or memory: a listener that stays armed would spin.
        Control(EPOLL_CTL_MOD, listener_, 0);
        accepting_ = false;
        return;
      }
      if (connections_.size() <= static_cast<size_t>(fd)) connections_.resize(fd + 1);
      connections_[fd] = std::make_unique<Connection>();
      connections_[fd]->fd = fd;
      Control(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  void Handle(Connection& connection, uint32_t events) {
    if ((events & EPOLLERR) != 0) return Close(connection);
    if (!connection.unsent.empty()) {
      SendRest(connection);
    } else if ((events & (EPOLLIN | EPOLLHUP)) != 0) {
      Echo(connection);
    }
  }

  void Echo(Connection& connection) {
    const ssize_t received = read(connection.fd, buffer_.data(), buffer_.size());
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (received <= 0) return Close(connection);
    ssize_t sent = write(connection.fd, buffer_.data(), received);
    if (sent == received) return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Close(connection);
    sent = std::max<ssize_t>(sent, 0);
    connection.unsent.assign(buffer_.data() + sent, buffer_.data() + received);
    connection.unsent_offset = 0;
    Control(EPOLL_CTL_MOD, connection.fd, EPOLLOUT);
  }

  void SendRest(Connection& connection) {
    const size_t rest = connection.unsent.size() - connection.unsent_offset;
    const ssize_t sent =
        write(connection.fd, connection.unsent.data() + connection.unsent_offset, rest);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) return Close(connection);
    connection.unsent_offset += sent;
    if (connection.unsent_offset < connection.unsent.size()) return;
    connection.unsent.clear();
    Control(EPOLL_CTL_MOD, connection.fd, EPOLLIN);
  }

  void Close(Connection& connection) {
    const int fd = connection.fd;
    close(fd);
    connections_[fd].reset();
    if (accepting_) return;
    Control(EPOLL_CTL_MOD, listener_, EPOLLIN);
    accepting_ = true;
  }

  const int epoll_;
  const int listener_;
  const int stop_;
  bool accepting_ = true;
  std::vector<char> buffer_;  // shared: it is empty again before the next event
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
};

}  // namespace

int main(int argc, char** argv) {
  baseline::Flags flags(argc, argv);
  const uint32_t port = flags.Take("--listen", 0, 0, baseline::kPortMax);
  const uint32_t buffer_size = flags.Take("--buffer_size", 65536, 1, baseline::kBufferSizeMax);
  flags.RefuseUnknown("epoll_level [--listen=PORT] [--buffer_size=BYTES]");

  const int stop = baseline::StopDescriptor();
  baseline::RaiseDescriptorLimit();
  const int listener = baseline::Listen(port);
  Server server(listener, stop, buffer_size);
  baseline::Announce(listener);
  server.Run();
  baseline::PrintCpuTime();
  return 0;
}

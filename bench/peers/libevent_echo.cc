// An echo server on libevent, as its book writes a low-level one: events of a socket, and calls of
// one's own. Its bufferevents would read no more than 4 KiB at once (EVBUFFER_MAX_READ, 2.1),
// where the other servers take 64 KiB.
#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string>

namespace {

// It waits for one of two: for bytes, or, while some are left to be sent, for room for them.
class Connection {
 public:
  Connection(event_base* base, int socket)
      : socket_(socket),
        readable_(event_new(base, socket, EV_READ | EV_PERSIST, OnReadable, this)),
        writable_(event_new(base, socket, EV_WRITE | EV_PERSIST, OnWritable, this)) {
    event_add(readable_, nullptr);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    event_free(readable_);
    event_free(writable_);
    close(socket_);
  }

 private:
  static bool TryAgain() { return errno == EAGAIN || errno == EINTR; }

  static void OnReadable(evutil_socket_t socket, short, void* argument) {
    static char buffer[65536];  // shared: it is empty again before the next event
    auto* connection = static_cast<Connection*>(argument);
    const ssize_t received = recv(socket, buffer, sizeof(buffer), 0);
    if (received < 0 && TryAgain()) return;
    if (received <= 0) {
      delete connection;
      return;
    }
    ssize_t sent = send(socket, buffer, static_cast<size_t>(received), 0);
    if (sent < 0 && TryAgain()) sent = 0;
    if (sent < 0) {
      delete connection;
    } else if (sent < received) {
      connection->left_.assign(buffer + sent, static_cast<size_t>(received - sent));
      event_del(connection->readable_);
      event_add(connection->writable_, nullptr);
    }
  }

  static void OnWritable(evutil_socket_t socket, short, void* argument) {
    auto* connection = static_cast<Connection*>(argument);
    const ssize_t sent = send(socket, connection->left_.data(), connection->left_.size(), 0);
    if (sent < 0 && TryAgain()) return;
    if (sent < 0) {
      delete connection;
      return;
    }
    connection->left_.erase(0, static_cast<size_t>(sent));
    if (!connection->left_.empty()) return;
    event_del(connection->writable_);
    event_add(connection->readable_, nullptr);
  }

  const int socket_;
  event* const readable_;
  event* const writable_;
  std::string left_;  // what is still to be sent
};

void OnConnection(evconnlistener* listener, evutil_socket_t socket, sockaddr*, int, void*) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  new Connection(evconnlistener_get_base(listener), socket);  // it ends with its client's
}

}  // namespace

int main() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  signal(SIGPIPE, SIG_IGN);

  event_base* base = event_base_new();
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  evconnlistener* listener = evconnlistener_new_bind(
      base, OnConnection, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096,
      reinterpret_cast<sockaddr*>(&address), sizeof(address));
  if (listener == nullptr) {
    std::perror("listen");
    return 1;
  }
  socklen_t length = sizeof(address);
  getsockname(evconnlistener_get_fd(listener), reinterpret_cast<sockaddr*>(&address), &length);
  event* terminate = evsignal_new(
      base, SIGTERM,
      [](evutil_socket_t, short, void* loop) {
        event_base_loopbreak(static_cast<event_base*>(loop));
      },
      base);
  event_add(terminate, nullptr);
  std::printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
  std::fflush(stdout);
  event_base_dispatch(base);
  event_free(terminate);
  evconnlistener_free(listener);
  event_base_free(base);
  return 0;
}

// An echo server on libevent, as its book writes one: a bufferevent per connection, whose input is
// moved to its output without a copy.
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>

namespace {

void OnRead(bufferevent* connection, void*) {
  evbuffer_add_buffer(bufferevent_get_output(connection), bufferevent_get_input(connection));
}

void OnEnd(bufferevent* connection, short, void*) { bufferevent_free(connection); }

void OnConnection(evconnlistener* listener, evutil_socket_t socket, sockaddr*, int, void*) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  event_base* base = evconnlistener_get_base(listener);
  bufferevent* connection = bufferevent_socket_new(base, socket, BEV_OPT_CLOSE_ON_FREE);
  // As large pieces as the other servers take.
  bufferevent_set_max_single_read(connection, 65536);
  bufferevent_set_max_single_write(connection, 65536);
  bufferevent_setcb(connection, OnRead, nullptr, OnEnd, nullptr);
  bufferevent_enable(connection, EV_READ | EV_WRITE);
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

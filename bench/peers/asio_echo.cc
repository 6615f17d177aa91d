// An echo server on Asio, as Asio's own echo examples are written: a session that keeps itself
// alive by a shared pointer, reads some, writes all, and reads again. One thread, which Asio is
// told.
//
// With ASIO_HAS_IO_URING and ASIO_DISABLE_EPOLL defined it runs on Asio's io_uring backend.
#include <sys/resource.h>

#include <asio.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace {

using asio::ip::tcp;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : socket_(std::move(socket)) {}

  void Read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](std::error_code error, std::size_t count) {
                              if (!error) self->Write(count);
                            });
  }

 private:
  void Write(std::size_t count) {
    asio::async_write(socket_, asio::buffer(buffer_.data(), count),
                      [self = shared_from_this()](std::error_code error, std::size_t) {
                        if (!error) self->Read();
                      });
  }

  tcp::socket socket_;
  std::vector<char> buffer_ = std::vector<char>(65536);
};

void Accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](std::error_code error, tcp::socket socket) {
    if (!error) {
      std::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      std::make_shared<Session>(std::move(socket))->Read();
    }
    if (acceptor.is_open()) Accept(acceptor);
  });
}

}  // namespace

int main() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);

  asio::io_context context(1);
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  acceptor.listen(4096);
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](std::error_code, int) { context.stop(); });
  std::printf("listening on 127.0.0.1:%u\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  Accept(acceptor);
  context.run();
  return 0;
}

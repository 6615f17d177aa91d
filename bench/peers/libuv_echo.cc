// An echo server on libuv, as its guide writes one: a buffer for each read, which its write takes
// over and frees. What can be written at once is (uv_try_write), as libuv's documentation advises.
#include <sys/resource.h>
#include <uv.h>

#include <cstdio>
#include <cstdlib>

namespace {

constexpr size_t kBufferBytes = 65536;

struct Write {
  uv_write_t request;
  char* memory;
};

void Check(int result, const char* what) {
  if (result >= 0) return;
  std::fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
  std::exit(1);
}

void Close(uv_stream_t* stream) {
  auto* handle = reinterpret_cast<uv_handle_t*>(stream);
  if (uv_is_closing(handle) != 0) return;
  uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_tcp_t*>(closed); });
}

// One buffer for all streams: what is in it is written, or copied, before the next read.
char shared[kBufferBytes];

void GiveBuffer(uv_handle_t*, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(shared, kBufferBytes);
}

void OnWritten(uv_write_t* request, int status) {
  auto* write = reinterpret_cast<Write*>(request);
  uv_stream_t* stream = request->handle;
  std::free(write->memory);
  delete write;
  if (status < 0) Close(stream);
}

void OnRead(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  if (count == 0) return;
  if (count < 0) return Close(stream);
  uv_buf_t bytes = uv_buf_init(buffer->base, static_cast<unsigned>(count));
  // Nothing is passed by what waits to be written already.
  int sent = 0;
  if (uv_stream_get_write_queue_size(stream) == 0) {
    sent = uv_try_write(stream, &bytes, 1);
    if (sent == count) return;
    if (sent == UV_EAGAIN) sent = 0;
    if (sent < 0) return Close(stream);
  }
  const auto rest = static_cast<size_t>(count - sent);
  auto* write = new Write;
  write->memory = static_cast<char*>(std::malloc(rest));
  __builtin_memcpy(write->memory, buffer->base + sent, rest);
  bytes = uv_buf_init(write->memory, static_cast<unsigned>(rest));
  Check(uv_write(&write->request, stream, &bytes, 1, OnWritten), "uv_write");
}

void OnConnection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* client = new uv_tcp_t;
  Check(uv_tcp_init(listener->loop, client), "uv_tcp_init");
  auto* stream = reinterpret_cast<uv_stream_t*>(client);
  if (uv_accept(listener, stream) < 0) return Close(stream);
  uv_tcp_nodelay(client, 1);
  Check(uv_read_start(stream, GiveBuffer, OnRead), "uv_read_start");
}

}  // namespace

int main() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);

  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  Check(uv_tcp_init(loop, &listener), "uv_tcp_init");
  sockaddr_in address;
  Check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
  Check(uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0), "uv_tcp_bind");
  Check(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, OnConnection), "uv_listen");
  int length = sizeof(address);
  uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&address), &length);

  uv_signal_t terminate;
  uv_signal_init(loop, &terminate);
  uv_signal_start(
      &terminate, [](uv_signal_t* signal, int) { uv_stop(signal->loop); }, SIGTERM);
  std::printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
  std::fflush(stdout);
  uv_run(loop, UV_RUN_DEFAULT);
  return 0;
}

// A server of requests and replies over streams: what http_server.cc and resp_server.cc share. Each
// has a protocol of its own.
//
// - Memory is bounded for each connection. Where a peer sends more than is answered, or does not
//   read its replies, the server stops receiving from it until there is room.
// - A peer that is silent for the longest silence is closed. So is one that reads too little of its
//   replies: a send completes when the system's buffer has room, and on Linux that is when a third
//   of it (up to 1.4 MB) was read. With a longest silence of 60 s a peer must read 24 kB/s.
// - After the peer's end (FIN) its requests are still answered, and then the connection is closed.
// - A request to stop the program (SIGTERM) ends the server: replies that were made are sent first.
//
// Threads: one. Cost: one multishot receive for each connection, into buffers that all share; what
// arrives is copied once, so that a request is one piece.
#ifndef IORING_EXAMPLES_STREAM_SERVER_H_
#define IORING_EXAMPLES_STREAM_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ioring {

// What a connection may have sent and not been answered: from there on nothing is received.
inline constexpr size_t kInputBytesMax = size_t{2} << 20;

struct Reply {
  size_t consumed = 0;  // bytes of the request; 0: it is not complete yet
  bool close = false;   // nothing after it is read, and the connection is closed once all is sent
};

// The protocol of one connection.
class Protocol {
 public:
  virtual ~Protocol() = default;
  // Looks at the first request of `input`, and appends what is to be sent to `output`. `input` is
  // what was received and not consumed, never empty, and begins where the last request ended. A
  // request that grows beyond kInputBytesMax is to be answered with an error and `close` before it
  // does; otherwise the connection is closed without a word.
  virtual Reply OnInput(std::string_view input, std::string& output) = 0;
};

using ProtocolFactory = std::function<std::unique_ptr<Protocol>()>;

// The main function of such a server. Its arguments are [ADDRESS [SILENCE_SECONDS]]; the address is
// 127.0.0.1:0 unless said, the longest silence 60 s. Returns the exit code.
int StreamMain(std::string_view program, int argc, char** argv, ProtocolFactory make_protocol);

}  // namespace ioring

#endif  // IORING_EXAMPLES_STREAM_SERVER_H_

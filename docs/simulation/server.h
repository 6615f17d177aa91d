// Sends back what one client sends, to the last byte. Knows nothing of a simulation.
#ifndef SERVER_H_
#define SERVER_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "ring/ring.h"

class Server {
 public:
  Server(ioring::Ring& ring, const ioring::Endpoint& address) : ring_(ring) {
    const ioring::ListenerId listener = *ring.CreateListener(address, {});
    Check(ring.PrepareAccept(listener, ioring::Shots::kOneShot, TokenOf(Kind::kAccept)));
  }
  // Takes all completions that the ring has.
  void Turn() {
    for (const ioring::Completion& completion : ring_.Completions()) Handle(completion);
  }

 private:
  enum class Kind : uint8_t { kAccept, kRecv, kSend, kClose };

  static ioring::Token TokenOf(Kind kind) { return ioring::MakeToken(kind); }
  static void Check(ioring::Prepared prepared) {
    if (prepared != ioring::Prepared::kAccepted) std::abort();  // one client fits into any ring
  }
  void Handle(const ioring::Completion& completion) {
    const auto bytes = static_cast<size_t>(std::max(completion.result, 0));
    switch (ioring::KindOf<Kind>(completion.token)) {
      case Kind::kAccept:
        client_ = completion.connection();
        return Recv();
      case Kind::kRecv:
        queue_.append(memory_, 0, bytes);
        has_ended_ = bytes == 0;
#ifdef DROPS_QUEUE_AT_END
        if (has_ended_) queue_.clear();
#endif
        if (!has_ended_) Recv();
        return Send();
      case Kind::kSend:
        sent_.clear();
        queue_.erase(0, completion.ok() ? bytes : std::string::npos);
        return Send();
      case Kind::kClose:
        return;
    }
  }
  void Recv() {
    Check(ring_.PrepareRecv(client_, std::as_writable_bytes(std::span(memory_)),
                            TokenOf(Kind::kRecv)));
  }
  void Send() {
    if (!sent_.empty()) return;
    sent_ = queue_;
    if (!sent_.empty()) {
      Check(ring_.PrepareSend(client_, std::as_bytes(std::span(sent_)), TokenOf(Kind::kSend)));
    } else if (has_ended_) {
      Check(ring_.PrepareClose(client_, ioring::CloseMode::kGraceful, TokenOf(Kind::kClose)));
    }
  }

  ioring::Ring& ring_;
  ioring::ConnectionId client_;
  std::string memory_ = std::string(100, '\0');
  std::string queue_;  // to be sent
  std::string sent_;   // the ring's while a send is in flight
  bool has_ended_ = false;
};

#endif  // SERVER_H_

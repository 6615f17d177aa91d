// Acceptor: accepts the connections of a listener, one after another.
//
//   Acceptor acceptor(retries, MakeToken(Kind::kAccept));
//   acceptor.Start(listener);
//   ...
//   case Kind::kAccept:  // of a completion's token
//     if (acceptor.Handle(completion) == AcceptOutcome::kAccepted) Serve(completion.connection());
//
// One multishot accept is in flight, and the next one is prepared where that ends. Where
// descriptors or memory are short, the connection stays in the listener's queue, and another accept
// would fail at once. So the acceptor waits for kPause before it accepts again.
//
// Requires: `retries` and its ring live longer. Each completion with the token goes to Handle,
// and no other operation has that token.
// Effects: those of accepts and timeouts, all with the token.
// Errors: none. An accept that the ring has no room for waits in `retries`.
// Cost: no allocation, but for what Retries allocates.
// Threads: the ring's thread only.
#ifndef IORING_RING_ACCEPTOR_H_
#define IORING_RING_ACCEPTOR_H_

#include <chrono>
#include <cstdint>

#include "ring/completion.h"
#include "ring/id.h"
#include "ring/retries.h"
#include "ring/token.h"

namespace ioring {

// The meaning of an accept's completion.
enum class AcceptOutcome : uint8_t {
  kAccepted,  // there is a new connection
  kRefused,   // the ring had no id for the connection, and closed it
  kFailed,    // descriptors or memory were short
  kNothing,   // the peer left before it was accepted, or the accept was cancelled
};

AcceptOutcome AcceptOutcomeOf(const Completion& completion);

class Acceptor {
 public:
  static constexpr std::chrono::milliseconds kPause{100};

  Acceptor(Retries& retries, Token token) : retries_(retries), token_(token) {}
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Accepts connections of `listener` from now on. Requires: called once.
  void Start(ListenerId listener);
  // Takes a completion with the token. The end of a pause is kNothing.
  AcceptOutcome Handle(const Completion& completion);
  // Prepares no further accept. Requires: the listener is closed next, which ends the accept in
  // flight; Handle still takes its completions.
  void Stop() { listener_ = ListenerId(); }

 private:
  void Accept();

  Retries& retries_;
  const Token token_;
  ListenerId listener_;      // not set: nothing is to be accepted
  bool is_pausing_ = false;  // a timeout is in flight, and no accept
};

}  // namespace ioring

#endif  // IORING_RING_ACCEPTOR_H_

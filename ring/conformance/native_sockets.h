// What the conformance suite needs of a system and no ring makes: sockets of other kinds, whose
// other end is the test's own.
#ifndef IORING_RING_CONFORMANCE_NATIVE_SOCKETS_H_
#define IORING_RING_CONFORMANCE_NATIVE_SOCKETS_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ring/options.h"

namespace ioring {

// The test's end of a connected pair of sockets that transfer messages. It blocks, but for no
// longer than a test has patience.
class NativePeer {
 public:
  virtual ~NativePeer() = default;
  // Sends one message, which may be empty. Fails the test where it cannot.
  virtual void Send(std::string_view message) = 0;
  // Receives one. Fails the test where none comes.
  virtual std::string Receive() = 0;
};

struct NativePair {
  NativeHandle handle = kNoNativeHandle;  // for RegisterSocket
  std::unique_ptr<NativePeer> peer;       // closes its end
};

// A kind of sockets that a system may have.
struct NativeKind {
  std::string name;
  // Messages in a sequence that has an end (SOCK_SEQPACKET); else datagrams.
  bool is_sequenced = false;
  // A status where this system has none such.
  std::function<absl::StatusOr<NativePair>()> make;
};

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_NATIVE_SOCKETS_H_

// Request: the value of one operation that a caller prepares, as a backend takes it.
//
// This header is for authors of backends. Callers use Ring's Prepare functions, which make these
// values and check them first: a backend sees no unknown poll event, no negative delay, no null
// pointer and no empty span of a read, write or RecvFrom. Ids may be stale.
//
// A further operation costs one type here, its place in `Request`, and in each backend one
// overload of Begin, without which the backend does not compile. Receives, sends and managed
// receives are not among these: they have functions of their own in RingBackend, whose arguments
// fit into registers.
//
// Lifetime: an Endpoint that is pointed to is read before Start returns, unless it says otherwise.
#ifndef IORING_RING_REQUEST_H_
#define IORING_RING_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {

// The manner of a transfer. It has eight bytes, so that it fits into one register.
class TransferTraits {
 public:
  // `in_kernel`: the system has the memory registered. `unit`: the registered memory, see
  // BufferTable; kNoUnit where it is not.
  explicit constexpr TransferTraits(TransferFlags flags = TransferFlags::kNone,
                                    bool in_kernel = false, uint32_t unit = 0)
      : bits_(uint64_t{unit} << 32 | uint64_t{in_kernel} << 8 | static_cast<uint8_t>(flags)) {}

  constexpr TransferFlags flags() const { return TransferFlags{static_cast<uint8_t>(bits_)}; }
  constexpr bool in_kernel() const { return (bits_ & 0x100) != 0; }
  constexpr uint32_t unit() const { return static_cast<uint32_t>(bits_ >> 32); }

 private:
  // One number, and taken apart where a part is used: a struct would be taken apart at once, and
  // need as many registers.
  uint64_t bits_;
};
static_assert(sizeof(TransferTraits) == 8);

namespace request {

// Completes with `result`. Ring uses it with an error for a request whose values are wrong.
struct Nop {
  int32_t result = 0;
};
struct Accept {
  ListenerId listener;
  Shots shots;
};
struct Connect {
  const Endpoint* endpoint;
};
struct RecvFrom {
  ConnectionId socket;
  std::span<std::byte> memory;
  Endpoint* source;  // written before the completion
};
struct SendTo {
  ConnectionId socket;
  std::span<const std::byte> memory;
  const Endpoint* destination;
};
struct Shutdown {
  ConnectionId connection;
  Direction direction;
};
struct Close {
  ConnectionId connection;
  CloseMode mode;
};
struct Poll {
  ConnectionId connection;
  PollEvents events;
  Shots shots;
};
struct Timer {
  int64_t delay_ns;  // from the submit on; also the period
  Shots shots;
};
struct TimerAt {
  int64_t due_ns;  // on the steady clock
};
// The operation that a deadline or a cancel applies to.
struct Target {
  enum class Kind : uint8_t {
    kToken,      // one that has `token`
    kPoll,       // a poll that has `token`
    kDirection,  // the receive or the send of `connection`; a cancel may say both
  };
  Kind kind;
  Direction direction;
  Token token;
  ConnectionId connection;
};
struct Deadline {
  Target target;
  int64_t delay_ns;  // from the submit on
};
struct Cancel {
  Target target;
};
struct CancelAll {};
struct FileTransfer {
  FileId file;
  uint64_t offset;
  std::span<std::byte> memory;  // at most kTransferBytesMax; a write only reads it
  // Where they name a unit, the backend adds a use of it for as long as the operation is in flight.
  TransferTraits traits;
  bool is_write;
};
struct Sync {
  FileId file;
  SyncMode mode;
};

}  // namespace request

using Request = std::variant<request::Nop, request::Accept, request::Connect, request::RecvFrom,
                             request::SendTo, request::Shutdown, request::Close, request::Poll,
                             request::Timer, request::TimerAt, request::Deadline, request::Cancel,
                             request::CancelAll, request::FileTransfer, request::Sync>;

// As std::visit, but by a switch, so that the arms can be inlined.
template <typename Function>
auto VisitRequest(const Request& request, Function function) {
  static_assert(std::variant_size_v<Request> == 15, "each alternative has an arm below");
  switch (request.index()) {
    case 0:
      return function(*std::get_if<0>(&request));
    case 1:
      return function(*std::get_if<1>(&request));
    case 2:
      return function(*std::get_if<2>(&request));
    case 3:
      return function(*std::get_if<3>(&request));
    case 4:
      return function(*std::get_if<4>(&request));
    case 5:
      return function(*std::get_if<5>(&request));
    case 6:
      return function(*std::get_if<6>(&request));
    case 7:
      return function(*std::get_if<7>(&request));
    case 8:
      return function(*std::get_if<8>(&request));
    case 9:
      return function(*std::get_if<9>(&request));
    case 10:
      return function(*std::get_if<10>(&request));
    case 11:
      return function(*std::get_if<11>(&request));
    case 12:
      return function(*std::get_if<12>(&request));
    case 13:
      return function(*std::get_if<13>(&request));
    default:
      return function(*std::get_if<14>(&request));
  }
}

// The argument of RingBackend::AddSocket: an open descriptor, or a datagram socket
// that is to be opened and bound to `local`.
struct SocketSource {
  NativeHandle handle = kNoNativeHandle;
  const Endpoint* local = nullptr;
};

// Selects an address: a listener's, or one of the two of a connection.
struct AddressOf {
  ListenerId listener;
  ConnectionId connection;
  bool peer = false;
};

// The work of one Enter.
enum class EnterMode : uint8_t {
  kSubmit,         // hand over what is prepared; take what has completed; do not sleep
  kSubmitAndWait,  // the same, and wait
  kWait,           // wait without handing over
  kLook,           // take what has completed, without a system call if that is possible
};

}  // namespace ioring

#endif  // IORING_RING_REQUEST_H_

// Completion: the report of a ring on one operation.
#ifndef IORING_RING_COMPLETION_H_
#define IORING_RING_COMPLETION_H_

#include <cstdint>
#include <type_traits>

#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {

// `flags`: the low 16 bits are these; the high 16 bits belong to the ring (`extra`: a connection's
// or file's generation, or, with kBuffer, where in its queue the ring finds the buffer).
enum CompletionFlags : uint32_t {
  // This is not the final completion of its operation. More will follow.
  kMore = 1u << 0,
  // A managed receive or read put its bytes (`result`, more than 0) into a buffer of the group.
  // Take it with `Ring::TakeBuffer`, exactly once. TakeBuffer needs `extra`: a copy of the
  // completion must keep all flags.
  kBuffer = 1u << 1,
  // This is the second completion of a zero-copy send. Its memory is free now; `result` is 0.
  kMemoryFree = 1u << 2,
  // Set on a receive: more bytes already wait in the socket (a hint).
  kSocketNotEmpty = 1u << 3,
  // A receive took an empty datagram: `result` is 0, and that is not the end of a stream.
  kEmptyDatagram = 1u << 4,
};

struct Completion {
  Token token = {};
  // Bytes, an index (see `connection`), a count, PollEvents (see `poll_events`), or
  // ToResult(Error).
  int32_t result = 0;
  uint32_t flags = 0;

  constexpr bool ok() const { return result >= 0; }
  constexpr Error error() const { return ToError(result); }
  // The operation goes on: its token, memory and direction are still in use.
  constexpr bool more() const { return (flags & kMore) != 0; }
  constexpr uint32_t extra() const { return flags >> 16; }
  // The new connection of an accept or connect that is `ok()`.
  constexpr ConnectionId connection() const {
    return ConnectionId{static_cast<uint32_t>(result), extra()};
  }
  // The new file of an open that is `ok()`.
  constexpr FileId file() const { return FileId{static_cast<uint32_t>(result), extra()}; }
  // The events that a poll reports, if it is `ok()`.
  constexpr PollEvents poll_events() const { return PollEvents{static_cast<uint32_t>(result)}; }
};
static_assert(sizeof(Completion) == 16);
static_assert(std::is_trivially_copyable_v<Completion>);

}  // namespace ioring

#endif  // IORING_RING_COMPLETION_H_

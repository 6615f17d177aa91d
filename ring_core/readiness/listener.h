// Listener: what the ring knows of each listening socket.
#ifndef IORING_RING_CORE_READINESS_LISTENER_H_
#define IORING_RING_CORE_READINESS_LISTENER_H_

#include <cstdint>

#include "ring_core/posix/socket_kind.h"
#include "ring_core/posix/unix_path.h"
#include "ring_core/readiness/operation.h"
#include "ring_core/table/slot_list.h"

namespace ioring::readiness {

struct Listener {
  int descriptor = -1;
  uint16_t generation = 0;
  bool maybe_ready = false;  // an accept may succeed
  bool watched = false;
  bool to_watch = false;
  bool due = false;                                     // to be run in the next turn
  posix::UnixPath path;                                 // removed at the close
  posix::StreamKind stream = posix::StreamKind::kNone;  // of its connections
  SlotList<Operation, &Operation::next> accepts;

  bool is_open() const { return descriptor >= 0; }
};

}  // namespace ioring::readiness

#endif  // IORING_RING_CORE_READINESS_LISTENER_H_

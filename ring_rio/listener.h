// Listener: what the ring knows of each listening socket.
#ifndef IORING_RING_RIO_LISTENER_H_
#define IORING_RING_RIO_LISTENER_H_

#include <cstdint>

#include "ring_core/table/slot_list.h"
#include "ring_rio/accept_pool.h"
#include "ring_rio/operation.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

struct Listener {
  SOCKET socket = INVALID_SOCKET;
  uint16_t generation = 0;
  int family = 0;
  bool due = false;  // to be run in this turn or the next
  SlotList<Operation, &Operation::next> accepts;
  AcceptedList accepted;   // connections that no accept has taken yet
  uint32_t in_flight = 0;  // AcceptEx, and connections that no accept has taken yet
  uint32_t pool = 0;       // how many there are to be

  bool is_open() const { return socket != INVALID_SOCKET; }
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_LISTENER_H_

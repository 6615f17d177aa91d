// What the ring writes into a submission entry's user_data: which kind of completion
// comes back, for which slot, and the slot's generation, so that a cancel aimed at an
// earlier use of a slot cannot hit the next one.
#ifndef IORING_RING_URING_USER_DATA_H_
#define IORING_RING_URING_USER_DATA_H_

#include <cstdint>

namespace ioring::uring {

enum class Source : uint8_t {
  kRecv,         // a connection's plain receive
  kSend,         // a connection's plain send
  kRecvManaged,  // a receive for which the kernel picks the buffer
  kManagedPoll,  // emulated managed receive: waiting for bytes
  kManagedRead,  // emulated managed receive: reading into the picked buffer
  kClose,        // the last step of closing a connection
  kLinger,       // a step before: what the peer still sends is dropped
  kLingerAsk,    // the same, beside another step: is all acknowledged?
  kOperation,    // an entry of the operation table
  kWake,         // the read of the wake descriptor
  kSynchronous,  // a control-plane operation that waits for its result
  kStopRecv,     // a cancel of the ring's own; index and generation are its target's
  kStopSend,
  kStopOperation,
  kIgnored,  // nobody waits for it
};

struct UserData {
  Source source;
  uint32_t generation;  // 16 bits
  uint32_t index;

  uint64_t Pack() const {
    return uint64_t{static_cast<uint8_t>(source)} << 56 | uint64_t{generation} << 32 | index;
  }
  static UserData Unpack(uint64_t value) {
    return UserData{static_cast<Source>(value >> 56), static_cast<uint32_t>(value >> 32) & 0xffff,
                    static_cast<uint32_t>(value)};
  }
};

}  // namespace ioring::uring

#endif  // IORING_RING_URING_USER_DATA_H_

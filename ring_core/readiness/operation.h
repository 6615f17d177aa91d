// Operation: one in flight other than connections' plain and managed transfers.
#ifndef IORING_RING_CORE_READINESS_OPERATION_H_
#define IORING_RING_CORE_READINESS_OPERATION_H_

#include <cstddef>
#include <cstdint>

#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_core/emulated/operation.h"
#include "ring_core/posix/file_work.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/table/operation_table.h"

namespace ioring::readiness {

using emulated::OperationKind;
using enum emulated::OperationFlags;

struct alignas(64) Operation : emulated::OperationHead {
  struct TransferState {
    std::byte* data;
    uint32_t length;
    uint32_t done;
  };
  struct Poll {
    PollEvents events;
    bool due;  // is to look
  };
  struct Message {
    std::byte* data;
    size_t length;
    Endpoint* source;
    posix::SocketAddress address;
  };

  union {
    TransferState transfer;
    Message message;
    Watch watch;  // kDeadline
    Cancel cancel;
    posix::FileTransferWork file;  // kRead, kWrite
    posix::FileWork* work;         // other operations of files
    Poll poll;
    Direction how;                 // kShutdown
    uint32_t listener_generation;  // kAccept
    posix::SocketAddress address;  // kConnect
  };
};
// RingOptions::max_operations tells what one costs. The datagrams are the largest: a read or write,
// and the pointer to any other work of a file, lie in their room.
static_assert(sizeof(Operation) <= 320);
static_assert(sizeof(posix::FileTransferWork) <= sizeof(Operation::Message));

using OperationTable = ioring::OperationTable<Operation>;

}  // namespace ioring::readiness

#endif  // IORING_RING_CORE_READINESS_OPERATION_H_

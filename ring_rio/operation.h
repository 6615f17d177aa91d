// Operation: one in flight other than connections' plain and managed transfers.
#ifndef IORING_RING_RIO_OPERATION_H_
#define IORING_RING_RIO_OPERATION_H_

#include <cstddef>
#include <cstdint>

#include "ring/endpoint.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring_core/emulated/operation.h"
#include "ring_core/table/operation_table.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/file_work.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

using emulated::OperationKind;
using enum emulated::OperationFlags;

struct alignas(64) Operation : emulated::OperationHead {
  struct TransferState {
    std::byte* data;
    uint32_t length;
    uint32_t done;
    bool by_rio;  // Registered I/O may transfer it
  };
  struct Message {
    std::byte* data;
    size_t length;
    Endpoint* source;
    SocketAddress address;
  };
  struct Poll {
    PollInfo info;
    PollEvents wanted;
    PollEvents reported;  // those told already, which are not asked for until something changes
  };
  // kRead, kWrite: the piece that is transferred, and what follows.
  struct FileState {
    std::byte* data;
    const MemoryPart* parts;  // after the piece
    uint64_t offset;          // of the first piece, or kOwnPosition
    HANDLE handle;
    uint32_t parts_left;
    uint32_t length;
    uint32_t done;  // bytes of the pieces before
    // It is in line for the position of its file.
    bool waits;
  };

  Request request;  // kPoll, and of files
  union {
    TransferState transfer;
    Message message;
    Watch watch;  // kDeadline
    Cancel cancel;
    Poll poll;
    FileState file;
    FileWork* work;                // of files, but for kRead and kWrite
    Direction how;                 // kShutdown
    uint32_t listener_generation;  // kAccept
    SocketAddress address;         // kConnect
  };
};

using OperationTable = ioring::OperationTable<Operation>;

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_OPERATION_H_

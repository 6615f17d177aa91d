// Operation: one in flight other than connections' plain receives and sends.
#ifndef IORING_RING_URING_OPERATION_H_
#define IORING_RING_URING_OPERATION_H_

#include <liburing.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>

#include "ring/endpoint.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring/token.h"
#include "ring_core/posix/file_work.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/table/operation_table.h"
#include "ring_uring/user_data.h"

namespace ioring::uring {

enum class OperationKind : uint8_t {
  kFree,
  kFixedResult,  // an entry that does nothing; completes with `result`
  kAccept,
  kConnect,
  kTransferAll,  // a receive or send that goes on until all is transferred
  kZeroCopySend,
  kRecvFrom,
  kSendTo,
  kSendFile,
  kShutdown,
  kPoll,
  kTimeout,
  kDeadline,
  kCancel,
  // From here on those of files, see is_file().
  kRead,
  kWrite,
  kReadManaged,
  kFileCall,
  kOpen,
  kCloseFile,
  kWork,
};

enum OperationFlags : uint8_t {
  kMultishot = 1 << 0,
  kCancelAsked = 1 << 1,   // must not be armed again
  kDeferred = 1 << 2,      // on the list of operations to be armed again, or ended
  kIsSend = 1 << 3,        // kTransferAll: a send; kZeroCopySend: to be one
  kBegun = 1 << 4,         // kDeadline: its time runs
  kHasSent = 1 << 4,       // kZeroCopySend: its result is told, its memory is in use
  kStopInKernel = 1 << 5,  // on the deferred list, to be cancelled in the kernel
  kPartIsEnough = 1 << 6,  // kTransferAll: asked for without TransferFlags::kAll
  kOutOfKernel = 1 << 7,   // the ring has all of it: a timer, a wait for one, a poll that is told
  // Of a kDeadline, which is no transfer:
  kStruck = 1 << 3,       // the time was up
  kTargetEnded = 1 << 6,  // before its time began to run; it completes when it would begin
  // Of a kRead, kWrite or kReadManaged:
  kOwnPlace = 1 << 3,        // at the file's own position
  kPollsFirst = 1 << 6,      // waits for the file to be ready
  kWaitsForBuffer = 1 << 0,  // kReadManaged: on its group's list
  kHasClaim = 1 << 4,        // kReadManaged: one of the buffers that are free is for it
  // Of a kSendFile:
  kSendsPiece = 1 << 4,  // it sends the piece that it has read
  // Of the other operations of files, which may be kBegun, too:
  kOnThread = 1 << 3,  // one of the ring's threads does it
};

struct alignas(64) Operation {
  // A transfer that goes on until all is done.
  struct TransferState {
    std::byte* data;
    uint32_t length;
    uint32_t done;
  };
  enum class SendState : uint8_t {
    kTrying,    // the kernel tries it, and does not wait
    kPolling,   // waits for the socket to be writable
    kRetrying,  // is tried again, or waits for that
  };
  struct Message {
    msghdr header;
    iovec vector;
    posix::SocketAddress address;
    Endpoint* source;   // receives: where the sender is written to, or null
    uint16_t delay_ms;  // sends: the last wait between two tries
    SendState state;
  };
  struct Poll {
    PollEvents events;
    bool was_ended;      // multishot: by the kernel, and was armed again since
    uint32_t overflows;  // then: how many the ring had seen
  };
  // What a cancel or a deadline is about: an operation, or a connection's receive or send.
  struct Target {
    uint32_t index;
    uint16_t generation;
    Source source;  // kStopOperation, kStopRecv, kStopSend
  };
  struct ManagedRead {
    uint64_t offset;
    uint32_t group;   // index
    uint32_t picked;  // emulated: the buffer
  };
  // A piece of the file is read, then sent, and so on.
  struct SendFile {
    TransferState piece;
    uint64_t offset;  // of the piece
    uint32_t left;    // bytes of the file that are not sent, those of the piece included
    uint32_t sent;
    uint32_t file;  // index
  };
  // A kFileCall, kOpen, kCloseFile or kWork.
  struct Call {
    posix::FileWork* work;  // where it is kOnThread
    const char* name;       // a literal, for FailureLog
    uint32_t second;        // the index of the call's second file, or kNone
    char source[32];        // request::LinkFile: the path of the open file
    union {
      request::FileCall file_call;
      request::Open open;
    };
  };
  struct Timer {
    int64_t delay_ns;    // what was asked for, or the period; below 0: a point in time was
    int64_t arrival_ns;  // kDeadline: when its operation last completed with kMore; 0: since then
                         // the timer was set
    Target target;       // kDeadline
  };

  Token token;
  OperationKind kind;
  uint8_t flags;
  uint16_t generation;
  uint32_t connection;  // index, or kNone; a listener's or file's for their operations
  int32_t result;
  uint32_t previous_in_bucket;
  uint32_t next_in_bucket;  // index plus 1, as all links
  uint32_t next;            // free or deferred list
  uint32_t unit;            // registered memory in use, see BufferTable
  uint32_t heap_place;      // timers, see TimerHeap
  uint32_t deadline;        // the operation that is its deadline, index plus 1; 0: it has none
  union {
    Poll poll;
    int64_t due_ns;  // timers: steady clock
  };
  union {
    TransferState transfer;
    Message message;
    Timer timer;
    Target target;                  // kCancel
    posix::SocketAddress address;   // kConnect
    io_uring_sqe entry;             // kRead and kWrite with kOwnPlace, to be tried again
    posix::FileTransferWork write;  // kWrite, on a thread once it is kBegun
    ManagedRead managed;
    SendFile send_file;
    Call call;
  };

  static constexpr uint32_t kNone = ~uint32_t{0};

  // What ioring::OperationTable asks for.
  using Kind = OperationKind;
  // Nobody could close a file again whose close was cancelled: its id is stale.
  bool can_be_cancelled() const {
    return kind != OperationKind::kFixedResult && kind != OperationKind::kCancel &&
           kind != OperationKind::kCloseFile;
  }
  bool is_file() const { return kind >= OperationKind::kRead; }
  void Begin() {
    flags = 0;
    connection = kNone;
    result = 0;
    unit = 0;
    heap_place = 0;
    deadline = 0;
    due_ns = 0;
  }

  bool has(OperationFlags flag) const { return (flags & flag) != 0; }
  void set(OperationFlags flag) { flags = static_cast<uint8_t>(flags | flag); }
  void clear(OperationFlags flag) { flags = static_cast<uint8_t>(flags & ~flag); }
};
// RingOptions::max_operations tells what one costs. The datagrams are the largest: the calls of
// files, whole, lie in their room.
static_assert(sizeof(Operation) <= 320);
static_assert(sizeof(Operation::Call) <= sizeof(Operation::Message));

using OperationTable = ioring::OperationTable<Operation>;

}  // namespace ioring::uring

#endif  // IORING_RING_URING_OPERATION_H_

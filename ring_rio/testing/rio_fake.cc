// The table of functions: what Windows gives, and the rule that a queue is one thread's at a time.
#include "ring_rio/testing/rio_fake.h"

#include <cstddef>
#include <cstdint>
#include <set>

#include "absl/synchronization/mutex.h"
#include "process/mutex_lock.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/testing/rio_fake_world.h"

namespace ioring::rio {
namespace {

RioFakeWorld& World() { return RioFakeWorld::Get(); }

// Queues that a call is at work on. Windows does not synchronise them: two at once corrupt.
class Use {
 public:
  explicit Use(const void* queue) : queue_(queue) {
    process::MutexLock lock(Mutex());
    overlaps_ = !InUse().insert(queue).second;
  }
  ~Use() {
    process::MutexLock lock(Mutex());
    if (!overlaps_) InUse().erase(queue_);
    if (overlaps_) CorruptRioQueues();
  }

 private:
  static absl::Mutex& Mutex() {
    static absl::Mutex& mutex = *new absl::Mutex;
    return mutex;
  }
  static std::set<const void*>& InUse() {
    static std::set<const void*>& queues = *new std::set<const void*>;
    return queues;
  }

  const void* const queue_;
  bool overlaps_;
};

BOOL PASCAL Receive(RIO_RQ queue, PRIO_BUF slice, ULONG buffers, DWORD flags, PVOID context) {
  const Use use(queue);
  return World().Add(queue, slice, buffers, flags, context, /*is_send=*/false);
}

BOOL PASCAL Send(RIO_RQ queue, PRIO_BUF slice, ULONG buffers, DWORD flags, PVOID context) {
  const Use use(queue);
  return World().Add(queue, slice, buffers, flags, context, /*is_send=*/true);
}

// Datagrams with addresses, which this library sends otherwise.
int PASCAL ReceiveEx(RIO_RQ, PRIO_BUF, ULONG, PRIO_BUF, PRIO_BUF, PRIO_BUF, PRIO_BUF, DWORD,
                     PVOID) {
  WSASetLastError(WSAEOPNOTSUPP);
  return 0;
}

BOOL PASCAL SendEx(RIO_RQ, PRIO_BUF, ULONG, PRIO_BUF, PRIO_BUF, PRIO_BUF, PRIO_BUF, DWORD, PVOID) {
  WSASetLastError(WSAEOPNOTSUPP);
  return FALSE;
}

VOID PASCAL CloseCompletionQueue(RIO_CQ queue) { World().CloseCompletionQueue(queue); }

RIO_CQ PASCAL CreateCompletionQueue(DWORD size, PRIO_NOTIFICATION_COMPLETION notification) {
  return World().CreateCompletionQueue(size, notification);
}

RIO_RQ PASCAL CreateRequestQueue(SOCKET socket, ULONG recvs, ULONG recv_buffers, ULONG sends,
                                 ULONG send_buffers, RIO_CQ recv_queue, RIO_CQ send_queue,
                                 PVOID context) {
  return World().CreateRequestQueue(socket, recvs, recv_buffers, sends, send_buffers, recv_queue,
                                    send_queue, context);
}

ULONG PASCAL Dequeue(RIO_CQ queue, PRIORESULT results, ULONG size) {
  const Use use(queue);
  return World().Dequeue(queue, results, size);
}

VOID PASCAL DeregisterBuffer(RIO_BUFFERID buffer) { World().DeregisterBuffer(buffer); }

INT PASCAL Notify(RIO_CQ queue) { return World().Notify(queue); }

RIO_BUFFERID PASCAL RegisterBuffer(PCHAR data, DWORD size) {
  return World().RegisterBuffer(reinterpret_cast<std::byte*>(data), size);
}

BOOL PASCAL ResizeCompletionQueue(RIO_CQ queue, DWORD size) {
  const Use use(queue);
  return World().ResizeCompletionQueue(queue, size);
}

BOOL PASCAL ResizeRequestQueue(RIO_RQ queue, DWORD recvs, DWORD sends) {
  const Use use(queue);
  return World().ResizeRequestQueue(queue, recvs, sends);
}

}  // namespace

RioFunctions RioFake() {
  RioFunctions functions = {};
  functions.cbSize = sizeof(functions);
  functions.RIOReceive = &Receive;
  functions.RIOReceiveEx = &ReceiveEx;
  functions.RIOSend = &Send;
  functions.RIOSendEx = &SendEx;
  functions.RIOCloseCompletionQueue = &CloseCompletionQueue;
  functions.RIOCreateCompletionQueue = &CreateCompletionQueue;
  functions.RIOCreateRequestQueue = &CreateRequestQueue;
  functions.RIODequeueCompletion = &Dequeue;
  functions.RIODeregisterBuffer = &DeregisterBuffer;
  functions.RIONotify = &Notify;
  functions.RIORegisterBuffer = &RegisterBuffer;
  functions.RIOResizeCompletionQueue = &ResizeCompletionQueue;
  functions.RIOResizeRequestQueue = &ResizeRequestQueue;
  return functions;
}

RioFakeCounts CountRioFake() { return World().Count(); }
RioFakeTotals RioFakeSoFar() { return World().Totals(); }
void FailRio(RioFunction function, int code, int times) { World().Fail(function, code, times); }
void FailNextRioResult(bool is_send, int code) { World().FailNextResult(is_send, code); }
void HoldRioResults(bool hold) { World().HoldResults(hold); }
void CorruptRioQueues() { World().CorruptQueues(); }
void FaultlessAgain() { World().Faultless(); }

}  // namespace ioring::rio

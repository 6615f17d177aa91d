// What the fake of Registered I/O consists of.
#ifndef IORING_RING_RIO_TESTING_RIO_FAKE_WORLD_H_
#define IORING_RING_RIO_TESTING_RIO_FAKE_WORLD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "ring_rio/calls.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/testing/rio_fake.h"

namespace ioring::rio {

struct FakeBuffer {
  std::byte* data = nullptr;
  DWORD size = 0;
  uint32_t in_flight = 0;
};

struct FakeCompletionQueue {
  DWORD size = 0;
  DWORD charged = 0;
  RIO_NOTIFICATION_COMPLETION notification = {};
  bool notifies = false;
  bool is_armed = false;
  bool is_corrupt = false;
  uint32_t requests = 0;  // not completed yet
  std::deque<RIORESULT> results;
};

struct FakeRequestQueue;

struct FakeRequest {
  Request poll;  // first: packets carry its address
  PollInfo info = {};
  FakeRequestQueue* queue = nullptr;
  FakeBuffer* buffer = nullptr;
  RIO_BUF slice = {};
  DWORD flags = 0;
  ULONGLONG context = 0;
  ULONG done = 0;
  bool is_send = false;
  bool is_polled = false;  // Windows has the poll
  bool is_ready = false;   // it may be tried (again)
};

// A direction: first in, first out; only the first is at work.
struct FakeDirection {
  ULONG max = 0;
  size_t committed = 0;  // of `requests`, from the front
  FakeCompletionQueue* completions = nullptr;
  std::deque<std::unique_ptr<FakeRequest>> requests;
};

struct FakeRequestQueue {
  SOCKET socket = INVALID_SOCKET;
  // Which socket it is, as a number is used again: its hop limit was set to this.
  DWORD mark = 0;
  ULONGLONG context = 0;
  std::array<FakeDirection, 2> directions;  // receives, sends

  bool IsOpen() const;
};

// All there is. One per process, never destroyed.
class RioFakeWorld {
 public:
  static RioFakeWorld& Get();

  // The functions of the table, but for the waiting on other threads that Use punishes.
  RIO_BUFFERID RegisterBuffer(std::byte* data, DWORD size);
  void DeregisterBuffer(RIO_BUFFERID id);
  RIO_CQ CreateCompletionQueue(DWORD size, const RIO_NOTIFICATION_COMPLETION* notification);
  void CloseCompletionQueue(RIO_CQ id);
  bool ResizeCompletionQueue(RIO_CQ id, DWORD size);
  RIO_RQ CreateRequestQueue(SOCKET socket, ULONG recvs, ULONG recv_buffers, ULONG sends,
                            ULONG send_buffers, RIO_CQ recv_queue, RIO_CQ send_queue,
                            void* context);
  bool ResizeRequestQueue(RIO_RQ id, DWORD recvs, DWORD sends);
  bool Add(RIO_RQ id, const RIO_BUF* slice, ULONG buffers, DWORD flags, void* context,
           bool is_send);
  ULONG Dequeue(RIO_CQ id, RIORESULT* results, ULONG size);
  int Notify(RIO_CQ id);

  RioFakeCounts Count();
  RioFakeTotals Totals();
  void Fail(RioFunction function, int code, int times);
  void FailNextResult(bool is_send, int code);
  void HoldResults(bool hold);
  void CorruptQueues();
  void Faultless();

 private:
  struct Fault {
    int code = 0;
    int times = 0;
  };

  RioFakeWorld();

  // Whether the call is to fail, as a test asked; the code is set then.
  bool Fails(RioFunction function) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  FakeCompletionQueue* FindCompletions(RIO_CQ id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  FakeRequestQueue* FindRequests(RIO_RQ id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Commit(FakeRequestQueue& queue, bool is_send) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tries the first request, and those after it, as far as they go.
  void Run(FakeRequestQueue& queue, bool is_send) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Try(FakeRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Complete(FakeRequestQueue& queue, bool is_send, int code)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(FakeCompletionQueue& completions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Request queues go with their sockets, which nobody tells of.
  void ForgetClosed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WatchPolls();

  std::unique_ptr<CompletionPort> port_;
  std::unique_ptr<SocketPoller> poller_;
  absl::Mutex mutex_;
  std::map<FakeBuffer*, std::unique_ptr<FakeBuffer>> buffers_ ABSL_GUARDED_BY(mutex_);
  std::map<FakeCompletionQueue*, std::unique_ptr<FakeCompletionQueue>> completions_
      ABSL_GUARDED_BY(mutex_);
  std::map<FakeRequestQueue*, std::unique_ptr<FakeRequestQueue>> requests_ ABSL_GUARDED_BY(mutex_);
  std::map<RioFunction, Fault> faults_ ABSL_GUARDED_BY(mutex_);
  std::array<int, 2> result_faults_ ABSL_GUARDED_BY(mutex_) = {};
  bool holds_results_ ABSL_GUARDED_BY(mutex_) = false;
  DWORD marks_ ABSL_GUARDED_BY(mutex_) = 0;  // given so far
  RioFakeTotals totals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_TESTING_RIO_FAKE_WORLD_H_

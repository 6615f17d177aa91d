#include "ring_rio/testing/rio_fake_world.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "process/mutex_lock.h"
#include "ring/endpoint.h"
#include "ring_rio/calls.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/sockets.h"

namespace ioring::rio {
namespace {

constexpr DWORD kRecvFlags = RIO_MSG_DEFER | RIO_MSG_DONT_NOTIFY | RIO_MSG_WAITALL;
constexpr DWORD kSendFlags = RIO_MSG_DEFER | RIO_MSG_DONT_NOTIFY;

bool Refuse(int code) {
  WSASetLastError(code);
  return false;
}

template <typename To, typename From>
To Cast(From* pointer) {
  return reinterpret_cast<To>(pointer);
}

// What the loopback never looks at, and all sockets have: how many hops a packet may take. Sockets
// begin with 64 or 128.
constexpr DWORD kFirstMark = 129;
constexpr DWORD kMarks = 100;

bool IsIpv6(SOCKET socket) {
  const absl::StatusOr<Endpoint> local = LocalEndpoint(socket);
  return local.ok() && local->family() == Endpoint::Family::kIpv6;
}

bool Mark(SOCKET socket, DWORD mark) {
  const bool is_ipv6 = IsIpv6(socket);
  return setsockopt(socket, is_ipv6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP},
                    is_ipv6 ? IPV6_UNICAST_HOPS : IP_TTL, reinterpret_cast<const char*>(&mark),
                    sizeof(mark)) == 0;
}

// 0 where there is no such socket.
DWORD MarkOf(SOCKET socket) {
  const bool is_ipv6 = IsIpv6(socket);
  DWORD mark = 0;
  int size = sizeof(mark);
  const int failed =
      getsockopt(socket, is_ipv6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP},
                 is_ipv6 ? IPV6_UNICAST_HOPS : IP_TTL, reinterpret_cast<char*>(&mark), &size);
  return failed == 0 ? mark : 0;
}

}  // namespace

bool FakeRequestQueue::IsOpen() const { return MarkOf(socket) == mark; }

RioFakeWorld& RioFakeWorld::Get() {
  static RioFakeWorld& world = *new RioFakeWorld;
  return world;
}

RioFakeWorld::RioFakeWorld() {
  StartWinsock();
  port_ = *CompletionPort::Create();
  poller_ = *SocketPoller::Create(*port_);
  std::thread([this] { WatchPolls(); }).detach();
}

// Marks what may be tried, and tells whoever is to try it.
void RioFakeWorld::WatchPolls() {
  std::array<OVERLAPPED_ENTRY, 16> packets;
  for (;;) {
    const uint32_t count = port_->Take(packets, INFINITE);
    process::MutexLock lock(mutex_);
    for (const OVERLAPPED_ENTRY& packet : std::span(packets).first(count)) {
      FakeRequest& request = *reinterpret_cast<FakeRequest*>(packet.lpOverlapped);
      request.is_polled = false;
      request.is_ready = true;
      Tell(*request.queue->directions[request.is_send].completions);
    }
  }
}

bool RioFakeWorld::Fails(RioFunction function) {
  Fault& fault = faults_[function];
  if (fault.times == 0) return false;
  --fault.times;
  WSASetLastError(fault.code);
  return true;
}

FakeCompletionQueue* RioFakeWorld::FindCompletions(RIO_CQ id) {
  const auto found = completions_.find(Cast<FakeCompletionQueue*>(id));
  return found == completions_.end() ? nullptr : found->first;
}

FakeRequestQueue* RioFakeWorld::FindRequests(RIO_RQ id) {
  const auto found = requests_.find(Cast<FakeRequestQueue*>(id));
  return found == requests_.end() ? nullptr : found->first;
}

// ---- Memory.

RIO_BUFFERID RioFakeWorld::RegisterBuffer(std::byte* data, DWORD size) {
  process::MutexLock lock(mutex_);
  if (Fails(RioFunction::kRegisterBuffer)) return RIO_INVALID_BUFFERID;
  if (data == nullptr || size == 0) {
    Refuse(WSAEFAULT);
    return RIO_INVALID_BUFFERID;
  }
  auto buffer = std::make_unique<FakeBuffer>(FakeBuffer{data, size});
  FakeBuffer* const id = buffer.get();
  buffers_.emplace(id, std::move(buffer));
  return Cast<RIO_BUFFERID>(id);
}

void RioFakeWorld::DeregisterBuffer(RIO_BUFFERID id) {
  process::MutexLock lock(mutex_);
  const auto found = buffers_.find(Cast<FakeBuffer*>(id));
  CHECK(found != buffers_.end()) << "RIODeregisterBuffer: memory that is not registered";
  CHECK_EQ(found->first->in_flight, 0u) << "RIODeregisterBuffer: the memory is in flight";
  buffers_.erase(found);
}

// ---- Completion queues.

RIO_CQ RioFakeWorld::CreateCompletionQueue(DWORD size,
                                           const RIO_NOTIFICATION_COMPLETION* notification) {
  const bool bad_port = notification != nullptr && notification->Type == RIO_IOCP_COMPLETION &&
                        notification->Iocp.Overlapped == nullptr;
  if (size == 0 || size > RIO_MAX_CQ_SIZE || bad_port) {
    Refuse(WSAEINVAL);
    return RIO_INVALID_CQ;
  }
  auto queue = std::make_unique<FakeCompletionQueue>();
  queue->size = size;
  queue->notifies = notification != nullptr;
  if (notification != nullptr) queue->notification = *notification;
  process::MutexLock lock(mutex_);
  FakeCompletionQueue* const id = queue.get();
  completions_.emplace(id, std::move(queue));
  return Cast<RIO_CQ>(id);
}

void RioFakeWorld::CloseCompletionQueue(RIO_CQ id) {
  process::MutexLock lock(mutex_);
  FakeCompletionQueue* queue = FindCompletions(id);
  CHECK(queue != nullptr) << "RIOCloseCompletionQueue: no such queue";
  CHECK(queue->requests == 0 || queue->is_corrupt)
      << "RIOCloseCompletionQueue: " << queue->requests << " requests are in flight";
  ForgetClosed();
  // Those that are open have no queue to complete to any more.
  std::erase_if(requests_, [&](const auto& entry) {
    return entry.first->directions[0].completions == queue ||
           entry.first->directions[1].completions == queue;
  });
  completions_.erase(queue);
}

bool RioFakeWorld::ResizeCompletionQueue(RIO_CQ id, DWORD size) {
  process::MutexLock lock(mutex_);
  if (Fails(RioFunction::kResize)) return false;
  FakeCompletionQueue* queue = FindCompletions(id);
  if (queue == nullptr || size == 0 || size > RIO_MAX_CQ_SIZE) return Refuse(WSAEINVAL);
  ForgetClosed();
  if (size < queue->charged || size < queue->results.size()) return Refuse(WSAETOOMANYREFS);
  queue->size = size;
  return true;
}

ULONG RioFakeWorld::Dequeue(RIO_CQ id, RIORESULT* results, ULONG size) {
  process::MutexLock lock(mutex_);
  FakeCompletionQueue* queue = FindCompletions(id);
  if (queue == nullptr || queue->is_corrupt) return RIO_CORRUPT_CQ;
  for (const auto& [requests, owner] : requests_) {
    for (const bool is_send : {false, true}) {
      if (requests->directions[is_send].completions == queue) Run(*requests, is_send);
    }
  }
  ULONG count = 0;
  while (count < size && !queue->results.empty() && !holds_results_) {
    results[count++] = queue->results.front();
    queue->results.pop_front();
  }
  return count;
}

int RioFakeWorld::Notify(RIO_CQ id) {
  process::MutexLock lock(mutex_);
  FakeCompletionQueue* queue = FindCompletions(id);
  if (queue == nullptr || !queue->notifies) return WSAEINVAL;
  if (queue->is_armed) return WSAEALREADY;
  queue->is_armed = true;
  bool is_ready = !queue->results.empty();
  for (const auto& [requests, owner] : requests_) {
    for (const FakeDirection& direction : requests->directions) {
      is_ready = is_ready || (direction.completions == queue && direction.committed != 0 &&
                              direction.requests.front()->is_ready);
    }
  }
  if (is_ready) Tell(*queue);
  return 0;
}

// Once for each RIONotify.
void RioFakeWorld::Tell(FakeCompletionQueue& completions) {
  if (holds_results_ || !std::exchange(completions.is_armed, false)) return;
  ++totals_.notifications;
  const RIO_NOTIFICATION_COMPLETION& how = completions.notification;
  if (how.Type == RIO_EVENT_COMPLETION) {
    SetEvent(how.Event.EventHandle);
    return;
  }
  PostQueuedCompletionStatus(how.Iocp.IocpHandle, 0,
                             reinterpret_cast<ULONG_PTR>(how.Iocp.CompletionKey),
                             static_cast<OVERLAPPED*>(how.Iocp.Overlapped));
}

// ---- Request queues.

void RioFakeWorld::ForgetClosed() {
  std::erase_if(requests_, [&](const auto& entry) {
    FakeRequestQueue& queue = *entry.first;
    for (const FakeDirection& direction : queue.directions) {
      if (!direction.requests.empty()) return false;
    }
    if (queue.IsOpen()) return false;
    for (FakeDirection& direction : queue.directions) {
      direction.completions->charged -= direction.max;
    }
    return true;
  });
}

RIO_RQ RioFakeWorld::CreateRequestQueue(SOCKET socket, ULONG recvs, ULONG recv_buffers, ULONG sends,
                                        ULONG send_buffers, RIO_CQ recv_queue, RIO_CQ send_queue,
                                        void* context) {
  process::MutexLock lock(mutex_);
  if (Fails(RioFunction::kCreateRequestQueue)) return RIO_INVALID_RQ;
  FakeCompletionQueue* of_recvs = FindCompletions(recv_queue);
  FakeCompletionQueue* of_sends = FindCompletions(send_queue);
  ForgetClosed();
  const bool has_one = std::any_of(requests_.begin(), requests_.end(), [&](const auto& entry) {
    return entry.first->socket == socket && entry.first->IsOpen();
  });
  if (of_recvs == nullptr || of_sends == nullptr || recv_buffers != 1 || send_buffers != 1 ||
      recvs + sends == 0 || has_one || !LocalEndpoint(socket).ok()) {
    Refuse(WSAEINVAL);
    return RIO_INVALID_RQ;
  }
  const bool fits = of_recvs == of_sends ? of_recvs->charged + recvs + sends <= of_recvs->size
                                         : of_recvs->charged + recvs <= of_recvs->size &&
                                               of_sends->charged + sends <= of_sends->size;
  if (!fits) {
    Refuse(WSAENOBUFS);
    return RIO_INVALID_RQ;
  }
  auto queue = std::make_unique<FakeRequestQueue>();
  queue->socket = socket;
  queue->mark = kFirstMark + marks_++ % kMarks;
  CHECK(Mark(socket, queue->mark)) << WSAGetLastError();
  queue->context = reinterpret_cast<ULONGLONG>(context);
  queue->directions[0].max = recvs;
  queue->directions[0].completions = of_recvs;
  queue->directions[1].max = sends;
  queue->directions[1].completions = of_sends;
  of_recvs->charged += recvs;
  of_sends->charged += sends;
  FakeRequestQueue* const id = queue.get();
  requests_.emplace(id, std::move(queue));
  return Cast<RIO_RQ>(id);
}

bool RioFakeWorld::ResizeRequestQueue(RIO_RQ id, DWORD recvs, DWORD sends) {
  process::MutexLock lock(mutex_);
  FakeRequestQueue* queue = FindRequests(id);
  if (queue == nullptr || recvs + sends == 0) return Refuse(WSAEINVAL);
  FakeDirection& recv = queue->directions[0];
  FakeDirection& send = queue->directions[1];
  if (recvs < recv.requests.size() || sends < send.requests.size()) return Refuse(WSAETOOMANYREFS);
  FakeCompletionQueue& completions = *recv.completions;
  const DWORD charged = completions.charged - recv.max - send.max + recvs + sends;
  if (send.completions != &completions || charged > completions.size) return Refuse(WSAENOBUFS);
  completions.charged = charged;
  recv.max = recvs;
  send.max = sends;
  return true;
}

// ---- Requests.

bool RioFakeWorld::Add(RIO_RQ id, const RIO_BUF* slice, ULONG buffers, DWORD flags, void* context,
                       bool is_send) {
  process::MutexLock lock(mutex_);
  FakeRequestQueue* queue = FindRequests(id);
  if (queue == nullptr) return Refuse(WSAEINVAL);
  FakeDirection& direction = queue->directions[is_send];
  if ((flags & RIO_MSG_COMMIT_ONLY) != 0) {
    if (flags != RIO_MSG_COMMIT_ONLY || slice != nullptr || buffers != 0 || context != nullptr) {
      return Refuse(WSAEINVAL);
    }
    ++totals_.commits;
    Commit(*queue, is_send);
    return true;
  }
  if ((flags & ~(is_send ? kSendFlags : kRecvFlags)) != 0 || buffers != 1 || slice == nullptr) {
    return Refuse(WSAEINVAL);
  }
  if (Fails(is_send ? RioFunction::kSend : RioFunction::kReceive)) return false;
  const auto buffer = buffers_.find(Cast<FakeBuffer*>(slice->BufferId));
  if (buffer == buffers_.end() || uint64_t{slice->Offset} + slice->Length > buffer->first->size) {
    return Refuse(WSAEFAULT);
  }
  if (direction.completions->is_corrupt) return Refuse(WSAEINVAL);
  if (direction.requests.size() >= direction.max) return Refuse(WSAENOBUFS);
  auto request = std::make_unique<FakeRequest>();
  request->queue = queue;
  request->buffer = buffer->first;
  request->slice = *slice;
  request->flags = flags;
  request->context = reinterpret_cast<ULONGLONG>(context);
  request->is_send = is_send;
  request->is_ready = true;
  ++request->buffer->in_flight;
  ++direction.completions->requests;
  ++(is_send ? totals_.sends : totals_.recvs);
  direction.requests.push_back(std::move(request));
  if ((flags & RIO_MSG_DEFER) == 0) Commit(*queue, is_send);
  return true;
}

void RioFakeWorld::Commit(FakeRequestQueue& queue, bool is_send) {
  queue.directions[is_send].committed = queue.directions[is_send].requests.size();
  Run(queue, is_send);
}

void RioFakeWorld::Run(FakeRequestQueue& queue, bool is_send) {
  FakeDirection& direction = queue.directions[is_send];
  while (direction.committed != 0 && direction.requests.front()->is_ready) {
    if (!Try(*direction.requests.front())) return;
  }
}

// False where it must be polled for.
bool RioFakeWorld::Try(FakeRequest& request) {
  FakeRequestQueue& queue = *request.queue;
  if (!queue.IsOpen()) {
    Complete(queue, request.is_send, WSA_OPERATION_ABORTED);
    return true;
  }
  std::byte* data = request.buffer->data + request.slice.Offset + request.done;
  const ULONG left = request.slice.Length - request.done;
  const CallResult result =
      request.is_send ? SendNow(queue.socket, data, left) : RecvNow(queue.socket, data, left);
  if (result == -WSAEWOULDBLOCK) {
    const uint32_t events = request.is_send ? kSocketWritable : kSocketReadable | kSocketEnded;
    request.is_ready = false;
    request.is_polled = poller_->Start(queue.socket, events | kSocketReset | kSocketClosed,
                                       &request.info, &request.poll);
    CHECK(request.is_polled) << "the fake cannot poll: " << WSAGetLastError();
    return false;
  }
  if (result > 0) request.done += static_cast<ULONG>(result);
  const bool takes_all = request.is_send || (request.flags & RIO_MSG_WAITALL) != 0;
  if (result > 0 && takes_all && request.done < request.slice.Length) return true;
  Complete(queue, request.is_send, result < 0 ? static_cast<int>(-result) : 0);
  return true;
}

// The first request of the direction is done.
void RioFakeWorld::Complete(FakeRequestQueue& queue, bool is_send, int code) {
  FakeDirection& direction = queue.directions[is_send];
  const std::unique_ptr<FakeRequest> request = std::move(direction.requests.front());
  direction.requests.pop_front();
  --direction.committed;
  --request->buffer->in_flight;
  FakeCompletionQueue& completions = *direction.completions;
  --completions.requests;
  if (const int fault = std::exchange(result_faults_[is_send], 0); fault != 0) code = fault;
  const bool overflows = completions.results.size() >= completions.size;
  if (overflows) completions.is_corrupt = true;
  completions.results.push_back(
      {static_cast<LONG>(code), code == 0 ? request->done : 0, queue.context, request->context});
  if ((request->flags & RIO_MSG_DONT_NOTIFY) == 0) Tell(completions);
}

// ---- For tests.

RioFakeCounts RioFakeWorld::Count() {
  process::MutexLock lock(mutex_);
  ForgetClosed();
  RioFakeCounts counts;
  counts.buffers = static_cast<uint32_t>(buffers_.size());
  counts.completion_queues = static_cast<uint32_t>(completions_.size());
  counts.request_queues = static_cast<uint32_t>(requests_.size());
  for (const auto& [queue, owner] : completions_) {
    counts.requests += queue->requests + static_cast<uint32_t>(queue->results.size());
  }
  return counts;
}

RioFakeTotals RioFakeWorld::Totals() {
  process::MutexLock lock(mutex_);
  return totals_;
}

void RioFakeWorld::Fail(RioFunction function, int code, int times) {
  process::MutexLock lock(mutex_);
  faults_[function] = {code, times};
}

void RioFakeWorld::FailNextResult(bool is_send, int code) {
  process::MutexLock lock(mutex_);
  result_faults_[is_send] = code;
}

void RioFakeWorld::CorruptQueues() {
  process::MutexLock lock(mutex_);
  for (const auto& [queue, owner] : completions_) queue->is_corrupt = true;
}

void RioFakeWorld::HoldResults(bool hold) {
  process::MutexLock lock(mutex_);
  holds_results_ = hold;
  for (const auto& [queue, owner] : completions_) {
    if (!queue->results.empty()) Tell(*queue);
  }
}

void RioFakeWorld::Faultless() {
  HoldResults(false);
  process::MutexLock lock(mutex_);
  faults_.clear();
  result_faults_ = {};
}

}  // namespace ioring::rio

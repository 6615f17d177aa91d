// RioQueue: a ring's completion queue of Registered I/O, and the request queues that share it.
//
// Windows' rules, and who keeps them:
//  - A request queue's requests are charged to the completion queue when it is made; WSAENOBUFS
//    where they do not fit. Open makes room first, and Release gives a closed socket's back.
//  - One RIONotify may be outstanding (WSAEALREADY). Arm asks once until OnNotified.
//  - Queues are not synchronised: one thread.
//  - RIO_CORRUPT_CQ is final: nothing is known of any request any more, so the program ends.
//  - A request with RIO_MSG_DEFER waits for a commit, which costs one entry into the kernel per
//    request queue, however many requests there are.
#ifndef IORING_RING_RIO_RIO_QUEUE_H_
#define IORING_RING_RIO_RIO_QUEUE_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

class RioQueue {
 public:
  // Requests that one connection may have: a receive and a send.
  static constexpr uint32_t kRequestsPerSocket = 2;

  // `port` and `notify`, the packet that tells of completions, must outlive it.
  static absl::StatusOr<std::unique_ptr<RioQueue>> Create(const RioFunctions& functions,
                                                          CompletionPort& port, Request* notify);
  RioQueue(const RioQueue&) = delete;
  RioQueue& operator=(const RioQueue&) = delete;
  ~RioQueue() { functions_.RIOCloseCompletionQueue(queue_); }

  // The id of registered memory; RIO_INVALID_BUFFERID: WSAGetLastError.
  RIO_BUFFERID Register(std::span<std::byte> memory);
  // Nothing may be in flight on it.
  void Deregister(RIO_BUFFERID buffer) { functions_.RIODeregisterBuffer(buffer); }

  // A request queue for a receive and a send; results carry `context`. Null: WSAGetLastError.
  RIO_RQ Open(SOCKET socket, uint64_t context);
  // The socket of a request queue was closed, and its results were taken.
  void Release() { charged_ -= kRequestsPerSocket; }

  // Deferred to Commit. False: WSAGetLastError.
  bool Recv(RIO_RQ requests, RIO_BUF buffer);
  bool Send(RIO_RQ requests, RIO_BUF buffer);
  void CommitRecv(RIO_RQ requests);
  void CommitSend(RIO_RQ requests);

  // Requests whose results were not taken.
  uint32_t in_flight() const { return in_flight_; }
  // Takes results; no system call.
  uint32_t Dequeue(std::span<RIORESULT> results);
  // `RIORESULT::RequestContext` of receives and sends.
  static bool IsSend(const RIORESULT& result) { return result.RequestContext != 0; }

  // A packet comes when there are results, or at once where there are some.
  void Arm();
  void OnNotified() { armed_ = false; }

  uint32_t capacity() const { return capacity_; }

 private:
  static constexpr uint32_t kCapacityAtFirst = 64;

  RioQueue(const RioFunctions& functions, RIO_CQ queue)
      : functions_(functions), queue_(queue), capacity_(kCapacityAtFirst) {}

  bool MakeRoom();
  RIO_RQ TryOpen(SOCKET socket, uint64_t context);

  const RioFunctions functions_;
  const RIO_CQ queue_;
  uint32_t capacity_;
  uint32_t charged_ = 0;
  uint32_t in_flight_ = 0;
  bool armed_ = false;
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_RIO_QUEUE_H_

#include "ring_rio/rio_queue.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

// The requests were accepted, their memory is the system's, and they will never end.
[[noreturn]] void DieOfCommit() {
  LOG(FATAL) << "Registered I/O does not take requests that it had accepted: "
             << NativeErrorText(WSAGetLastError());
}

void* ContextOf(bool is_send) { return reinterpret_cast<void*>(static_cast<uintptr_t>(is_send)); }

}  // namespace

absl::StatusOr<std::unique_ptr<RioQueue>> RioQueue::Create(const RioFunctions& functions,
                                                           CompletionPort& port, Request* notify) {
  notify->Clear();
  RIO_NOTIFICATION_COMPLETION notification = {};
  notification.Type = RIO_IOCP_COMPLETION;
  notification.Iocp.IocpHandle = port.handle();
  notification.Iocp.CompletionKey = nullptr;
  notification.Iocp.Overlapped = &notify->overlapped;
  const RIO_CQ queue = functions.RIOCreateCompletionQueue(kCapacityAtFirst, &notification);
  if (queue == RIO_INVALID_CQ) {
    return NativeStatus(WSAGetLastError(),
                        "no completion queue of Registered I/O could be made; the backend iocp "
                        "does without");
  }
  return absl::WrapUnique(new RioQueue(functions, queue));
}

RIO_BUFFERID RioQueue::Register(std::span<std::byte> memory) {
  return functions_.RIORegisterBuffer(reinterpret_cast<PCHAR>(memory.data()),
                                      static_cast<DWORD>(memory.size()));
}

// Twice the room. False where there cannot be more.
bool RioQueue::MakeRoom() {
  if (capacity_ == RIO_MAX_CQ_SIZE) return false;
  const uint32_t wanted = std::min<uint32_t>(2 * capacity_, RIO_MAX_CQ_SIZE);
  if (!functions_.RIOResizeCompletionQueue(queue_, wanted)) return false;
  capacity_ = wanted;
  return true;
}

RIO_RQ RioQueue::TryOpen(SOCKET socket, uint64_t context) {
  return functions_.RIOCreateRequestQueue(socket, 1, 1, 1, 1, queue_, queue_,
                                          reinterpret_cast<void*>(static_cast<uintptr_t>(context)));
}

RIO_RQ RioQueue::Open(SOCKET socket, uint64_t context) {
  if (charged_ + kRequestsPerSocket > capacity_ && !MakeRoom()) {
    WSASetLastError(WSAENOBUFS);
    return RIO_INVALID_RQ;
  }
  RIO_RQ requests = TryOpen(socket, context);
  // Windows gives a closed socket's charge back when it likes: there may be less room than ours
  // are.
  if (requests == RIO_INVALID_RQ && WSAGetLastError() == WSAENOBUFS && MakeRoom()) {
    requests = TryOpen(socket, context);
  }
  if (requests != RIO_INVALID_RQ) charged_ += kRequestsPerSocket;
  return requests;
}

bool RioQueue::Recv(RIO_RQ requests, RIO_BUF buffer) {
  if (!functions_.RIOReceive(requests, &buffer, 1, RIO_MSG_DEFER, ContextOf(false))) return false;
  ++in_flight_;
  return true;
}

bool RioQueue::Send(RIO_RQ requests, RIO_BUF buffer) {
  if (!functions_.RIOSend(requests, &buffer, 1, RIO_MSG_DEFER, ContextOf(true))) return false;
  ++in_flight_;
  return true;
}

void RioQueue::CommitRecv(RIO_RQ requests) {
  if (!functions_.RIOReceive(requests, nullptr, 0, RIO_MSG_COMMIT_ONLY, nullptr)) DieOfCommit();
}

void RioQueue::CommitSend(RIO_RQ requests) {
  if (!functions_.RIOSend(requests, nullptr, 0, RIO_MSG_COMMIT_ONLY, nullptr)) DieOfCommit();
}

uint32_t RioQueue::Dequeue(std::span<RIORESULT> results) {
  const ULONG count =
      functions_.RIODequeueCompletion(queue_, results.data(), static_cast<ULONG>(results.size()));
  if (count == RIO_CORRUPT_CQ) {
    LOG(FATAL) << "Registered I/O's completion queue is corrupt (RIO_CORRUPT_CQ): what "
               << in_flight_ << " requests did is lost, and their memory may still be written to";
  }
  in_flight_ -= count;
  return count;
}

void RioQueue::Arm() {
  if (armed_) return;
  const int code = functions_.RIONotify(queue_);
  if (code != 0) {
    LOG(FATAL) << "Registered I/O does not tell of completions (RIONotify): "
               << NativeErrorText(code);
  }
  armed_ = true;
}

}  // namespace ioring::rio

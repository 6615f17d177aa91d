// EpollPoller: Linux's epoll as ring_core/readiness/poller.h asks for it.
#ifndef IORING_RING_EPOLL_EPOLL_POLLER_H_
#define IORING_RING_EPOLL_EPOLL_POLLER_H_

#if !defined(__linux__)
#error "ring_epoll is Linux only: depend on //ring_native, which chooses a backend."
#endif

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/base/optimization.h"
#include "absl/status/statusor.h"
#include "ring_core/readiness/poller.h"

namespace ioring::epoll {

// One epoll_ctl per descriptor, edge-triggered (EPOLLET), when it is watched; none per event.
// Resolution of waits: nanoseconds (epoll_pwait2, Linux 5.11), else milliseconds.
// Sources: epoll(7), epoll_ctl(2), epoll_wait(2), eventfd(2).
class EpollPoller {
 public:
  static constexpr std::string_view kName = "epoll";
  static constexpr bool kTellsEdges = false;

  // ResourceExhausted: descriptors or memory. Unimplemented or PermissionDenied where the
  // system forbids epoll.
  static absl::StatusOr<std::unique_ptr<EpollPoller>> Create();
  EpollPoller(const EpollPoller&) = delete;
  EpollPoller& operator=(const EpollPoller&) = delete;
  ~EpollPoller();

  int Watch(int descriptor, readiness::WatchKey key);
  void Forget(int descriptor);
  bool Has(int descriptor) const;
  // Two calls; with the first descriptor that is given, two more descriptors and four more calls.
  int WatchEdges(int descriptor, readiness::WatchKey key);
  void ForgetEdges(int descriptor);
  void Wake();
  // All of it is inherited, and the epoll is shared: nothing may be taken off it.
  void LeaveProcess() {}

  template <typename Sink>
  void Wait(int64_t timeout_ns, Sink& sink) {
    const int count = WaitForEvents(timeout_ns);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<size_t>(i)];
      if (event.data.u64 == kWakeKey) {
        sink.OnWake();
      } else if (ABSL_PREDICT_FALSE(event.data.u64 >= kFirstEdgesKey)) {
        DeliverEdges(edges_[event.data.u64 - kFirstEdgesKey], sink);
      } else {
        sink.OnReady(event.data.u64, ReadyBitsOf(event.events));
      }
    }
  }

  // Behaves as on kernels without epoll_pwait2. For tests.
  void ForbidNanoseconds() { has_nanoseconds_ = false; }

 private:
  // No ring's keys: those have indexes far below.
  static constexpr readiness::WatchKey kWakeKey = ~readiness::WatchKey{0};
  static constexpr readiness::WatchKey kFirstEdgesKey = kWakeKey - 2;
  static constexpr int kEventsMax = 256;

  // An event of a descriptor that is watched for several things does not tell for which of them it
  // came. So edges of one direction have an epoll of their own, which epoll_ watches.
  struct Edges {
    uint32_t events;  // to watch for
    int epoll = -1;   // made for the first descriptor
  };

  EpollPoller(int epoll, int bell) : epoll_(epoll), bell_(bell) {}

  static uint8_t ReadyBitsOf(uint32_t events) {
    // What tells of more than bytes, or of something that a receive stops at.
    constexpr uint32_t kEnds = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
    uint32_t bits = 0;
    if ((events & (EPOLLIN | kEnds)) != 0) bits |= readiness::kReadyToRecv;
    if ((events & kEnds) != 0) bits |= readiness::kShortProvesNothing;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) bits |= readiness::kReadyToSend;
    return static_cast<uint8_t>(bits);
  }

  static uint8_t EdgesOf(uint32_t events) {
    uint32_t bits = 0;
    if ((events & (EPOLLIN | EPOLLPRI)) != 0) bits |= readiness::kReadyToRecv;
    if ((events & EPOLLOUT) != 0) bits |= readiness::kReadyToSend;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) bits |= readiness::kShortProvesNothing;
    return static_cast<uint8_t>(bits);
  }

  template <typename Sink>
  static void DeliverEdges(const Edges& edges, Sink& sink) {
    // What there is no room for is there at the next wait.
    constexpr int kEdgesMax = 64;
    std::array<epoll_event, kEdgesMax> events;
    const int count = epoll_wait(edges.epoll, events.data(), kEdgesMax, 0);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      sink.OnEdge(event.data.u64, EdgesOf(event.events));
    }
  }
  int MakeEdges();

  // How many there are, in `events_`.
  int WaitForEvents(int64_t timeout_ns);

  const int epoll_;
  const int bell_;  // an eventfd that only rings: it is watched edge-triggered and never read
  std::array<Edges, 2> edges_{{{EPOLLIN | EPOLLPRI | EPOLLRDHUP}, {EPOLLOUT}}};
  bool has_nanoseconds_ = true;
  std::array<epoll_event, kEventsMax> events_;
};

}  // namespace ioring::epoll

#endif  // IORING_RING_EPOLL_EPOLL_POLLER_H_

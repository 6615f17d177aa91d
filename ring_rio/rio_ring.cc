// Creation and destruction.
#include "ring_rio/rio_ring.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/capability.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_core/emulated/capabilities.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/rio_queue.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/sockets.h"

template class ioring::emulated::EmulatedRing<ioring::rio::RioRing, ioring::rio::RioTypes>;

namespace ioring::rio {

absl::StatusOr<std::unique_ptr<RioRing>> RioRing::CreateIocp(const RingOptions& options) {
  return Create(options, nullptr);
}

absl::StatusOr<std::unique_ptr<RioRing>> RioRing::CreateRio(const RingOptions& options) {
  if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
  const absl::StatusOr<RioFunctions> functions = LoadRio();
  if (!functions.ok()) return functions.status();
  return Create(options, &*functions);
}

absl::StatusOr<std::unique_ptr<RioRing>> RioRing::CreateRio(const RingOptions& options,
                                                            const RioFunctions& functions) {
  return Create(options, &functions);
}

absl::StatusOr<std::unique_ptr<RioRing>> RioRing::Create(const RingOptions& options,
                                                         const RioFunctions* rio_functions) {
  if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
  const absl::StatusOr<SocketFunctions> functions = LoadSocketFunctions();
  if (!functions.ok()) return functions.status();
  absl::StatusOr<std::unique_ptr<CompletionPort>> port = CompletionPort::Create();
  if (!port.ok()) return port.status();
  absl::StatusOr<std::unique_ptr<SocketPoller>> poller = SocketPoller::Create(**port);
  if (!poller.ok()) return poller.status();
  auto ring =
      absl::WrapUnique(new RioRing(options, *std::move(port), *std::move(poller), *functions));
  if (rio_functions != nullptr) {
    absl::StatusOr<std::unique_ptr<RioQueue>> queue =
        RioQueue::Create(*rio_functions, *ring->port_, &ring->notify_);
    if (!queue.ok()) return queue.status();
    ring->rio_ = *std::move(queue);
  }
  ring->Report();
  return ring;
}

RioRing::RioRing(const RingOptions& options, std::unique_ptr<CompletionPort> port,
                 std::unique_ptr<SocketPoller> poller, const SocketFunctions& functions)
    : EmulatedRing(options, &ErrorFromNative, &NativeErrorText),
      port_(std::move(port)),
      poller_(std::move(poller)),
      functions_(functions),
      rio_threshold_bytes_(options.fixed_socket_io_threshold_bytes.value_or(0)),
      registered_(options.max_buffers) {
  notify_.kind = RequestKind::kNotify;
}

void RioRing::Report() {
  backend_name_ = rio_ != nullptr ? "rio" : "iocp";
  capabilities_ = emulated::ReportNone(options_.disabled, backend_name_,
                                       {.multishot_accept = "AcceptEx, several in flight"});
  for (const Capability capability : {Capability::kRegisteredBuffers, Capability::kFixedSocketIo}) {
    if (rio_ != nullptr && !options_.disabled.Has(capability)) capabilities_.TurnOn(capability);
  }
  socket_rio_ = capabilities_.Has(Capability::kRegisteredBuffers) &&
                capabilities_.Has(Capability::kFixedSocketIo);
}

// Requests that are Windows' keep their memory in use: those of closed listeners are waited for.
RioRing::~RioRing() {
  CheckAtRest();
  for (uint32_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].is_open()) {
      CloseListener(ListenerId{i, listeners_[i].generation}).IgnoreError();
    }
  }
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    if (connections_[i].state != ConnectionState::kFree) CloseNow(connections_[i]);
  }
  constexpr DWORD kPatienceMillis = 10'000;
  while (requests_out_ != 0) {
    const uint32_t count = port_->Take(packets_, kPatienceMillis);
    CHECK_NE(count, 0u) << "Windows does not give " << requests_out_
                        << " requests back whose sockets are closed";
    for (uint32_t i = 0; i < count; ++i) OnPacket(packets_[i]);
  }
  for (uint32_t slot = 0; slot < registered_.size(); ++slot) {
    if (buffers_.InKernelAt(slot)) rio_->Deregister(registered_[slot].id);
  }
}

}  // namespace ioring::rio

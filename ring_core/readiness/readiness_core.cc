// Creation and destruction.
#include "ring_core/readiness/readiness_core.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "ring/options.h"
#include "ring_core/emulated/capabilities.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/sockets.h"

template class ioring::emulated::EmulatedRing<ioring::readiness::ReadinessCore,
                                              ioring::readiness::ReadinessTypes>;

namespace ioring::readiness {

ReadinessCore::ReadinessCore(const RingOptions& options, std::string_view poller,
                             absl::AnyInvocable<void() const> bell)
    : EmulatedRing(options, &posix::ErrorFromErrno, &posix::ErrnoText), threads_(std::move(bell)) {
  backend_name_ = poller;
  capabilities_ = emulated::ReportNone(options.disabled, poller,
                                       {.multishot_accept = "one call per connection"});
}

void ReadinessCore::EndThreads() {
  if (of_another_process_) return threads_.LeaveProcess();
  CheckAtRest();
  threads_.Stop();
}

ReadinessCore::~ReadinessCore() {
  for (Listener& listener : listeners_) {
    if (!listener.is_open()) continue;
    if (!of_another_process_) listener.path.Remove().IgnoreError();
    posix::Close(listener.descriptor, /*reset=*/false);
  }
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    const Connection& connection = connections_[i];
    if (connection.state == ConnectionState::kFree || connection.descriptor < 0) continue;
    if (!of_another_process_) {
      if (connection.lingers) posix::StopLingering(connection.descriptor);
      posix::GiveBackShared(connection.descriptor, connection.changes);
    }
    posix::Close(connection.descriptor, /*reset=*/false);
  }
}

}  // namespace ioring::readiness

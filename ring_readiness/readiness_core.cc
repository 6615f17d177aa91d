// Creation and destruction.
#include "ring_readiness/readiness_core.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "ring/capability.h"
#include "ring/options.h"
#include "ring_posix/calls.h"
#include "ring_posix/errno_table.h"
#include "ring_posix/sockets.h"

namespace ioring::readiness {
namespace {

// What stands for a capability that only another kind of kernel interface has.
std::string_view WhatStandsFor(Capability capability) {
  switch (capability) {
    case Capability::kMultishotAccept:
      return "one call per connection";
    case Capability::kMultishotRecv:
      return "one call per receive";
    case Capability::kMultishotTimeout:
      return "timers of the ring's own";
    case Capability::kProvidedBuffers:
      return "the ring picks the buffer";
    case Capability::kIncrementalBuffers:
    case Capability::kBundles:
      return "one buffer per receive";
    case Capability::kRegisteredBuffers:
    case Capability::kFixedSocketIo:
      return "registered memory is used as any other";
    case Capability::kBatchWait:
      return "the ring sees to minimum and delay";
    case Capability::kCancelByDescriptor:
      return "the kernel holds nothing to cancel";
    default:
      return "no such thing";
  }
}

// None of them: each is done by calls of the ring's own, or not at all.
CapabilityReport Report(const RingOptions& options, std::string_view poller) {
  CapabilityReport report;
  for (int i = 0; i < kCapabilityCount; ++i) {
    const Capability capability = static_cast<Capability>(i);
    if (options.disabled.Has(capability)) {
      report.TurnOff(capability, "switched off by the options");
    } else {
      report.TurnOff(capability, absl::StrCat(poller, ": ", WhatStandsFor(capability)));
    }
  }
  return report;
}

}  // namespace

ReadinessCore::ReadinessCore(const RingOptions& options, std::string_view poller,
                             absl::AnyInvocable<void() const> bell)
    : EmulatedRing(options, &posix::ErrorFromErrno, &posix::ErrnoText), threads_(std::move(bell)) {
  capabilities_ = Report(options, poller);
}

void ReadinessCore::EndThreads() {
  CheckAtRest();
  threads_.Stop();
}

ReadinessCore::~ReadinessCore() {
  for (const Listener& listener : listeners_) {
    if (!listener.is_open()) continue;
    posix::Close(listener.descriptor, /*reset=*/false);
    posix::RemoveUnixPath(listener.endpoint).IgnoreError();
  }
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    const Connection& connection = connections_[i];
    if (connection.state != ConnectionState::kFree && connection.descriptor >= 0) {
      posix::Close(connection.descriptor, /*reset=*/false);
    }
  }
}

}  // namespace ioring::readiness

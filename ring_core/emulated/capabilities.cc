#include "ring_core/emulated/capabilities.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "ring/capability.h"

namespace ioring::emulated {
namespace {

std::string_view WhatStandsFor(Capability capability, const StandIns& stand_ins) {
  switch (capability) {
    case Capability::kMultishotAccept:
      return stand_ins.multishot_accept;
    case Capability::kMultishotRecv:
      return "one call per receive";
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
    default:
      return "no such thing";
  }
}

}  // namespace

CapabilityReport ReportNone(const CapabilitySet& disabled, std::string_view backend,
                            const StandIns& stand_ins) {
  CapabilityReport report;
  for (int i = 0; i < kCapabilityCount; ++i) {
    const auto capability = static_cast<Capability>(i);
    if (disabled.Has(capability)) {
      report.TurnOff(capability, "switched off by the options");
    } else {
      report.TurnOff(capability, absl::StrCat(backend, ": ", WhatStandsFor(capability, stand_ins)));
    }
  }
  return report;
}

}  // namespace ioring::emulated

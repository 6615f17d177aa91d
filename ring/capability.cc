#include "ring/capability.h"

#include <array>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

struct Words {
  Capability capability;
  std::string_view name;
};

// In the order of the enumerators.
constexpr std::array<Words, kCapabilityCount> kWords = {{
    {Capability::kMultishotAccept, "multishot accept"},
    {Capability::kMultishotRecv, "multishot receive"},
    {Capability::kProvidedBuffers, "provided buffers"},
    {Capability::kIncrementalBuffers, "incremental buffers"},
    {Capability::kBundles, "bundles"},
    {Capability::kDirectDescriptors, "direct descriptors"},
    {Capability::kRegisteredBuffers, "registered buffers"},
    {Capability::kFixedSocketIo, "fixed socket I/O"},
    {Capability::kZeroCopySend, "zero-copy send"},
    {Capability::kDeferredTaskRun, "deferred task run"},
    {Capability::kRegisteredRing, "registered ring"},
    {Capability::kBatchWait, "batch wait"},
    {Capability::kNoIoWait, "no I/O wait"},
    {Capability::kFileCalls, "file calls"},
    {Capability::kFileTruncate, "file truncate"},
    {Capability::kSubmissionPolling, "submission polling"},
    {Capability::kBusyPolling, "busy polling"},
    {Capability::kRestrictions, "restrictions"},
}};

constexpr bool IsInOrder() {
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (static_cast<size_t>(kWords[i].capability) != i) return false;
  }
  return true;
}
static_assert(IsInOrder());

}  // namespace

std::string_view CapabilityName(Capability capability) {
  const auto index = static_cast<size_t>(capability);
  return index < kWords.size() ? kWords[index].name : "(no capability of ioring)";
}

CapabilitySet CapabilitiesNewerThan5_15() {
  // capability.h says which kernel brought what; 5.15 has what came with it or before.
  CapabilitySet newer = CapabilitySet::All();
  newer.Remove(Capability::kRegisteredBuffers);
  newer.Remove(Capability::kFileCalls);
  newer.Remove(Capability::kSubmissionPolling);
  newer.Remove(Capability::kRestrictions);
  return newer;
}

void CapabilityReport::TurnOn(Capability capability) {
  on_.Add(capability);
  reasons_[static_cast<size_t>(capability)].clear();
}

void CapabilityReport::TurnOff(Capability capability, std::string_view reason) {
  on_.Remove(capability);
  reasons_[static_cast<size_t>(capability)] = reason;
}

std::string CapabilityReport::ToString() const {
  std::string on;
  std::string off;
  for (const auto& [capability, name] : kWords) {
    std::string& list = Has(capability) ? on : off;
    absl::StrAppend(&list, list.empty() ? "" : ", ", name);
    const std::string& why = reason(capability);
    if (!Has(capability) && !why.empty()) absl::StrAppend(&list, " (", why, ")");
  }
  return absl::StrCat("on: ", on.empty() ? "none" : on, "; off: ", off.empty() ? "none" : off);
}

}  // namespace ioring

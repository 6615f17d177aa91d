// Capabilities: what a backend can do natively, why not, and the kill switches.
//
// A feature that is off is emulated with the same meaning, or (performance-only
// features) simply not used. The conformance suite runs over masks of these.
// Each enumerator's comment names the first Linux version whose feature is used; in parentheses are
// earlier versions that have it, where it is wrong.
// Threads: plain values, any thread. Cost: O(1), but for the texts.
#ifndef IORING_RING_CAPABILITY_H_
#define IORING_RING_CAPABILITY_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace ioring {

enum class Capability : uint8_t {
  kMultishotAccept,     // io_uring 5.19, not 6.6 and 6.7
  kMultishotRecv,       // io_uring 6.0
  kProvidedBuffers,     // io_uring 5.19: the kernel picks a buffer of a group
  kIncrementalBuffers,  // io_uring 6.16 (6.12): one large buffer serves many receives
  kBundles,             // io_uring 6.16 (6.10): one receive fills several buffers
  kDirectDescriptors,   // io_uring 6.13 (5.19, 6.8): connections outside the fd table
  kRegisteredBuffers,   // io_uring 5.13, RIO
  kFixedSocketIo,       // io_uring 6.17: sockets through registered buffers, SIGPIPE-free
  kZeroCopySend,        // io_uring 6.0; used from RingOptions::zero_copy_threshold_bytes on
  kDeferredTaskRun,     // io_uring 6.1: SINGLE_ISSUER and DEFER_TASKRUN
  kRegisteredRing,      // io_uring 5.18: entering without a descriptor look-up
  kBatchWait,           // io_uring 6.12: a minimum batch with a bounded delay, in the kernel
  kNoIoWait,            // io_uring 6.15: waits do not count as I/O wait
  kFileCalls,           // io_uring 5.15: opening, closing, renaming and the like without threads
  kFileTruncate,        // io_uring 6.9: the same for PrepareTruncate
  kSubmissionPolling,   // io_uring SQPOLL: opt-in
  kBusyPolling,         // io_uring 6.9 NAPI: opt-in
  kRestrictions,        // io_uring 5.10: opt-in hardening
};
inline constexpr int kCapabilityCount = 18;

// "multishot accept", as it stands in start lines and reports.
std::string_view CapabilityName(Capability capability);

// A set of capabilities. A value; O(1).
class CapabilitySet {
 public:
  constexpr CapabilitySet() = default;
  constexpr CapabilitySet(std::initializer_list<Capability> capabilities) {
    for (Capability capability : capabilities) Add(capability);
  }
  static constexpr CapabilitySet All() {
    CapabilitySet all;
    all.bits_ = (uint32_t{1} << kCapabilityCount) - 1;
    return all;
  }

  constexpr void Add(Capability capability) { bits_ |= Bit(capability); }
  constexpr void Remove(Capability capability) { bits_ &= ~Bit(capability); }
  constexpr bool Has(Capability capability) const { return (bits_ & Bit(capability)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }

  friend constexpr bool operator==(CapabilitySet, CapabilitySet) = default;

 private:
  static constexpr uint32_t Bit(Capability capability) {
    return uint32_t{1} << static_cast<uint32_t>(capability);
  }
  uint32_t bits_ = 0;
};

// What newer kernels than Linux 5.15 brought. Masking these makes a ring behave
// as on 5.15.
CapabilitySet CapabilitiesNewerThan5_15();

// Which capabilities a ring uses and, for those it does not, why.
class CapabilityReport {
 public:
  bool Has(Capability capability) const { return on_.Has(capability); }
  CapabilitySet on() const { return on_; }
  // Why it is off: "switched off by the options", "this kernel (5.15) lacks it", ...
  // Empty when it is on.
  const std::string& reason(Capability capability) const {
    return reasons_[static_cast<size_t>(capability)];
  }

  void TurnOn(Capability capability);
  void TurnOff(Capability capability, std::string_view reason);

  // "on: multishot accept, ...; off: bundles (switched off by the options), ..."
  std::string ToString() const;

 private:
  CapabilitySet on_;
  std::array<std::string, kCapabilityCount> reasons_;
};

}  // namespace ioring

#endif  // IORING_RING_CAPABILITY_H_

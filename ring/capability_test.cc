#include "ring/capability.h"

#include <set>
#include <string_view>

#include "gtest/gtest.h"

namespace ioring {
namespace {

Capability Nth(int i) { return static_cast<Capability>(i); }

TEST(CapabilityTest, NamesAreThereAndDiffer) {
  std::set<std::string_view> names;
  for (int i = 0; i < kCapabilityCount; ++i) {
    EXPECT_FALSE(CapabilityName(Nth(i)).empty());
    EXPECT_TRUE(names.insert(CapabilityName(Nth(i))).second) << CapabilityName(Nth(i));
  }
  EXPECT_EQ(CapabilityName(Capability::kMultishotAccept), "multishot accept");
  EXPECT_EQ(CapabilityName(Capability::kRestrictions), "restrictions");
  EXPECT_EQ(CapabilityName(Nth(kCapabilityCount)), "(no capability of ioring)");
}

TEST(CapabilitySetTest, AllHoldsEveryOneAndNothingElse) {
  CapabilitySet set = CapabilitySet::All();
  for (int i = 0; i < kCapabilityCount; ++i) {
    EXPECT_TRUE(set.Has(Nth(i))) << i;
    set.Remove(Nth(i));
    EXPECT_FALSE(set.Has(Nth(i))) << i;
  }
  EXPECT_TRUE(set.empty());
}

TEST(CapabilitySetTest, AddAndRemoveTouchOne) {
  CapabilitySet set = {Capability::kBundles};
  set.Add(Capability::kZeroCopySend);
  EXPECT_EQ(set, (CapabilitySet{Capability::kZeroCopySend, Capability::kBundles}));
  set.Remove(Capability::kBundles);
  EXPECT_EQ(set, CapabilitySet{Capability::kZeroCopySend});
}

TEST(CapabilitySetTest, NewerThan5_15LeavesWhat5_15Had) {
  const CapabilitySet newer = CapabilitiesNewerThan5_15();
  for (Capability had : {Capability::kRegisteredBuffers, Capability::kFileCalls,
                         Capability::kSubmissionPolling, Capability::kRestrictions}) {
    EXPECT_FALSE(newer.Has(had)) << CapabilityName(had);
  }
  for (Capability lacked :
       {Capability::kMultishotAccept, Capability::kMultishotRecv, Capability::kProvidedBuffers,
        Capability::kDirectDescriptors, Capability::kZeroCopySend, Capability::kDeferredTaskRun,
        Capability::kRegisteredRing, Capability::kBatchWait, Capability::kNoIoWait,
        Capability::kFileTruncate, Capability::kBusyPolling}) {
    EXPECT_TRUE(newer.Has(lacked)) << CapabilityName(lacked);
  }
}

TEST(CapabilityReportTest, TellsWhyAndForgetsItWhenTurnedOn) {
  CapabilityReport report;
  report.TurnOff(Capability::kBundles, "switched off by the options");
  EXPECT_FALSE(report.Has(Capability::kBundles));
  EXPECT_EQ(report.reason(Capability::kBundles), "switched off by the options");
  report.TurnOn(Capability::kBundles);
  EXPECT_TRUE(report.Has(Capability::kBundles));
  EXPECT_EQ(report.reason(Capability::kBundles), "");
  EXPECT_EQ(report.on(), CapabilitySet{Capability::kBundles});
}

TEST(CapabilityReportTest, InWords) {
  CapabilityReport report;
  for (int i = 0; i < kCapabilityCount; ++i) report.TurnOn(Nth(i));
  EXPECT_TRUE(report.ToString().starts_with("on: multishot accept, multishot receive, "));
  EXPECT_TRUE(report.ToString().ends_with(", restrictions; off: none")) << report.ToString();
  report.TurnOff(Capability::kBundles, "this kernel (5.15) lacks it");
  report.TurnOff(Capability::kRestrictions, "");
  EXPECT_TRUE(
      report.ToString().ends_with("; off: bundles (this kernel (5.15) lacks it), restrictions"))
      << report.ToString();
}

TEST(CapabilityReportTest, NothingOn) {
  EXPECT_TRUE(CapabilityReport().ToString().starts_with("on: none; off: multishot accept, "));
}

}  // namespace
}  // namespace ioring

// A planted defect among all kinds of faults: what is left when the run has been shrunk is what it
// needs.
#include "ring_sim/shrink.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "ring_sim/fault_switches.h"
#include "ring_sim/options.h"
#include "ring_sim/testing/two_hosts.h"

namespace ioring::sim {
namespace {

// The server's defect: it takes a send for done that was short.
bool PassesWithDefect(const Trial& trial) {
  Two two(trial.seed, trial.options);
  Echo echo(two, two.Listen(), TransferFlags::kNone);
  bool passes = true;
  for (uint64_t i = 0; passes && i < trial.length; ++i) {
    passes = EchoOnce(two, static_cast<int>(i), std::chrono::seconds{100});
  }
  two.world.faults() = {};
  return passes;
}

// Nothing that is the client's own bad luck.
Trial Rich() {
  Faults faults = Rough();
  faults.coalesce = 50'000;
  faults.full_backlog = 20'000;
  faults.partition = 1'000;
  faults.partition_one_way = 1'000;
  faults.pause = 10'000;
  faults.reorder = 100'000;
  return {.options = {.faults = faults}, .length = 50};
}

TEST(Shrink, WhatTheDefectNeedsIsLeft) {
  const Trial rich = Rich();
  ASSERT_FALSE(PassesWithDefect(rich));
  const Shrunk shrunk = Shrink(rich, PassesWithDefect);
  EXPECT_FALSE(PassesWithDefect(shrunk.trial));
  for (const FaultSwitch& fault : kFaultSwitches) {
    EXPECT_EQ(Get(shrunk.trial.options.faults, fault) != 0, fault.name == "short_transfer")
        << fault.name;
  }
  EXPECT_EQ(shrunk.trial.length, 1u);
  EXPECT_EQ(shrunk.trial.options.faults_max, 1u);
  EXPECT_LT(shrunk.runs, 500);
  EXPECT_EQ(Describe(shrunk.trial), "seed 2, length 1, faults_max 1, short_transfer 300000");
}

// The log of the run that is left is short enough to be read.
TEST(Shrink, TheLogOfWhatIsLeftIsShort) {
  const Shrunk shrunk = Shrink(Rich(), PassesWithDefect);
  Two two(shrunk.trial.seed, shrunk.trial.options);
  Echo echo(two, two.Listen(), TransferFlags::kNone);
  EXPECT_FALSE(EchoOnce(two, 0, std::chrono::seconds{100}));
  const std::string log = two.world.LogText();
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 40) << log;
  EXPECT_NE(log.find("socket 1 accepted 3"), std::string::npos) << log;
  EXPECT_NE(log.find("socket 3 short"), std::string::npos) << log;
}

// All that a run follows from is told, and nothing else.
TEST(Shrink, WhatIsNotUsualIsTold) {
  EXPECT_EQ(Describe({}), "seed 1, length 1");
  Trial trial = {.seed = 7, .length = 2};
  trial.options.faults.partition = 3;
  trial.options.faults.partition_max_ns = 4;
  trial.options.faults_max = 5;
  trial.options.recv_buffer_bytes = 64;
  trial.options.unnamed_files = false;
  trial.options.log_entries = 6;
  EXPECT_EQ(
      Describe(trial),
      "seed 7, length 2, faults_max 5, partition 3, partition_max_ns 4, recv_buffer_bytes 64, "
      "unnamed_files 0");
}

TEST(Shrink, ItTakesNoMoreRunsThanItMay) {
  int runs = 0;
  const auto counted = [&](const Trial& trial) {
    ++runs;
    return PassesWithDefect(trial);
  };
  const Shrunk shrunk = Shrink(Rich(), counted, {.runs_max = 7});
  EXPECT_EQ(runs, 7);
  EXPECT_EQ(shrunk.runs, 7);
  EXPECT_FALSE(PassesWithDefect(shrunk.trial));
}

}  // namespace
}  // namespace ioring::sim

#include "bench/instructions/instruction_counter.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/instructions/processor.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

// What a compiler that does not optimise puts around what is counted.
constexpr uint64_t kBesides = 32;

class InstructionCounterTest : public testing::Test {
 protected:
  void SetUp() override {
    const absl::Status can = CanCountInstructions();
    if (!can.ok()) GTEST_SKIP() << can;
  }
};

std::vector<StepCounts> Count(const std::function<void(CountedSections&)>& program) {
  const absl::StatusOr<std::vector<StepCounts>> counts = CountInstructions(program);
  EXPECT_TRUE(counts.ok()) << counts.status();
  return counts.value_or(std::vector<StepCounts>());
}

TEST_F(InstructionCounterTest, NothingIsNothing) {
  const std::vector<StepCounts> counts = Count([](CountedSections& sections) {
    sections.Begin();
    sections.End();
  });
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_LE(counts[0].instructions, kBesides);
}

#if defined(__x86_64__)

TEST_F(InstructionCounterTest, ALoopIsCountedExactly) {
  constexpr uint64_t kRounds = 1000;
  const std::vector<StepCounts> counts = Count([](CountedSections& sections) {
    for (const uint64_t rounds : {kRounds, 2 * kRounds}) {
      uint64_t left = rounds;
      sections.Begin();
      asm volatile("1: nop; nop; dec %0; jnz 1b" : "+r"(left)::"cc");
      sections.End();
    }
  });
  ASSERT_EQ(counts.size(), 2u);
  // Four in each round; what loads the counter is beside it.
  EXPECT_EQ(counts[1].instructions - counts[0].instructions, 4 * kRounds);
  EXPECT_GE(counts[0].instructions, 4 * kRounds);
  EXPECT_LE(counts[0].instructions, 4 * kRounds + kBesides);
}

// A repeated string instruction traps after each repetition, and is one all the same.
TEST_F(InstructionCounterTest, ARepeatedInstructionIsOne) {
  const std::vector<StepCounts> counts = Count([](CountedSections& sections) {
    static char memory[4096];
    for (const size_t bytes : {1, 100, 4000}) {
      char* to = memory;
      size_t left = bytes;
      sections.Begin();
      asm volatile("rep stosb" : "+D"(to), "+c"(left) : "a"(1) : "memory");
      sections.End();
    }
  });
  ASSERT_EQ(counts.size(), 3u);
  EXPECT_LE(counts[0].instructions, kBesides);
  EXPECT_EQ(counts[1].instructions, counts[0].instructions);
  EXPECT_EQ(counts[2].instructions, counts[0].instructions);
}

// The same instruction again, after others, is another one.
TEST_F(InstructionCounterTest, SystemCallsAreOneEach) {
  const std::vector<StepCounts> counts = Count([](CountedSections& sections) {
    sections.Begin();
    for (int i = 0; i < 10; ++i) {
      long number = SYS_getppid;
      asm volatile("syscall" : "+a"(number)::"rcx", "r11", "memory");
    }
    sections.End();
  });
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].system_calls, 10u);
  EXPECT_GE(counts[0].instructions, 20u);
  EXPECT_LE(counts[0].instructions, 200u);  // what the kernel did is not among them
}

#endif

struct Base {
  virtual ~Base() = default;
  virtual void Call() = 0;
};
struct Derived final : Base {
  void Call() override { ++calls; }
  int calls = 0;
};

TEST_F(InstructionCounterTest, VirtualCallsAreSeen) {
  const std::vector<StepCounts> counts = Count([](CountedSections& sections) {
    Derived derived;
    Base* volatile hidden = &derived;
    for (const int calls : {10, 30}) {
      sections.Begin();
      for (int i = 0; i < calls; ++i) hidden->Call();
      sections.End();
    }
  });
  ASSERT_EQ(counts.size(), 2u);
  EXPECT_EQ(counts[1].indirect_calls - counts[0].indirect_calls, 20u);
  EXPECT_EQ(counts[0].indirect_calls, 10u);
}

// A program that does not reach its end is no figure.
TEST_F(InstructionCounterTest, FailuresAreTold) {
  const auto between = CountInstructions([](CountedSections&) { std::abort(); });
  EXPECT_EQ(between.status().code(), absl::StatusCode::kAborted);
  const auto within = CountInstructions([](CountedSections& sections) {
    sections.Begin();
    _exit(3);
  });
  EXPECT_EQ(within.status().code(), absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace ioring

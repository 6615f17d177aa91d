// CountInstructions: how many instructions a piece of code executes in user space, exactly.
//
//   absl::StatusOr<std::vector<StepCounts>> counts = CountInstructions([](CountedSections&
//   sections) {
//     Ring& ring = ...;                          // not counted
//     for (int i = 0; i < 2; ++i) {
//       sections.Begin();
//       for (int j = 0; j < 32; ++j) static_cast<void>(ring.PrepareNop(token));
//       sections.End();
//       ring.Submit();
//     }
//   });
//   // (*counts)[1].instructions: of the second section
//
// See single_stepper.h for what counts as an instruction and what that costs. Linux only.
#ifndef IORING_BENCH_INSTRUCTIONS_INSTRUCTION_COUNTER_H_
#define IORING_BENCH_INSTRUCTIONS_INSTRUCTION_COUNTER_H_

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/instructions/processor.h"
#include "bench/instructions/single_stepper.h"

namespace ioring {

// Marks what is counted. Only in a function that CountInstructions runs.
class CountedSections {
 public:
  // Not nested. Where optimised, neither adds an instruction that is counted.
  [[gnu::always_inline]] void Begin() { processor::Trap(); }
  [[gnu::always_inline]] void End() { processor::Trap(); }
};

// Whether instructions can be counted here: Unimplemented where the processor is unknown,
// PermissionDenied where processes may not be traced.
absl::Status CanCountInstructions();

// Runs `program` in a child process, and steps through its sections: the counts of each, in
// order. Only the child's main thread is looked at. Aborted where the program fails or is
// killed. The calling process must have no other threads that `program` needs.
absl::StatusOr<std::vector<StepCounts>> CountInstructions(
    const std::function<void(CountedSections&)>& program);

}  // namespace ioring

#endif  // IORING_BENCH_INSTRUCTIONS_INSTRUCTION_COUNTER_H_

// Shrink: of a run that fails, fewer faults and fewer steps that fail as well.
//
//   bool Passes(const sim::Trial& trial) {
//     SimulatedWorld world(trial.seed, trial.options);
//     ...  // does `trial.length` of whatever the test does
//   }
//   ...
//   if (!Passes(trial)) {
//     const sim::Shrunk shrunk = sim::Shrink(trial, Passes);
//     ADD_FAILURE() << sim::Describe(shrunk.trial);
//   }
//
// Cost: as many runs as ShrinkOptions allows. Threads: all runs are made on the caller's.
#ifndef IORING_RING_SIM_SHRINK_H_
#define IORING_RING_SIM_SHRINK_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "ring_sim/options.h"

namespace ioring::sim {

// All that a run follows from.
struct Trial {
  uint64_t seed = 1;
  WorldOptions options = {};
  // How long the run is, in what the test counts: messages, steps, seconds. At least 1.
  uint64_t length = 1;
};

struct ShrinkOptions {
  // The most runs that it takes.
  int runs_max = 2'000;
  // A run with fewer faults throws other dice, so that the seed alone says little: each smaller
  // trial is run with so many seeds, the trial's and those after it.
  int seeds = 10;
};

struct Shrunk {
  Trial trial;   // fails
  int runs = 0;  // that were made
};

// `passes` says whether a run was as it is to be; the same trial always gives the same answer.
// Requires that `trial` does not pass. Switches faults off (Faults), makes the run shorter
// (Trial::length), and lets faults by chance end earlier (WorldOptions::faults_max), as long as one
// seed still fails.
Shrunk Shrink(const Trial& trial, absl::FunctionRef<bool(const Trial&)> passes,
              const ShrinkOptions& options = {});

// One line, from which the trial can be written down again: the seed, the length, the faults that
// are on, and what else is not as it is by default, under the names of the members.
std::string Describe(const Trial& trial);

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_SHRINK_H_

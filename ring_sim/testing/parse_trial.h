// ParseTrial: what Describe (ring_sim/shrink.h) says, read back, so that a line of a test's output
// is enough to have its run again.
#ifndef IORING_RING_SIM_TESTING_PARSE_TRIAL_H_
#define IORING_RING_SIM_TESTING_PARSE_TRIAL_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "ring_sim/shrink.h"

namespace ioring::sim {

// `base` has what a description leaves out: how long faults last, sizes, limits. Faults that the
// text does not name are off. Errors: InvalidArgument, with the part that cannot be read.
absl::StatusOr<Trial> ParseTrial(const Trial& base, std::string_view text);

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_TESTING_PARSE_TRIAL_H_

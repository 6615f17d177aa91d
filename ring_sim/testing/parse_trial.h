// ParseTrial: what Describe (ring_sim/shrink.h) says, read back, so that a line of a test's output
// is enough to have its run again.
#ifndef IORING_RING_SIM_TESTING_PARSE_TRIAL_H_
#define IORING_RING_SIM_TESTING_PARSE_TRIAL_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "ring_sim/shrink.h"

namespace ioring::sim {

// The text does not say what is as it is by default. Errors: InvalidArgument, with the part that
// cannot be read.
absl::StatusOr<Trial> ParseTrial(std::string_view text);

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_TESTING_PARSE_TRIAL_H_

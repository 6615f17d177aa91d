// What the echo server reports of itself, read from what it prints.
#ifndef IORING_ECHO_TESTING_SERVER_REPORT_H_
#define IORING_ECHO_TESTING_SERVER_REPORT_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace ioring {

// The open connections of the last line of --report_interval. NotFound where there is none.
absl::StatusOr<uint64_t> LastReportedConnections(std::string_view output);

// A number of the statistics that stand at the end of `output`, by its JSON name. NotFound where
// there is none.
absl::StatusOr<uint64_t> FinalStatistic(std::string_view output, std::string_view name);

}  // namespace ioring

#endif  // IORING_ECHO_TESTING_SERVER_REPORT_H_

#include "bench/measuring_main.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "program/program_output.h"

namespace ioring {
namespace {

// What tells the error from others: a payload of no bytes.
constexpr std::string_view kLimitBroken = "ioring/limit_broken";

}  // namespace

absl::Status LimitBroken(std::string_view message) {
  absl::Status status = absl::FailedPreconditionError(message);
  status.SetPayload(kLimitBroken, absl::Cord());
  return status;
}

int MeasuringMain(int argc, char** argv, std::string_view usage,
                  absl::Status (*execute)(const std::vector<std::string>& words)) {
  absl::SetProgramUsageMessage(usage);
  absl::Status done = BeginOutput();
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  if (done.ok()) done = execute({words.begin() + 1, words.end()});
  if (done.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(done.message()).c_str());
  return done.GetPayload(kLimitBroken).has_value() ? 2 : 1;
}

}  // namespace ioring

#include "program/command_line.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/log/initialize.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "program/program_output.h"

namespace ioring {

absl::StatusOr<std::vector<std::string>> BeginProgram(int argc, char** argv, std::string_view usage,
                                                      std::string_view file) {
  absl::SetProgramUsageMessage(usage);
  absl::FlagsUsageConfig config;
  // The names of files come without the slashes that they begin with.
  config.contains_help_flags = [file = std::string(file)](std::string_view other) {
    return absl::EndsWith(file, other);
  };
  config.contains_helpshort_flags = config.contains_help_flags;
  absl::SetFlagsUsageConfig(config);
  absl::Status output = BeginOutput();
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  absl::InitializeLog();
  if (!output.ok()) return output;
  return std::vector<std::string>(words.begin() + 1, words.end());
}

}  // namespace ioring

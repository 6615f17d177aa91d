#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "echo/testing/footprint.h"

namespace ioring {

Footprint FootprintOf(pid_t pid) {
  Footprint footprint;
  const std::string process = absl::StrCat("/proc/", pid);
  std::ifstream status(process + "/status");
  for (std::string line; std::getline(status, line);) {
    const std::vector<std::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(": \t"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    uint64_t number = 0;
    if (!absl::SimpleAtoi(words[1], &number)) continue;
    if (words[0] == "VmRSS") footprint.resident_bytes = number << 10;
    if (words[0] == "Threads") footprint.threads = static_cast<int>(number);
  }
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(process + "/fd", gone)) {
    static_cast<void>(entry);
    ++footprint.descriptors;
  }
  return footprint;
}

}  // namespace ioring

#include "bench/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace ioring {
namespace {

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::pair<std::string_view, std::string_view> sides =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StripAsciiWhitespace(sides.first) == "model name") {
      return std::string(absl::StripAsciiWhitespace(sides.second));
    }
  }
  return "unknown processor";
}

std::string CompilerName() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown compiler";
#endif
}

std::string Flags() {
  std::string flags = "C++20";
#ifdef __OPTIMIZE__
  absl::StrAppend(&flags, ", optimised");
#else
  absl::StrAppend(&flags, ", not optimised");
#endif
#ifdef NDEBUG
  absl::StrAppend(&flags, ", NDEBUG");
#else
  absl::StrAppend(&flags, ", assertions");
#endif
  return flags;
}

}  // namespace

std::string Machine::ToString() const {
  return absl::StrFormat("%s, %d processors, %.0f GiB, %s", processor, processors,
                         static_cast<double>(memory_bytes) / (1 << 30), kernel);
}

Machine ThisMachine() {
  utsname system = {};
  uname(&system);
  return {.processor = ProcessorName(),
          .processors = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)),
          .memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                          static_cast<uint64_t>(sysconf(_SC_PAGESIZE)),
          .kernel = absl::StrCat(system.sysname, " ", system.release),
          .compiler = CompilerName(),
          .flags = Flags()};
}

}  // namespace ioring

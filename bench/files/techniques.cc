#include "bench/files/techniques.h"

#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/files/open_files.h"
#include "bench/files/ring_copy.h"
#include "buffer/map_status.h"
#include "buffer/memory_region.h"
#include "process/testing/copy_counter.h"

namespace ioring {
namespace {

constexpr std::array<std::pair<Technique, std::string_view>, 5> kNames = {{
    {Technique::kLoop, "loop"},
    {Technique::kCopyRange, "copy_range"},
    {Technique::kManagedCopied, "managed_copied"},
    {Technique::kManaged, "managed"},
    {Technique::kFixed, "fixed"},
}};

absl::StatusOr<uint64_t> CopyByLoop(const OpenFiles& files, uint32_t chunk_bytes) {
  // Aligned, for direct I/O.
  absl::StatusOr<MemoryRegion> memory = ToStatusOr(MemoryRegion::Create(chunk_bytes));
  if (!memory.ok()) return memory.status();
  std::byte* const data = memory->memory().data();
  uint64_t entries = 0;
  for (uint64_t done = 0; done < files.bytes();) {
    const ssize_t count = read(files.from(), data, chunk_bytes);
    ++entries;
    if (count < 0) return SystemError("read");
    if (count == 0) return absl::UnavailableError("the source became shorter");
    for (ssize_t written = 0; written < count;) {
      const ssize_t more = write(files.to(), data + written, static_cast<size_t>(count - written));
      ++entries;
      if (more < 0) return SystemError("write");
      written += more;
    }
    done += static_cast<uint64_t>(count);
  }
  return entries;
}

absl::StatusOr<uint64_t> CopyByRange(const OpenFiles& files) {
  uint64_t entries = 0;
  for (uint64_t done = 0; done < files.bytes();) {
    const ssize_t count = copy_file_range(files.from(), nullptr, files.to(), nullptr,
                                          static_cast<size_t>(files.bytes() - done), 0);
    ++entries;
    if (count < 0) return SystemError("copy_file_range");
    if (count == 0) return absl::UnavailableError("the source became shorter");
    done += static_cast<uint64_t>(count);
  }
  return entries;
}

absl::StatusOr<uint64_t> Copy(const TechniqueOptions& options, const OpenFiles& files) {
  if (options.technique == Technique::kLoop) return CopyByLoop(files, options.chunk_bytes);
  if (options.technique == Technique::kCopyRange) return CopyByRange(files);
  return CopyByRing(options, files);
}

}  // namespace

std::string_view TechniqueName(Technique technique) {
  for (const auto& [known, name] : kNames) {
    if (known == technique) return name;
  }
  return "";
}

absl::StatusOr<Technique> ParseTechnique(std::string_view name) {
  std::string names;
  for (const auto& [technique, known] : kNames) {
    if (known == name) return technique;
    absl::StrAppend(&names, names.empty() ? "" : ", ", known);
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is none of ", names));
}

absl::StatusOr<CopyCounts> CopyBy(const TechniqueOptions& options, const std::string& from,
                                  const std::string& to) {
  const absl::StatusOr<OpenFiles> files = OpenFiles::Open(from, to, options.is_direct);
  if (!files.ok()) return files.status();
  const CopyCounter copies;
  const absl::StatusOr<uint64_t> entries = Copy(options, *files);
  if (!entries.ok()) return entries.status();
  return CopyCounts{
      .bytes = files->bytes(), .copied_bytes = copies.bytes(), .kernel_entries = *entries};
}

}  // namespace ioring

// Copies a file by one technique, and says what that took.

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/files/techniques.h"
#include "program/command_line.h"
#include "program/program_output.h"

ABSL_FLAG(
    std::string, technique, "fixed",
    "loop: read(2) and write(2) in turn. copy_range: copy_file_range(2). managed_copied: into "
    "buffers that the ring picks, and from there into memory that is written. managed: "
    "written from where the ring put it. fixed: through registered buffers.");
ABSL_FLAG(bool, direct, false, "past the page cache (O_DIRECT)");
ABSL_FLAG(uint32_t, chunk, 0,
          "bytes of a piece: a multiple of 4096, up to 64 MiB. 0: 64 KiB, and 1 MiB with --direct");
ABSL_FLAG(uint32_t, depth, 0,
          "pieces on their way at once, up to 1024, where there is a ring. 0: 32, and 8 with "
          "--direct");

namespace ioring {
namespace {

constexpr uint32_t kChunkBytesMax = 64 << 20;
constexpr uint32_t kDepthMax = 1024;

absl::StatusOr<TechniqueOptions> OptionsOfFlags() {
  const absl::StatusOr<Technique> technique = ParseTechnique(absl::GetFlag(FLAGS_technique));
  if (!technique.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--technique: ", technique.status().message()));
  }
  TechniqueOptions options = {.technique = *technique,
                              .is_direct = absl::GetFlag(FLAGS_direct),
                              .chunk_bytes = absl::GetFlag(FLAGS_chunk),
                              .depth = absl::GetFlag(FLAGS_depth)};
  if (options.chunk_bytes % kBlockBytes != 0 || options.chunk_bytes > kChunkBytesMax) {
    return absl::InvalidArgumentError("--chunk is no multiple of 4096 up to 64 MiB");
  }
  if (options.is_direct && options.technique == Technique::kCopyRange) {
    return absl::InvalidArgumentError("--direct: the kernel copies a range through the page cache");
  }
  if (options.depth > kDepthMax) return absl::InvalidArgumentError("--depth is at most 1024");
  if (options.chunk_bytes == 0) options.chunk_bytes = options.is_direct ? 1 << 20 : 64 << 10;
  if (options.depth == 0) options.depth = options.is_direct ? 8 : 32;
  return options;
}

absl::Status Execute(const std::vector<std::string>& words) {
  const absl::StatusOr<TechniqueOptions> options = OptionsOfFlags();
  if (!options.ok()) return options.status();
  if (words.size() != 2) return absl::InvalidArgumentError("it takes two files: FROM and TO");
  const absl::StatusOr<CopyCounts> counts = CopyBy(*options, words[0], words[1]);
  if (!counts.ok()) return counts.status();
  absl::PrintF("bytes=%u copied_bytes=%u kernel_entries=%u\n", counts->bytes, counts->copied_bytes,
               counts->kernel_entries);
  return FlushOutput();
}

int Main(int argc, char** argv) {
  const absl::StatusOr<std::vector<std::string>> words =
      BeginProgram(argc, argv, "Copies a file by one technique.\n\n  techniques FROM TO", __FILE__);
  const absl::Status status = words.ok() ? Execute(*words) : words.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) { return ioring::Main(argc, argv); }

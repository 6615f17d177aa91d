// The techniques that a file may be copied by, one beside another: what differs is how the bytes
// pass through the program, and nothing else. Linux.
#ifndef IORING_BENCH_FILES_TECHNIQUES_H_
#define IORING_BENCH_FILES_TECHNIQUES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ioring {

enum class Technique : uint8_t {
  kLoop,           // read(2) and write(2) in turn, one piece at a time
  kCopyRange,      // copy_file_range(2): the bytes do not pass through the program
  kManagedCopied,  // into buffers that the ring picks; from there into memory of the program's own,
                   // which is written
  kManaged,        // into buffers that the ring picks, and written from where they lie
  kFixed,          // through registered buffers: READ_FIXED and WRITE_FIXED
};

// "loop", "copy_range", "managed_copied", "managed", "fixed".
std::string_view TechniqueName(Technique technique);
// InvalidArgument for a name that is none.
absl::StatusOr<Technique> ParseTechnique(std::string_view name);

struct TechniqueOptions {
  Technique technique = Technique::kLoop;
  bool is_direct = false;  // past the page cache, O_DIRECT
  // A multiple of kBlockBytes.
  uint32_t chunk_bytes = 0;
  // Pieces on their way at once. kLoop and kCopyRange have one.
  uint32_t depth = 0;
};

// Of what direct I/O needs multiples nearly everywhere.
inline constexpr uint32_t kBlockBytes = 4096;

struct CopyCounts {
  uint64_t bytes = 0;           // of the file
  uint64_t copied_bytes = 0;    // from memory to memory, by the program and the library
  uint64_t kernel_entries = 0;  // of the copy itself, without what opens the files
};

// Copies the regular file `from` to `to`, which is emptied first. The copy's space is reserved
// where `is_direct` is set.
// Errors: the system's, in words; InvalidArgument where `is_direct` is set and the file is not made
// of whole blocks; Unavailable where it became shorter meanwhile.
absl::StatusOr<CopyCounts> CopyBy(const TechniqueOptions& options, const std::string& from,
                                  const std::string& to);

}  // namespace ioring

#endif  // IORING_BENCH_FILES_TECHNIQUES_H_

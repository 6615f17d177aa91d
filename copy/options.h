// The options of a copy.
#ifndef IORING_COPY_OPTIONS_H_
#define IORING_COPY_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "copy/file_times.h"

namespace ioring::copy {

// How the content of a large file is copied.
enum class Method : uint8_t {
  kAuto,     // a reflink where the file systems can; else as kFixed
  kReflink,  // the files share their blocks; an error where they cannot
  kKernel,   // copy_file_range(2)
  kFixed,    // through registered buffers
  kManaged,  // into buffers that the ring picks, and written from where they lie
  kPlain,    // through memory that is not registered
};

// "auto", "reflink", "kernel", "fixed", "managed", "plain".
std::string_view MethodName(Method method);
// InvalidArgument for a name that is none.
absl::StatusOr<Method> ParseMethod(std::string_view name);

// Which large files bypass the page cache (O_DIRECT, open(2)). Reflinks come first all the same.
enum class Direct : uint8_t {
  kNever,
  // Those that the cache could not hold anyway: see direct_bytes_min. Where a file system has no
  // direct I/O, through the cache.
  kAuto,
  kAlways,  // all; an error where the file systems cannot
};

// "never", "auto", "always".
std::string_view DirectName(Direct direct);
absl::StatusOr<Direct> ParseDirect(std::string_view name);

struct Options {
  Method method = Method::kAuto;
  // False: no blocks are shared. kReflink and kKernel, which may share some, are refused then.
  bool reflink = true;
  // Chunks in flight; 1 to 1024.
  uint32_t depth = 4;
  // 4096 to 64 MiB, a multiple of 4096. Memory: `depth` of these.
  uint32_t chunk_bytes = 262144;
  // The same for direct I/O.
  Direct direct = Direct::kAuto;
  uint64_t direct_bytes_min = 0;  // of kAuto; 0: a quarter of the machine's memory
  uint32_t direct_depth = 8;
  uint32_t direct_chunk_bytes = 1 << 20;
  // Rings, each on a thread of its own, that share a tree's directories; 1 to 64. 0: one for every
  // four processors, because a ring has four threads for work that blocks. Fewer are made where the
  // process may open too few files for so many.
  uint32_t rings = 0;
  // Compares each copy with its source before it gets its name.
  bool verify = false;
  // Each file and directory is on the disk when it counts as copied.
  bool sync = false;
  // Leaves alone what has the same type, size and time already, and removes what a killed copy
  // left. With `verify` it compares the content of files, too.
  bool resume = false;
  // Looks, and writes nothing.
  bool dry_run = false;
  // What the destination makes of times, for `resume`. Set by the engine.
  TimeGrid target_times = {};
  // Called for each problem, on any ring's thread, by one at a time.
  std::function<void(std::string_view path, std::string_view reason)> on_problem;
};

// How many rings these options mean on this machine.
uint32_t RingsOf(const Options& options);

// InvalidArgument with a sentence for what contradicts itself or is out of range.
absl::Status CheckOptions(const Options& options);

}  // namespace ioring::copy

#endif  // IORING_COPY_OPTIONS_H_

// The options of a copy.
#ifndef IORING_COPY_OPTIONS_H_
#define IORING_COPY_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

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

struct Options {
  Method method = Method::kAuto;
  // False: no blocks are shared. kReflink and kKernel, which may share some, are refused then.
  bool reflink = true;
  // Chunks in flight; 1 to 1024.
  uint32_t depth = 32;
  // 4096 to 64 MiB, a multiple of 4096. Memory: `depth` of these.
  uint32_t chunk_bytes = 65536;
  // Compares each copy with its source before it gets its name.
  bool verify = false;
  // Each file and directory is on the disk when it counts as copied.
  bool sync = false;
  // Leaves alone what has the same type, size and time already, and removes what a killed copy
  // left. With `verify` it compares the content of files, too.
  bool resume = false;
  // Looks, and writes nothing.
  bool dry_run = false;
  // Called for each problem, on the ring's thread.
  std::function<void(std::string_view path, std::string_view reason)> on_problem;
};

// InvalidArgument with a sentence for what contradicts itself or is out of range.
absl::Status CheckOptions(const Options& options);

}  // namespace ioring::copy

#endif  // IORING_COPY_OPTIONS_H_

// The two files of a copy, open. Linux.
#ifndef IORING_BENCH_FILES_OPEN_FILES_H_
#define IORING_BENCH_FILES_OPEN_FILES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ioring {

// What errno says of `what`.
absl::Status SystemError(std::string_view what);

class OpenFiles {
 public:
  // As CopyBy says.
  static absl::StatusOr<OpenFiles> Open(const std::string& from, const std::string& to,
                                        bool is_direct);
  OpenFiles(OpenFiles&& other) noexcept
      : from_(std::exchange(other.from_, -1)),
        to_(std::exchange(other.to_, -1)),
        bytes_(other.bytes_) {}
  OpenFiles& operator=(OpenFiles&&) = delete;
  ~OpenFiles();

  int from() const { return from_; }
  int to() const { return to_; }
  uint64_t bytes() const { return bytes_; }  // of the source

 private:
  OpenFiles() = default;

  int from_ = -1;
  int to_ = -1;
  uint64_t bytes_ = 0;
};

}  // namespace ioring

#endif  // IORING_BENCH_FILES_OPEN_FILES_H_

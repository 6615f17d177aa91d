#include "bench/files/open_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/files/techniques.h"

namespace ioring {

absl::Status SystemError(std::string_view what) {
  return absl::UnknownError(absl::StrCat(what, ": ", std::generic_category().message(errno)));
}

absl::StatusOr<OpenFiles> OpenFiles::Open(const std::string& from, const std::string& to,
                                          bool is_direct) {
  const int direct = is_direct ? O_DIRECT : 0;
  OpenFiles files;
  files.from_ = open(from.c_str(), O_RDONLY | O_CLOEXEC | direct);
  if (files.from_ < 0) return SystemError(from);
  struct stat info = {};
  if (fstat(files.from_, &info) < 0) return SystemError(from);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(from, " is no regular file"));
  }
  files.bytes_ = static_cast<uint64_t>(info.st_size);
  if (is_direct && files.bytes_ % kBlockBytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(from, ": direct I/O copies whole blocks of ", kBlockBytes, " bytes"));
  }
  files.to_ = open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | direct, 0666);
  if (files.to_ < 0) return SystemError(to);
  // Direct writes that make a file longer exclude each other. Where nothing can be reserved they
  // do.
  if (is_direct && info.st_size > 0 && fallocate(files.to_, 0, 0, info.st_size) < 0 &&
      errno != EOPNOTSUPP) {
    return SystemError(to);
  }
  return files;
}

OpenFiles::~OpenFiles() {
  if (from_ >= 0) close(from_);
  if (to_ >= 0) close(to_);
}

}  // namespace ioring

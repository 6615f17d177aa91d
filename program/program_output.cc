#include "program/program_output.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "program/standard_streams.h"

namespace ioring {

absl::Status BeginOutput() {
  if (ReserveStandardStreams()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "standard output is closed: redirect it, to /dev/null where it is not wanted");
}

absl::Status FlushOutput() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  // An earlier failure's code is no longer known.
  const std::string why =
      errno == 0 ? "" : absl::StrCat(": ", std::generic_category().message(errno));
  return absl::UnavailableError(
      absl::StrCat("not everything could be written to standard output", why));
}

absl::StatusOr<ResultFile> ResultFile::Open(std::string_view flag, std::string path) {
  ResultFile result(flag, std::move(path));
  if (result.path_.empty()) return result;
  // For appending, which keeps what is there.
  result.file_.reset(std::fopen(result.path_.c_str(), "ab"));
  if (result.file_ == nullptr) return result.CannotWrite();
  return result;
}

absl::Status ResultFile::Write(std::string_view text) {
  if (path_.empty()) return absl::OkStatus();
  // Devices and pipes have nothing to be emptied.
  std::error_code error;
  if (std::filesystem::is_regular_file(path_, error)) std::filesystem::resize_file(path_, 0, error);
  errno = error.value();
  if (error) return CannotWrite();
  const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
  // Closing writes what is left.
  if (!written || std::fclose(file_.release()) != 0) return CannotWrite();
  return absl::OkStatus();
}

absl::Status ResultFile::CannotWrite() const {
  return absl::UnavailableError(absl::StrCat(
      "--", flag_, "=", path_, " cannot be written: ", std::generic_category().message(errno)));
}

}  // namespace ioring

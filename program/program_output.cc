#include "program/program_output.h"

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "program/standard_streams.h"

#if defined(_WIN32)
#include <io.h>
#include <windows.h>
#else
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace ioring {
namespace {

// Empties the file that was opened, whatever its name is by now. Devices and pipes have nothing to
// be emptied. False with errno set where that fails.
bool Empty(std::FILE* file) {
#if defined(_WIN32)
  const int descriptor = _fileno(file);
  const HANDLE handle = reinterpret_cast<HANDLE>(_get_osfhandle(descriptor));
  return GetFileType(handle) != FILE_TYPE_DISK || _chsize_s(descriptor, 0) == 0;
#else
  struct stat found;
  if (fstat(fileno(file), &found) != 0) return false;
  return !S_ISREG(found.st_mode) || ftruncate(fileno(file), 0) == 0;
#endif
}

bool WriteAll(std::string_view text, std::FILE* file) {
  return std::fwrite(text.data(), 1, text.size(), file) == text.size();
}

}  // namespace

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
  if (std::FILE* const stream = StandardStreamOf(file_.get()); stream != nullptr) {
    const bool written = WriteAll(text, stream) && std::fflush(stream) == 0;
    return written ? absl::OkStatus() : CannotWrite();
  }
  if (!Empty(file_.get()) || !WriteAll(text, file_.get())) return CannotWrite();
  // Closing writes what is left.
  if (std::fclose(file_.release()) != 0) return CannotWrite();
  return absl::OkStatus();
}

absl::Status ResultFile::CannotWrite() const {
  return absl::UnavailableError(absl::StrCat(
      "--", flag_, "=", path_, " cannot be written: ", std::generic_category().message(errno)));
}

}  // namespace ioring

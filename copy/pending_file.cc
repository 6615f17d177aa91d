#include "copy/pending_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "copy/system.h"

namespace ioring::copy {
namespace {

constexpr std::string_view kPrefix = ".ioring-copy-";
constexpr size_t kDigits = 16;

bool IsHexadecimal(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

std::string NewTemporaryName() {
  thread_local std::mt19937_64 numbers(uint64_t{std::random_device()()} << 32 |
                                       std::random_device()());
  return absl::StrCat(kPrefix, absl::Hex(numbers(), absl::kZeroPad16));
}

bool IsTemporaryName(std::string_view name) {
  if (name.size() != kPrefix.size() + kDigits || !absl::StartsWith(name, kPrefix)) return false;
  return std::all_of(name.begin() + kPrefix.size(), name.end(), IsHexadecimal);
}

int RenameIntoPlace(int directory, const std::string& temporary, const char* name) {
  if (renameat(directory, temporary.c_str(), directory, name) == 0) return 0;
  const int error = errno;
  static_cast<void>(unlinkat(directory, temporary.c_str(), 0));
  return -error;
}

int CheckWrites(int file) {
  const int duplicate = fcntl(file, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return -errno;
  return close(duplicate) == 0 ? 0 : -errno;
}

PendingFile::~PendingFile() {
  static_cast<void>(Close());
  if (!temporary_.empty()) static_cast<void>(unlinkat(directory_, temporary_.c_str(), 0));
}

int PendingFile::Create(int directory, mode_t permissions) {
  directory_ = directory;
  file_ = OpenUnnamed(directory, permissions);
  if (file_ >= 0) return 0;
  if (file_ != -ENOTSUP) return std::exchange(file_, -1);
  std::string temporary = NewTemporaryName();
  file_ = openat(directory, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                 0600);
  if (file_ < 0) return -errno;
  temporary_ = std::move(temporary);
  return 0;
}

int PendingFile::Publish(const char* name) {
  if (temporary_.empty()) {
    const int error = NameUnnamed(file_, directory_, name);
    if (error != -EEXIST) return error;
    // Only a rename replaces.
    std::string temporary = NewTemporaryName();
    if (const int failure = NameUnnamed(file_, directory_, temporary.c_str()); failure != 0) {
      return failure;
    }
    return RenameIntoPlace(directory_, temporary, name);
  }
  // File systems with unnamed files are local, and tell it at each write.
  if (const int error = CheckWrites(file_); error != 0) return error;
  return RenameIntoPlace(directory_, std::exchange(temporary_, {}), name);
}

int PendingFile::Close() {
  if (file_ < 0) return 0;
  return close(std::exchange(file_, -1)) == 0 ? 0 : -errno;
}

}  // namespace ioring::copy

#include "copy/pending_file.h"

#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
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
  return absl::StrCat(kPrefix, absl::Hex(system::RandomNumber(), absl::kZeroPad16));
}

bool IsTemporaryName(std::string_view name) {
  if (name.size() != kPrefix.size() + kDigits || !absl::StartsWith(name, kPrefix)) return false;
  return std::all_of(name.begin() + kPrefix.size(), name.end(), IsHexadecimal);
}

int RenameIntoPlace(int directory, const std::string& temporary, const char* name,
                    NameInUse in_use) {
  const auto rename = in_use == NameInUse::kKept ? &system::RenameNew : &system::Rename;
  const int error = rename(directory, temporary.c_str(), name);
  if (error != 0) static_cast<void>(system::Remove(directory, temporary.c_str()));
  return error;
}

int CheckWrites(int file) {
  const int duplicate = system::Duplicate(file);
  return duplicate < 0 ? duplicate : system::Close(duplicate);
}

PendingFile::~PendingFile() {
  static_cast<void>(Close());
  if (!temporary_.empty()) static_cast<void>(system::Remove(directory_, temporary_.c_str()));
}

int PendingFile::Create(int directory, mode_t permissions) {
  directory_ = directory;
  file_ = system::OpenUnnamed(directory, permissions);
  if (file_ >= 0) return 0;
  if (file_ != -ENOTSUP) return std::exchange(file_, -1);
  std::string temporary = NewTemporaryName();
  file_ = system::OpenNew(directory, temporary.c_str(), 0600);
  if (file_ < 0) return std::exchange(file_, -1);
  temporary_ = std::move(temporary);
  return 0;
}

int PendingFile::Publish(const char* name, NameInUse in_use) {
  if (temporary_.empty()) {
    const int error = system::NameUnnamed(file_, directory_, name);
    if (error != -EEXIST || in_use == NameInUse::kKept) return error;
    // Only a rename replaces.
    std::string temporary = NewTemporaryName();
    if (const int failure = system::NameUnnamed(file_, directory_, temporary.c_str());
        failure != 0) {
      return failure;
    }
    return RenameIntoPlace(directory_, temporary, name, in_use);
  }
  // File systems with unnamed files are local, and tell it at each write.
  if (const int error = CheckWrites(file_); error != 0) return error;
  return RenameIntoPlace(directory_, std::exchange(temporary_, {}), name, in_use);
}

int PendingFile::Close() { return file_ < 0 ? 0 : system::Close(std::exchange(file_, -1)); }

}  // namespace ioring::copy

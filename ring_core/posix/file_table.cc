#include "ring_core/posix/file_table.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/file.h"

namespace ioring::posix {
namespace {

// Whether the descriptor is one that a table may own.
absl::Status CheckFile(int descriptor) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) {
    return ErrnoStatus(errno, absl::StrCat("descriptor ", descriptor, " is no open file"));
  }
  if (S_ISSOCK(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "descriptor ", descriptor, " is a socket; register it with RegisterSocket instead"));
  }
  return absl::OkStatus();
}

}  // namespace

void FileSlot::Close() {
  if (!is_closing) close(descriptor);  // else the number may be another's already
  descriptor = -1;
}

absl::StatusOr<FileId> FileTable::Add(const FileSource& source) {
  const absl::StatusOr<FileId> id = FreeId();
  if (!id.ok()) return id;
  absl::StatusOr<int> descriptor =
      source.path == nullptr ? ToDescriptor(source.handle) : OpenFile(source.path, source.options);
  if (!descriptor.ok()) return descriptor.status();
  if (source.path == nullptr) {
    if (absl::Status status = CheckFile(*descriptor); !status.ok()) return status;
    if (Has(*descriptor)) {
      return absl::AlreadyExistsError(
          absl::StrCat("the ring has descriptor ", *descriptor, " already, as a file"));
    }
  }
  return *Adopt(*descriptor);
}

absl::StatusOr<NativeHandle> FileTable::FindHandle(FileId id, FileUse use) {
  const File* file = Find(id);
  if (file == nullptr) return StaleId("file");
  const int descriptor = file->descriptor;
  if (use == FileUse::kClose) {
    if (absl::Status status = Close(id); !status.ok()) return status;
  }
  return NativeHandle{descriptor};
}

std::optional<FileId> FileTable::Adopt(int descriptor) {
  const absl::StatusOr<FileId> id = FreeId();
  if (!id.ok()) return std::nullopt;
  File& file = (*this)[id->index];
  file.descriptor = descriptor;
  file.waits = FileSlot::Waits::kUnknown;
  file.is_closing = false;
  return *id;
}

}  // namespace ioring::posix

#include "ring_posix/file_table.h"

#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_posix/file.h"

namespace ioring::posix {

absl::Status StaleId(std::string_view kind) {
  return absl::NotFoundError(
      absl::StrCat("no such ", kind, ": its id is stale, or of another ring"));
}

FileTable::~FileTable() {
  for (const File& file : files_) {
    if (file.descriptor >= 0) close(file.descriptor);
  }
}

absl::StatusOr<FileId> FileTable::Open(const std::string& path, const FileOptions& options) {
  uint32_t index = 0;
  while (index < files_.size() && files_[index].descriptor >= 0) ++index;
  if (index == files_.size()) {
    return AllInUse(files_.size(), "files", "max_files");
  }
  absl::StatusOr<int> descriptor = OpenFile(path, options);
  if (!descriptor.ok()) return descriptor.status();
  files_[index].descriptor = *descriptor;
  return FileId{index, files_[index].generation};
}

absl::Status FileTable::Close(FileId id) {
  File* file = Find(id);
  if (file == nullptr) return StaleId("file");
  if (file->operations != 0) {
    return absl::FailedPreconditionError(
        "operations are in flight on the file: take their completions first");
  }
  close(file->descriptor);
  file->descriptor = -1;
  ++file->generation;
  return absl::OkStatus();
}

}  // namespace ioring::posix

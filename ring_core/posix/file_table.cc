#include "ring_core/posix/file_table.h"

#include <unistd.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_core/posix/file.h"

namespace ioring::posix {

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

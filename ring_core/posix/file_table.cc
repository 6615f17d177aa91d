#include "ring_core/posix/file_table.h"

#include <unistd.h>

#include <string>

#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring_core/posix/file.h"

namespace ioring::posix {

void FileSlot::Close() {
  close(descriptor);
  descriptor = -1;
}

absl::StatusOr<FileId> FileTable::Open(const std::string& path, const FileOptions& options) {
  const absl::StatusOr<FileId> id = FreeId();
  if (!id.ok()) return id;
  const absl::StatusOr<int> descriptor = OpenFile(path, options);
  if (!descriptor.ok()) return descriptor.status();
  (*this)[id->index].descriptor = *descriptor;
  return id;
}

}  // namespace ioring::posix

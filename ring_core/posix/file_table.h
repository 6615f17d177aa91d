// FileTable: the files that a ring has open, and how many operations are in flight on each.
#ifndef IORING_RING_CORE_POSIX_FILE_TABLE_H_
#define IORING_RING_CORE_POSIX_FILE_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring_limits.h"

namespace ioring::posix {

// Ring's thread only. Closes what is open when it is destroyed.
class FileTable {
 public:
  struct File {
    int descriptor = -1;
    uint16_t generation = 0;
    uint32_t operations = 0;  // in flight
  };

  explicit FileTable(uint32_t files_max) : files_(files_max) {}
  FileTable(const FileTable&) = delete;
  FileTable& operator=(const FileTable&) = delete;
  ~FileTable();

  // Ring::OpenFile and Ring::CloseFile.
  absl::StatusOr<FileId> Open(const std::string& path, const FileOptions& options);
  absl::Status Close(FileId id);

  // Null where the id is stale.
  File* Find(FileId id) {
    if (id.index >= files_.size()) return nullptr;
    File& file = files_[id.index];
    return file.descriptor >= 0 && file.generation == id.generation ? &file : nullptr;
  }
  File& operator[](uint32_t index) { return files_[index]; }
  // O(files).
  bool Has(int descriptor) const {
    return std::any_of(files_.begin(), files_.end(),
                       [&](const File& file) { return file.descriptor == descriptor; });
  }

 private:
  std::vector<File> files_;
};

using ioring::StaleId;

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_FILE_TABLE_H_

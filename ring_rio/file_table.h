// FileTable: the files that a ring has open, and how many operations are in flight on each.
#ifndef IORING_RING_RIO_FILE_TABLE_H_
#define IORING_RING_RIO_FILE_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// Ring's thread only. Closes what is open when it is destroyed.
class FileTable {
 public:
  struct File {
    HANDLE handle = INVALID_HANDLE_VALUE;
    uint16_t generation = 0;
    uint32_t operations = 0;  // in flight

    bool is_open() const { return handle != INVALID_HANDLE_VALUE; }
  };

  explicit FileTable(uint32_t files_max) : files_(files_max) {}
  FileTable(const FileTable&) = delete;
  FileTable& operator=(const FileTable&) = delete;
  ~FileTable();

  // Ring::OpenFile and Ring::CloseFile. Paths are UTF-8. Others may read, write, rename and
  // remove the file meanwhile, as on POSIX.
  absl::StatusOr<FileId> Open(const std::string& path, const FileOptions& options,
                              CompletionPort& port);
  absl::Status Close(FileId id);

  // Null where the id is stale.
  File* Find(FileId id) {
    if (id.index >= files_.size()) return nullptr;
    File& file = files_[id.index];
    return file.is_open() && file.generation == id.generation ? &file : nullptr;
  }
  File& operator[](uint32_t index) { return files_[index]; }

 private:
  std::vector<File> files_;
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_FILE_TABLE_H_

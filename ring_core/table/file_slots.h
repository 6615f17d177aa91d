// FileSlots: the files that a ring has open, and how many operations are in flight on each. A
// backend's table of files derives from it and opens them.
#ifndef IORING_RING_CORE_TABLE_FILE_SLOTS_H_
#define IORING_RING_CORE_TABLE_FILE_SLOTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/ring_limits.h"

namespace ioring {

// A slot is the backend's, closed when it is made, and has:
//  - `generation`, a uint16_t, and `operations`, a uint32_t: how many are in flight;
//  - `is_open()`, and `Close()`, after which it is not.
//
// Ring's thread only. Closes what is open when it is destroyed.
template <typename Slot>
class FileSlots {
 public:
  using File = Slot;

  explicit FileSlots(uint32_t files_max) : files_(files_max) {}
  FileSlots(const FileSlots&) = delete;
  FileSlots& operator=(const FileSlots&) = delete;
  ~FileSlots() {
    for (File& file : files_) {
      if (file.is_open()) file.Close();
    }
  }

  // Ring::CloseFile.
  absl::Status Close(FileId id) {
    File* file = Find(id);
    if (file == nullptr) return StaleId("file");
    if (file->operations != 0) {
      return absl::FailedPreconditionError(
          "operations are in flight on the file: take their completions first");
    }
    file->Close();
    ++file->generation;
    return absl::OkStatus();
  }

  // Null where the id is stale.
  File* Find(FileId id) {
    if (id.index >= files_.size()) return nullptr;
    File& file = files_[id.index];
    return file.is_open() && file.generation == id.generation ? &file : nullptr;
  }
  File& operator[](uint32_t index) { return files_[index]; }

 protected:
  // An id whose slot has no file: the next one's, once the slot is opened. ResourceExhausted where
  // all slots are in use. O(files).
  absl::StatusOr<FileId> FreeId() const {
    for (uint32_t index = 0; index < files_.size(); ++index) {
      if (!files_[index].is_open()) return FileId{index, files_[index].generation};
    }
    return AllInUse(files_.size(), "files", "max_files");
  }
  const std::vector<File>& files() const { return files_; }

 private:
  std::vector<File> files_;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_FILE_SLOTS_H_

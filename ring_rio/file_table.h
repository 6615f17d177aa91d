// FileTable: the files that a ring has open, and how many operations are in flight on each.
#ifndef IORING_RING_RIO_FILE_TABLE_H_
#define IORING_RING_RIO_FILE_TABLE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring_core/table/file_slots.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

struct FileSlot {
  HANDLE handle = INVALID_HANDLE_VALUE;
  uint16_t generation = 0;
  uint32_t operations = 0;  // in flight

  bool is_open() const { return handle != INVALID_HANDLE_VALUE; }
  void Close();
};

class FileTable : public FileSlots<FileSlot> {
 public:
  using FileSlots::FileSlots;

  // Ring::OpenFile. Paths are UTF-8. Others may read, write, rename and remove the file meanwhile,
  // as on POSIX.
  absl::StatusOr<FileId> Open(const std::string& path, const FileOptions& options,
                              CompletionPort& port);
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_FILE_TABLE_H_

// FileTable: the files that a ring has open, and how many operations are in flight on each.
#ifndef IORING_RING_RIO_FILE_TABLE_H_
#define IORING_RING_RIO_FILE_TABLE_H_

#include <algorithm>
#include <cstdint>

#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/table/file_slots.h"
#include "ring_core/table/slot_list.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/operation.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

struct FileSlot {
  HANDLE handle = INVALID_HANDLE_VALUE;
  // Handles for overlapped requests have no position of their own, which this stands for: where the
  // next transfer at kOwnPosition begins. Such transfers take turns.
  uint64_t position = 0;
  SlotList<Operation, &Operation::next> in_line;
  uint32_t operations = 0;  // in flight
  uint16_t generation = 0;
  bool is_moving = false;     // one of these transfers is in flight
  bool has_position = false;  // as disks' files do, and pipes do not
  bool is_directory = false;
  bool is_closing = false;  // a thread closes it now: the handle may be another file's already

  bool is_open() const { return handle != INVALID_HANDLE_VALUE; }
  void Close();
};

class FileTable : public FileSlots<FileSlot> {
 public:
  using FileSlots::FileSlots;

  // RingBackend::AddFile. AlreadyExists for a handle that is in the table.
  absl::StatusOr<FileId> Add(const FileSource& source, CompletionPort& port);
  // RingBackend::FindFile.
  absl::StatusOr<NativeHandle> FindHandle(FileId id, FileUse use);
  // Takes over a handle for overlapped requests, in a slot that is free. False, with GetLastError:
  // the handle cannot join the port.
  bool Adopt(HANDLE handle, FileId free_id, CompletionPort& port);

 private:
  // O(files).
  bool Has(HANDLE handle) const {
    return std::any_of(begin(), end(),
                       [&](const File& file) { return file.handle == handle && !file.is_closing; });
  }
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_FILE_TABLE_H_

// The work of file operations, as WorkThreads does it.
#ifndef IORING_RING_CORE_POSIX_FILE_WORK_H_
#define IORING_RING_CORE_POSIX_FILE_WORK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "ring/file.h"
#include "ring/request.h"
#include "ring_core/posix/file_call.h"
#include "ring_core/posix/work_threads.h"

namespace ioring::posix {

// A read or write. The owner's, small, and valid as zeroed memory.
struct FileTransferWork : WorkItem {
  const MemoryPart* parts;  // null: `data` alone
  std::byte* data;
  uint64_t offset;  // or kOwnPosition
  uint32_t length;  // of `data`, or the number of parts
  int32_t descriptor;
  int32_t result;  // bytes, or the negative of errno
  bool is_write;
};

FileTransferWork MakeTransfer(int descriptor, const request::FileTransfer& transfer);
FileTransferWork MakeTransfer(int descriptor, const request::FileParts& transfer);

// Makes the transfer wait until the system says that it would not block. For kOwnPosition, on what
// MayWait.
void WaitFirst(FileTransferWork& work);

// Whether reads and writes at the descriptor's own position may wait for somebody else: those of a
// pipe, a terminal or the like, but not of a regular file, a directory or a disk. A system call.
bool MayWait(int descriptor);

// Anything else.
struct FileWork : WorkItem {
  static constexpr uint32_t kNone = ~uint32_t{0};

  // Of CloseFile, `descriptors.first` is what is closed.
  std::variant<request::FileCall, request::Open, request::Work, request::CloseFile> call;
  CallDescriptors descriptors{-1, -1};
  uint32_t first_slot = kNone;  // the owner's to use: indexes in FileSlots
  uint32_t second_slot = kNone;
  // 0 or more, or the negative of errno; of Work what the function returned.
  int32_t result = 0;
};

// FileWork on a free list. Allocates only where none is free. One thread's.
class FileWorkPool {
 public:
  // Its `run` is set; everything else is as new.
  FileWork* Take();
  void Give(FileWork* work);

 private:
  std::vector<std::unique_ptr<FileWork>> all_;
  WorkItem* free_ = nullptr;
};

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_FILE_WORK_H_

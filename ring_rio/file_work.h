// FileWork: the work of a file operation that is no read or write, as WorkThreads does it.
#ifndef IORING_RING_RIO_FILE_WORK_H_
#define IORING_RING_RIO_FILE_WORK_H_

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "ring/request.h"
#include "ring_rio/file_call.h"
#include "ring_rio/windows_headers.h"
#include "ring_rio/work_threads.h"

namespace ioring::rio {

struct FileWork : WorkItem {
  // Of CloseFile, `handles.first` is what is closed.
  std::variant<request::FileCall, request::Open, request::Work, request::CloseFile> call;
  CallHandles handles;
  HANDLE opened = nullptr;  // by request::Open
  // 0 or more, or the negative of the system's code; of Work what the function returned.
  int32_t result = 0;
};

// FileWork on a free list. Allocates only where none is free. One thread's.
class FileWorkPool {
 public:
  // Its `run` is set; everything else is as new.
  FileWork* Take();
  void Give(FileWork* work) {
    work->next = free_;
    free_ = work;
  }

 private:
  std::vector<std::unique_ptr<FileWork>> all_;
  WorkItem* free_ = nullptr;
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_FILE_WORK_H_

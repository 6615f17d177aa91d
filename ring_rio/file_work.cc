#include "ring_rio/file_work.h"

#include <cstdint>
#include <memory>
#include <variant>

#include "ring/request.h"
#include "ring_rio/file_call.h"
#include "ring_rio/windows_headers.h"
#include "ring_rio/work_threads.h"

namespace ioring::rio {
namespace {

int32_t Do(const request::FileCall& call, FileWork& work) {
  return RunFileCall(call, work.handles);
}

int32_t Do(const request::Open& open, FileWork& work) {
  return RunOpen(open, work.handles.first, &work.opened);
}

int32_t Do(const request::Work& call, FileWork& /*work*/) { return call.function(call.argument); }

int32_t Do(const request::CloseFile& /*close*/, FileWork& work) {
  return CloseHandle(work.handles.first) ? 0 : -static_cast<int32_t>(GetLastError());
}

void Run(WorkItem& item) {
  FileWork& work = static_cast<FileWork&>(item);
  work.result = std::visit([&](const auto& call) { return Do(call, work); }, work.call);
}

}  // namespace

FileWork* FileWorkPool::Take() {
  if (free_ == nullptr) {
    all_.push_back(std::make_unique<FileWork>());
    Give(all_.back().get());
  }
  FileWork* work = static_cast<FileWork*>(free_);
  free_ = work->next;
  *work = FileWork{};
  work->run = &Run;
  return work;
}

}  // namespace ioring::rio

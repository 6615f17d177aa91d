#include "copy/link_table.h"

#include <coroutine>
#include <cstddef>
#include <utility>

#include "absl/log/check.h"
#include "process/mutex_lock.h"

namespace ioring::copy {

bool LinkTable::Turn::await_suspend(std::coroutine_handle<> handle) {
  process::MutexLock lock(table_.mutex_);
  File& file = table_.files_.try_emplace(key_).first->second;
  if (file.missing == 0) file.missing = links_;
  if (file.is_busy) {
    file.waiting.push_back({&ready_, handle});
    return true;
  }
  file.is_busy = true;
  return false;
}

const LinkTable::Copy* LinkTable::Turn::await_resume() {
  process::MutexLock lock(table_.mutex_);
  const Copy& copy = table_.files_.find(key_)->second.copy;
  return copy.path.empty() ? nullptr : &copy;
}

void LinkTable::Leave(const Key& key, Copy* copy) {
  Waiting next{};
  {
    process::MutexLock lock(mutex_);
    const auto found = files_.find(key);
    CHECK(found != files_.end()) << "no turn";
    File& file = found->second;
    if (copy != nullptr) file.copy = std::move(*copy);
    --file.missing;
    if (file.waiting.empty()) {
      file.is_busy = false;
      if (file.missing == 0) files_.erase(found);
      return;
    }
    // The turn goes over. A file that got further names meanwhile may have more than it had.
    if (file.missing == 0) file.missing = file.waiting.size();
    next = file.waiting.front();
    file.waiting.erase(file.waiting.begin());
  }
  next.ready->Post(next.handle);
}

size_t LinkTable::size() const {
  process::MutexLock lock(mutex_);
  return files_.size();
}

}  // namespace ioring::copy

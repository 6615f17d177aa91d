// RetryList: the connections of a run, by index, that found the submission queue full.
//
//   if (!Prepare(index)) list.Add(index);
//   ...
//   list.Retry([&](uint32_t waiting) { if (!Prepare(waiting)) list.Add(waiting); });
//
// Effects: none outside the object.
// Cost: constant per connection. Allocates when it is made, and not later.
// Threads: one.
#ifndef IORING_ECHO_LOAD_RETRY_LIST_H_
#define IORING_ECHO_LOAD_RETRY_LIST_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ioring {

class RetryList {
 public:
  // For indexes below `count`.
  explicit RetryList(size_t count) : listed_(count) {
    // In Retry the list may hold all twice: those it goes over, and those added again.
    indexes_.reserve(2 * count);
  }

  bool empty() const { return indexes_.empty(); }
  // Puts the connection at the end of the list, unless it is on the list.
  void Add(uint32_t index) {
    if (listed_[index]) return;
    listed_[index] = true;
    indexes_.push_back(index);
  }
  // Takes all connections from the list, and calls `retry` with each index, oldest first. A
  // connection that `retry` adds is on the list afterwards.
  template <typename Function>
  void Retry(Function retry) {
    const size_t count = indexes_.size();
    for (size_t i = 0; i < count; ++i) {
      const uint32_t index = indexes_[i];
      listed_[index] = false;
      retry(index);
    }
    indexes_.erase(indexes_.begin(), indexes_.begin() + static_cast<ptrdiff_t>(count));
  }

 private:
  std::vector<uint32_t> indexes_;
  std::vector<bool> listed_;
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_RETRY_LIST_H_

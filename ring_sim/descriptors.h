// Descriptors: the open files of a simulated host, by number, for calls that a program makes
// besides its rings (SimulatedWorld::descriptors).
#ifndef IORING_RING_SIM_DESCRIPTORS_H_
#define IORING_RING_SIM_DESCRIPTORS_H_

#include <cstddef>
#include <map>
#include <memory>
#include <utility>

#include "ring_sim/inode.h"

namespace ioring::sim {

// No number is given twice, so that the use of one that was closed is found.
class Descriptors {
 public:
  using File = std::shared_ptr<OpenedFile>;

  int Add(File file, bool is_of_ring = false) {
    entries_.emplace(++last_, Entry{std::move(file), is_of_ring});
    return last_;
  }
  // Null where the number is none.
  File Find(int descriptor) const {
    const auto found = entries_.find(descriptor);
    return found != entries_.end() ? found->second.file : nullptr;
  }
  // False where the number is none, or a ring's.
  bool Close(int descriptor) { return !IsOfRing(descriptor) && entries_.erase(descriptor) != 0; }
  void CloseOfRing(int descriptor) { entries_.erase(descriptor); }

  // Whether it is a file of a ring's.
  bool IsOfRing(int descriptor) const {
    const auto found = entries_.find(descriptor);
    return found != entries_.end() && found->second.is_of_ring;
  }
  // From now on.
  void GiveToRing(int descriptor) { entries_.at(descriptor).is_of_ring = true; }

  // Those that are open.
  size_t size() const { return entries_.size(); }
  void Clear() { entries_.clear(); }

 private:
  struct Entry {
    File file;
    bool is_of_ring;
  };
  std::map<int, Entry> entries_;
  int last_ = 1'000'000'000;  // no socket of a world gets as far, so that none is taken for a file
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_DESCRIPTORS_H_

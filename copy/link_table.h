// LinkTable: files of the source that have several names, until all of those were met.
//
//   const LinkTable::Copy* copy = co_await table.Enter(key, links);
//   ... names `*copy` once more, or where that is null copies ...
//   table.Leave(key, made);
//
// The first name that is met is copied, and the others become names of that copy. Those that come
// while it is being copied await its end. Where it failed, the next one is copied instead.
//
// Memory: a record for each file whose names were not all met yet.
// Threads: the ring's.
#ifndef IORING_COPY_LINK_TABLE_H_
#define IORING_COPY_LINK_TABLE_H_

#include <coroutine>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "copy/task.h"

namespace ioring::copy {

class LinkTable {
 public:
  using Key = std::pair<uint64_t, uint64_t>;  // device and number of the file

  // The copy of a file: where it lies, as a path from the destination's top, and which file it is,
  // to find out whether it still lies there.
  struct Copy {
    std::string path;
    Key identity;
  };

  // For the implementation.
  struct File {
    uint64_t missing = 0;  // names
    bool is_busy = false;
    Copy copy;
    std::vector<std::coroutine_handle<>> waiting;
  };

  explicit LinkTable(ReadyList& ready) : ready_(ready) {}

  // Awaits `key`'s turn: `co_await table.Enter(key, links)` gives the copy to be named once more,
  // or null where the caller is to copy. Either way the caller ends its turn by Leave.
  class Turn {
   public:
    Turn(LinkTable& table, const Key& key, uint64_t links)
        : file_(table.files_.try_emplace(key).first->second) {
      if (file_.missing == 0) file_.missing = links;
    }
    bool await_ready() {
      if (file_.is_busy) return false;
      file_.is_busy = true;
      return true;
    }
    void await_suspend(std::coroutine_handle<> handle) { file_.waiting.push_back(handle); }
    const Copy* await_resume() { return file_.copy.path.empty() ? nullptr : &file_.copy; }

   private:
    File& file_;
  };
  Turn Enter(const Key& key, uint64_t links) { return Turn(*this, key, links); }
  // `copy`: what was copied; null where nothing was, or it was only named.
  void Leave(const Key& key, Copy* copy);

  size_t size() const { return files_.size(); }

 private:
  ReadyList& ready_;
  std::map<Key, File> files_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_LINK_TABLE_H_

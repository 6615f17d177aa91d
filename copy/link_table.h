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
// Threads: any; a coroutine goes on by its own ReadyList.
#ifndef IORING_COPY_LINK_TABLE_H_
#define IORING_COPY_LINK_TABLE_H_

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "copy/task.h"
#include "ring/file.h"

namespace ioring::copy {

class LinkTable {
 public:
  using Key = std::pair<uint64_t, uint64_t>;  // device and number of the file

  // What the source was when it was copied. A file that has its number later may be another one.
  struct Version {
    explicit Version(const FileInfo& info)
        : size(info.size), modified(info.modified), born(info.born) {}
    Version() = default;
    bool operator==(const Version& other) const = default;

    uint64_t size = 0;
    FileTime modified;
    FileTime born;
  };

  // The copy of a file: where it lies, as a path from the destination's top, and which file it is,
  // to find out whether it still lies there.
  struct Copy {
    std::string path;
    Key identity;
    Version source = {};
  };

  LinkTable() = default;
  LinkTable(const LinkTable&) = delete;
  LinkTable& operator=(const LinkTable&) = delete;

  // Awaits `key`'s turn: `co_await table.Enter(key, links, ready)` gives the copy to be named once
  // more, or null where the caller is to copy. Either way the caller ends its turn by Leave.
  // `ready` is the caller's.
  class Turn {
   public:
    Turn(LinkTable& table, const Key& key, uint64_t links, ReadyList& ready)
        : table_(table), key_(key), links_(links), ready_(ready) {}
    bool await_ready() const { return false; }
    // Whether it has to wait.
    bool await_suspend(std::coroutine_handle<> handle);
    const Copy* await_resume();

   private:
    LinkTable& table_;
    const Key key_;
    const uint64_t links_;
    ReadyList& ready_;
  };
  Turn Enter(const Key& key, uint64_t links, ReadyList& ready) {
    return Turn(*this, key, links, ready);
  }
  // `copy`: what was copied, which further names are given from now on; null where nothing was, or
  // it was only named.
  void Leave(const Key& key, Copy* copy);

  size_t size() const;

 private:
  struct Waiting {
    ReadyList* ready;
    std::coroutine_handle<> handle;
  };
  struct File {
    uint64_t missing = 0;  // names
    bool is_busy = false;
    Copy copy;                     // written and read in a turn
    std::vector<Waiting> waiting;  // few; nearly always none, for which a deque takes 600 bytes
  };

  mutable absl::Mutex mutex_;
  std::map<Key, File> files_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ioring::copy

#endif  // IORING_COPY_LINK_TABLE_H_

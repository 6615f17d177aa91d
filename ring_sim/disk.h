// Disk: the file system of one host, in memory, and what of it would outlive a loss of power.
//
// It is like a journalling one of Linux (ext4 in its default mode). Directories, hard and symbolic
// links, unnamed files and holes are as there; permissions are kept, and nothing is refused by
// them; the umask is 022. The working directory is the root. There are no pipes and no devices.
//
// What a loss of power leaves:
//  - Of a file's bytes: those of its last sync; of what was written since, each sector and the size
//    are old or new, by the dice. A sync that fails loses some of it, as on Linux: the next sync
//    does not write that again, and succeeds. Who has the file open goes on to see what was
//    written.
//  - Of names: changes take effect in the order in which they were made, up to one that the dice
//    say. The sync of a directory makes its last change durable, and all that were made before. The
//    sync of a file makes no name durable, not even its own.
//  - Of permissions and times that were set: each setting is a change in that order, too. The sync
//    of its file or directory makes it durable.
#ifndef IORING_RING_SIM_DISK_H_
#define IORING_RING_SIM_DISK_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/request.h"
#include "ring_sim/content.h"
#include "ring_sim/engine.h"
#include "ring_sim/inode.h"
#include "ring_sim/network.h"

namespace ioring::sim {

class Disk {
 public:
  static constexpr size_t kSectorBytes = Content::kSectorBytes;

  explicit Disk(Engine& engine);

  // All of these happen at once: who calls sees to the time that it takes. Those of operations
  // fail as the dice say.

  // 0, or the error. `directory` may be null: then relative paths start at the root.
  CallResult Open(const OpenedFile* directory, const char* path, const FileOptions& options,
                  OpenedFile* opened);
  // What the dice say of an open, before it.
  Error FaultOfOpen(const FileOptions& options);
  // Bytes, or the error. `offset` may be kOwnPosition.
  CallResult Read(OpenedFile& file, uint64_t offset, std::span<const MemoryPart> parts);
  CallResult Write(OpenedFile& file, uint64_t offset, std::span<const MemoryPart> parts);
  // `first` and `second` are those of request::FilesOf; null where the call has none.
  CallResult Call(const request::FileCall& call, OpenedFile* first, OpenedFile* second);
  // "rename". A literal.
  static const char* NameOf(const request::FileCall& call);

  // ---- Calls that no operation of a ring makes.

  struct Attributes {
    std::optional<uint32_t> permissions;
    std::optional<FileTime> accessed;
    std::optional<FileTime> modified;
  };
  // Changes those that are set. A symbolic link has no permissions: kNotSupported.
  CallResult SetAttributes(OpenedFile& file, const Attributes& attributes);
  // A last component that is a symbolic link is not followed.
  CallResult SetAttributes(const OpenedFile* directory, const char* path,
                           const Attributes& attributes);
  // Replaces `*name`, which is "" at first, by the next name in the directory: 1. 0: there is none.
  CallResult NextName(const OpenedFile& directory, std::string* name, FileType* type);
  // The first range of the file's bytes, from `from` on and before `end`, that are stored. It is
  // empty where there is none.
  CallResult FindData(const OpenedFile& file, uint64_t from, uint64_t end, uint64_t* begin,
                      uint64_t* finish);

  // ---- What happens to the disk.

  // See above. Who has a file open goes on to see what was written.
  void LosePower();
  // All that is there now is durable.
  void SyncAll();
  // After so many more changes (of bytes, names or attributes, and syncs) the disk does not change
  // any more: the next one, and all calls after it, fail with kInputOutput until the repair. So a
  // program is ended in the midst of its calls: what it tries after that has no effect. `then`, if
  // it is set, is called in the place of that change, and must not use the disk.
  void BreakAfter(uint64_t changes, absl::AnyInvocable<void()> then = nullptr);
  // How many there were, or were tried.
  uint64_t changes() const { return changes_; }
  // Of all calls but closes, the one after so many more fails with kInputOutput, and no other.
  void FailOnceAfter(uint64_t calls) { fails_at_ = calls_ + calls; }
  // How many there were.
  uint64_t calls() const { return calls_; }
  // Takes back both of these, also what is still to come of them.
  void Repair();
  // Makes the directory and those that it is in, where they do not exist, and makes them durable.
  void MakeDirectories(std::string_view path);

  // ---- Looking, by paths from the root. A last component that is a symbolic link is not followed.

  // What is there now; null where there is nothing.
  const Inode* Find(const std::string& path) const;
  // What the file holds now; nothing where there is no such file.
  std::optional<std::string> Contents(const std::string& path) const;
  // Of all files, in sectors.
  uint64_t used_bytes() const { return *used_ * kSectorBytes; }

 private:
  using Pointer = std::shared_ptr<Inode>;

  static constexpr size_t kPathBytesMax = 4095;  // as of Linux

  // Where a path leads.
  struct Place {
    Error error = Error::kOk;
    Pointer directory;      // that the last component is in
    std::string name;       // the last component
    Pointer inode;          // null: there is no such entry
    bool is_plain = false;  // the name is that of an entry: not "." or ".."
    bool ends_with_slash = false;
    bool is_through_link = false;  // the path's last component was a link, and was followed
  };
  // A part of a change of names.
  struct Edit {
    Pointer directory;
    std::string name;
    Pointer before;  // what the name named; null: nothing
  };
  struct AttributeEdit {
    Pointer inode;  // and what it had before
    uint32_t permissions;
    int64_t accessed_ns;
    int64_t modified_ns;
  };
  struct Change {
    std::vector<Edit> names;
    std::optional<AttributeEdit> attributes;  // then of no names
  };

  // Paths: disk_path.cc.
  Place Walk(const OpenedFile* directory, const char* path, FollowLink follow) const;
  Place WalkFrom(Pointer at, std::string_view path, FollowLink follow) const;
  static bool IsWithin(const Inode* inode, const Pointer& directory);
  // Names. `change` is noted by End.
  void SetEntry(Change& change, const Pointer& directory, const std::string& name,
                const Pointer& inode);
  void End(Change change);
  void Note(Change change);
  void CommitDirectory(const Inode& directory);
  void CommitAttributes(const Inode& inode);
  Pointer Make(FileType type, uint32_t permissions);
  // 0, or why nothing can be made there.
  static Error CheckNew(const Place& place, bool is_directory);
  // The same where a link with a slash behind it is not followed, but is in the way.
  static Error CheckNewName(const Place& place, bool is_directory);
  // Null takes the name away.
  void Name(const Place& place, const Pointer& inode);
  Pointer Clone(const Inode& inode, std::map<uint64_t, Pointer>& clones);

  Error Fault(uint64_t number, bool needs_space);
  // Whether the disk is, where this call changes something or not.
  Error Broken(bool is_change);
  CallResult SetAttributesOf(const Pointer& of, const Attributes& attributes);
  static void SyncAllBelow(Inode& inode);
  CallResult MakeAndOpen(const Place& place, const FileOptions& options, OpenedFile* opened);
  static Error CheckOpen(const Place& place, const FileOptions& options);
  Error CheckTransfer(const OpenedFile& file, uint64_t offset, std::span<const MemoryPart> parts,
                      bool is_write) const;
  size_t PartOf(const OpenedFile& file, size_t bytes);
  // As many as there are once there is room for the wanted ones, if that can be.
  uint64_t FreeSectors(uint64_t wanted);
  // Makes room for what is missing in the range; returns how far there is.
  uint64_t MakeRoom(const Inode& inode, uint64_t offset, uint64_t end);
  void Touch(Inode& inode) { inode.modified_ns = inode.changed_ns = engine_.Now(); }
  void Describe(const Inode& inode, FileInfo& info) const;

  // The calls: disk_call.cc.
  CallResult Make(const request::Sync& call, OpenedFile* file, OpenedFile* none);
  CallResult Make(const request::Stat& call, OpenedFile* directory, OpenedFile* none);
  CallResult Make(const request::StatFile& call, OpenedFile* file, OpenedFile* none);
  CallResult Make(const request::Truncate& call, OpenedFile* file, OpenedFile* none);
  CallResult Make(const request::Allocate& call, OpenedFile* file, OpenedFile* none);
  CallResult Make(const request::Advise& call, OpenedFile* file, OpenedFile* none);
  CallResult Make(const request::Rename& call, OpenedFile* from, OpenedFile* to);
  CallResult Make(const request::Link& call, OpenedFile* existing, OpenedFile* name);
  CallResult Make(const request::LinkFile& call, OpenedFile* file, OpenedFile* name);
  CallResult Make(const request::Symlink& call, OpenedFile* name, OpenedFile* none);
  CallResult Make(const request::ReadLink& call, OpenedFile* directory, OpenedFile* none);
  CallResult Make(const request::Unlink& call, OpenedFile* directory, OpenedFile* none);
  CallResult Make(const request::UnlinkDirectory& call, OpenedFile* directory, OpenedFile* none);
  CallResult Make(const request::MakeDirectory& call, OpenedFile* directory, OpenedFile* none);
  CallResult Make(const request::CopyRange& call, OpenedFile* from, OpenedFile* to);
  CallResult Copy(const request::CopyRange& call, Inode& from, Inode& to);
  CallResult Share(const request::CopyRange& call, Inode& from, Inode& to);
  Error CheckRename(const Place& from, const Place& to, RenameMode mode) const;

  Engine& engine_;
  std::shared_ptr<uint64_t> used_ = std::make_shared<uint64_t>(0);  // sectors
  uint64_t last_number_ = 0;
  Pointer root_;
  std::deque<Change> journal_;  // what is not durable yet, oldest first

  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  uint64_t changes_ = 0;
  uint64_t breaks_at_ = kNever;
  bool is_broken_ = false;
  absl::AnyInvocable<void()> on_break_;
  uint64_t calls_ = 0;
  uint64_t fails_at_ = kNever;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_DISK_H_

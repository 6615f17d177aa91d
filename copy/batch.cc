#include "copy/batch.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "copy/file_times.h"
#include "copy/metadata.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/system.h"

namespace ioring::copy {
namespace {

constexpr uint64_t kBlockBytes = 512;  // of st_blocks
// Of a smaller file a hole saves nothing.
constexpr uint64_t kHoleBytesMin = 4096;
constexpr mode_t kAllPermissions = 0777;

bool HasHoles(const struct stat& info) {
  const auto size = static_cast<uint64_t>(info.st_size);
  return size > kHoleBytesMin && static_cast<uint64_t>(info.st_blocks) * kBlockBytes < size;
}

bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool IsSameTime(const struct stat& a, const struct stat& b) {
  return copy::IsSameTime(ModifiedTime(a), ModifiedTime(b), b.st_dev, TimeGrid());
}

// Reads until `size` bytes are there or the file ends, which is known to have `expected` bytes. The
// bytes, or the negative of errno.
ssize_t ReadUpTo(int file, std::byte* memory, size_t size, size_t expected) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = system::Read(file, memory + done, size - done, done);
    if (count < 0) return count;
    done += static_cast<size_t>(count);
    // A short read that ends where the file is known to end needs no second one, which says so.
    if (count == 0 || (done == expected && done < size)) break;
  }
  return static_cast<ssize_t>(done);
}

int WriteAll(int file, const std::byte* memory, size_t size, uint64_t offset) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = system::Write(file, memory + done, size - done, offset + done);
    if (count < 0) return static_cast<int>(count);
    // No system says that it wrote nothing, but file systems in user space may.
    if (count == 0) return -EIO;
    done += static_cast<size_t>(count);
  }
  return 0;
}

int SyncEntry(int directory, const char* name) {
  const int file = system::OpenToRead(directory, name);
  if (file < 0) return file;
  const int synced = system::Sync(file);
  system::Close(file);
  return synced;
}

// What a batch learns from one entry for the next.
struct Progress {
  uint64_t bytes = 0;
  // Owner and permissions of a new file of the destination that was asked to have kAllPermissions:
  // those that a umask, or a default list of access control, leaves.
  bool knows_new_files = false;
  struct stat new_file {};
  bool new_files_have_list = false;  // of access control
};

// One entry on its way.
class EntryCopier {
 public:
  EntryCopier(const Batch& batch, BatchEntry& entry, Progress& progress, std::byte* memory,
              std::byte* compared)
      : batch_(batch),
        options_(*batch.options),
        entry_(entry),
        progress_(progress),
        memory_(memory),
        compared_(compared) {}

  void Copy() {
    entry_.reason.clear();
    if (entry_.is_file && !options_.dry_run) return CopyFile();
    if (const int error = system::StatEntry(batch_.from, name(), &info_); error != 0) {
      if (error != -ENOENT) return Fail(ErrnoText(-error));
      return Fail(entry_.is_asked_for ? "it does not exist" : "it vanished before it was copied");
    }
    if (S_ISDIR(info_.st_mode)) {
      entry_.outcome = Outcome::kDirectory;
    } else if (!S_ISREG(info_.st_mode)) {
      const bool is_passed_on = info_.st_nlink > 1 && !entry_.is_named && !options_.dry_run;
      if (is_passed_on) entry_.outcome = Outcome::kNamedNode;
      if (!is_passed_on) CopyNode();
    } else if (options_.dry_run) {
      TellFile();
    } else {
      CopyFile();
    }
  }

 private:
  const char* name() const { return entry_.name.c_str(); }
  const char* target_name() const {
    return entry_.target_name.empty() ? name() : entry_.target_name.c_str();
  }
  void Fail(std::string reason) {
    entry_.outcome = Outcome::kFailed;
    entry_.reason = std::move(reason);
  }
  void Fail(std::string_view what, int error) { Fail(absl::StrCat(what, ": ", ErrnoText(error))); }
  void FailToWrite(int error) {
    if (error == -EEXIST) return Fail(std::string(kNameIsTaken));
    Fail("the copy cannot be written", -error);
  }
  NameInUse InUse() const { return batch_.is_new ? NameInUse::kKept : NameInUse::kReplaced; }

  // What is at the destination already; false where nothing is or can be.
  bool LookAtTarget() {
    return !batch_.is_new && batch_.to >= 0 &&
           system::StatEntry(batch_.to, target_name(), &target_) == 0;
  }
  // Ends the entry where the destination says so.
  bool IsRefused() {
    if (IsSameFile(info_, target_)) {
      Fail("the source and the destination are the same file");
      return true;
    }
    if (S_ISDIR(target_.st_mode)) {
      Fail("the destination is a directory");
      return true;
    }
    return false;
  }
  void Skip() {
    entry_.outcome = Outcome::kSkipped;
    if (S_ISREG(info_.st_mode)) entry_.bytes = static_cast<uint64_t>(info_.st_size);
  }

  // In a dry run.
  void TellFile() {
    if (LookAtTarget() && (IsRefused() || (options_.resume && LooksComplete()))) {
      if (entry_.outcome != Outcome::kFailed) Skip();
      return;
    }
    entry_.outcome = Outcome::kFile;
    entry_.bytes = static_cast<uint64_t>(info_.st_size);
  }

  void CopyFile() {
    // Not blocking: it may have become a FIFO.
    const int from = system::OpenToRead(batch_.from, name());
    if (from == -ENOENT) return Fail("it vanished before it was copied");
    if (from < 0) return Fail("it cannot be opened", -from);
    const absl::Cleanup closer = [from] { system::Close(from); };
    if (const int error = system::Stat(from, &info_); error != 0) {
      return Fail("it cannot be looked at", -error);
    }
    if (!S_ISREG(info_.st_mode)) return Fail("it became another kind of file meanwhile");
    const auto size = static_cast<uint64_t>(info_.st_size);
    if (info_.st_nlink > 1 || HasHoles(info_) || size > LargestSize()) {
      entry_.outcome = Outcome::kLargeFile;
      return;
    }
    const bool has_target = LookAtTarget();
    if (has_target && IsRefused()) return;
    if (has_target && options_.resume && !options_.verify && LooksComplete() && IsOnDisk()) {
      return Skip();
    }
    if (size > kSmallFileBytes) return CopyMediumFile(from);
    CopyOpenFile(from, has_target);
  }

  // Of a file that this batch copies.
  uint64_t LargestSize() const {
    if (options_.method == Method::kReflink || options_.method == Method::kKernel) return 0;
    const bool takes_medium = options_.method == Method::kAuto && !options_.verify &&
                              options_.direct != Direct::kAlways && progress_.bytes < kBatchBytes;
    return takes_medium ? kMediumFileBytes : kSmallFileBytes;
  }

  void CopyOpenFile(int from, bool has_target) {
    const ssize_t read =
        ReadUpTo(from, memory_, kSmallFileBytes + 1, static_cast<size_t>(info_.st_size));
    if (read < 0) return Fail("it cannot be read", static_cast<int>(-read));
    const auto size = static_cast<size_t>(read);
    if (size > kSmallFileBytes) {
      if (info_.st_size == 0) return CopyMediumFile(from, /*is_told=*/false);
      entry_.outcome = Outcome::kLargeFile;  // it has grown
      return;
    }
    if (has_target && options_.resume && options_.verify && LooksComplete() && IsEqual(size) &&
        IsOnDisk()) {
      return Skip();
    }
    PendingFile file;
    int error = Create(file);
    if (error == 0) error = WriteAll(file.descriptor(), memory_, size, 0);
    if (error == 0 && options_.verify && !HasContentToItsEnd(file.descriptor(), size)) {
      return Fail("the copy does not have the bytes that were written to it");
    }
    if (error == 0) error = Finish(from, file);
    if (error != 0) return FailToWrite(error);
    Succeed(from, size);
  }

  // Files of /proc, and of some file systems in user space, have bytes and say that they have none:
  // `is_told` is false for those, whose end shows where it is.
  void CopyMediumFile(int from, bool is_told = true) {
    PendingFile file;
    if (const int error = Create(file); error != 0) return FailToWrite(error);
    const uint64_t size = is_told ? static_cast<uint64_t>(info_.st_size) : UINT64_MAX;
    const int copied = is_told && options_.reflink
                           ? system::CopyInKernel(from, file.descriptor(), size)
                           : -ENOTSUP;
    uint64_t done = static_cast<uint64_t>(std::max(copied, 0));
    if (copied < 0 && !CopyPieces(from, file.descriptor(), size, &done)) return;
    if (const int error = Finish(from, file); error != 0) return FailToWrite(error);
    Succeed(from, done);
  }

  bool CopyPieces(int from, int to, uint64_t size, uint64_t* done) {
    while (*done < size) {
      // A file that does not tell its size may be endless.
      if (batch_.stop->load(std::memory_order_relaxed)) return false;
      const size_t piece = std::min<uint64_t>(size - *done, kSmallFileBytes);
      const ssize_t read = system::Read(from, memory_, piece, *done);
      if (read < 0) return Fail("it cannot be read", static_cast<int>(-read)), false;
      if (read == 0) break;
      const auto count = static_cast<size_t>(read);
      if (const int error = WriteAll(to, memory_, count, *done); error != 0) {
        return FailToWrite(error), false;
      }
      if (options_.verify && !HasContent(to, count, *done)) {
        return Fail("the copy does not have the bytes that were written to it"), false;
      }
      *done += count;
    }
    return true;
  }

  // Whether somebody wrote to the source since it was looked at, also where its size is the same.
  bool IsChanged(int from) const {
    struct stat now;
    return system::Stat(from, &now) == 0 &&
           (now.st_size != info_.st_size || !IsSameTime(now, info_));
  }

  void Succeed(int from, uint64_t bytes) {
    entry_.outcome = Outcome::kFile;
    entry_.bytes = bytes;
    progress_.bytes += bytes;
    // A file that does not tell its size says 0.
    const auto told = static_cast<uint64_t>(info_.st_size);
    const bool is_changed = IsChanged(from);
    if (is_changed && !system::IsMadeUp(from)) {
      entry_.reason = TextOfChange(told, bytes);
    } else if (!is_changed && told != 0 && bytes != told && !system::IsMadeUp(from)) {
      entry_.reason = TextOfWrongSize(told, bytes);
    } else {
      entry_.reason = std::move(problem_);
    }
  }

  bool LooksComplete() {
    return S_ISREG(target_.st_mode) && target_.st_size == info_.st_size && HasTime();
  }
  bool HasTime() {
    return copy::IsSameTime(ModifiedTime(info_), ModifiedTime(target_), target_.st_dev,
                            options_.target_times);
  }

  // Whether a copy that looks complete is on the disk where that is asked for: who made it need not
  // have brought it there. If it cannot be brought there it is made again.
  bool IsOnDisk() { return !options_.sync || SyncEntry(batch_.to, target_name()) == 0; }

  bool IsEqual(size_t size) {
    const int to = system::OpenToRead(batch_.to, target_name());
    if (to < 0) return false;
    const absl::Cleanup closer = [to] { system::Close(to); };
    return HasContentToItsEnd(to, size);
  }

  // Whether the file has the bytes of `memory_`, and no more.
  bool HasContentToItsEnd(int file, size_t size) {
    const ssize_t read = ReadUpTo(file, compared_, kSmallFileBytes + 1, size);
    return read == static_cast<ssize_t>(size) && std::memcmp(memory_, compared_, size) == 0;
  }

  // The same of the bytes at an offset, whatever comes after them.
  bool HasContent(int file, size_t size, uint64_t offset) {
    size_t done = 0;
    while (done < size) {
      const ssize_t count = system::Read(file, compared_ + done, size - done, offset + done);
      if (count <= 0) return false;
      done += static_cast<size_t>(count);
    }
    return std::memcmp(memory_, compared_, size) == 0;
  }

  // With the source's permissions at once, as far as it gets them: it has no name yet. Extended
  // attributes need the owner's permission to write, whatever the descriptor allows.
  int Create(PendingFile& file) {
    const mode_t wanted =
        progress_.knows_new_files ? (info_.st_mode & kAllPermissions) | S_IWUSR : kAllPermissions;
    if (const int error = file.Create(batch_.to, wanted); error != 0) return error;
    if (!file.is_unnamed()) return 0;
    if (!progress_.knows_new_files) {
      const int error = system::Stat(file.descriptor(), &progress_.new_file);
      if (error != 0) return error;
      progress_.new_files_have_list = system::HasAccessList(file.descriptor());
      progress_.knows_new_files = true;
    }
    has_ = progress_.new_file;
    has_.st_mode &= wanted;
    knows_copy_ = true;
    return 0;
  }

  int Finish(int from, PendingFile& file) {
    const struct stat* const has = knows_copy_ ? &has_ : nullptr;
    const bool has_list = !knows_copy_ || progress_.new_files_have_list;
    int error = CopyMetadata(from, info_, file.descriptor(), &problem_, has, has_list);
    if (error == 0 && options_.sync) error = system::Sync(file.descriptor());
    if (error == 0) error = file.Publish(target_name(), InUse());
    return error == 0 ? file.Close() : error;
  }

  // A symbolic link or a special file.
  void CopyNode() {
    const bool is_link = S_ISLNK(info_.st_mode);
    char target[PATH_MAX + 1];
    ssize_t length = 0;
    if (is_link) {
      length = system::ReadLink(batch_.from, name(), target, PATH_MAX);
      if (length < 0) return Fail("the link cannot be read", static_cast<int>(-length));
    }
    target[length] = '\0';
    if (LookAtTarget()) {
      if (IsRefused()) return;
      if (options_.resume && IsNodeComplete(target)) return Skip();
    }
    const int error = options_.dry_run ? 0 : MakeNode(target);
    if (error == -EEXIST) return Fail(std::string(kNameIsTaken));
    if (error != 0) return Fail("the copy cannot be made", -error);
    entry_.outcome = is_link ? Outcome::kSymbolicLink : Outcome::kSpecialFile;
    entry_.reason = std::move(problem_);
  }

  bool IsNodeComplete(const char* target) {
    if ((info_.st_mode & S_IFMT) != (target_.st_mode & S_IFMT) ||
        info_.st_rdev != target_.st_rdev || !HasTime()) {
      return false;
    }
    if (!S_ISLNK(info_.st_mode)) return true;
    char other[PATH_MAX + 1];
    const ssize_t length = system::ReadLink(batch_.to, target_name(), other, PATH_MAX);
    return length >= 0 && std::string_view(other, static_cast<size_t>(length)) == target;
  }

  int MakeNode(const char* target) {
    const std::string temporary = NewTemporaryName();
    const int made = S_ISLNK(info_.st_mode)
                         ? system::MakeLink(target, batch_.to, temporary.c_str())
                         : system::MakeSpecialFile(batch_.to, temporary.c_str(),
                                                   (info_.st_mode & S_IFMT) | 0600, info_.st_rdev);
    if (made != 0) return made;
    const int error =
        CopyMetadataAt(batch_.from, name(), info_, batch_.to, temporary.c_str(), &problem_);
    if (error != 0) {
      static_cast<void>(system::Remove(batch_.to, temporary.c_str()));
      return error;
    }
    return RenameIntoPlace(batch_.to, temporary, target_name(), InUse());
  }

  const Batch& batch_;
  const Options& options_;
  BatchEntry& entry_;
  Progress& progress_;
  std::byte* const memory_;    // kSmallFileBytes + 1
  std::byte* const compared_;  // the same, where anything is compared
  struct stat info_ {};
  struct stat target_ {};
  struct stat has_ {};  // owner and permissions of the copy so far, where they are known
  bool knows_copy_ = false;
  std::string problem_;  // what the copy lacks
};

// A thread's own, so that a batch allocates none. It stays until the thread ends.
std::byte* ThreadMemory(bool is_second) {
  thread_local std::unique_ptr<std::byte[]> memory[2];
  std::unique_ptr<std::byte[]>& one = memory[is_second ? 1 : 0];
  if (one == nullptr) one.reset(new std::byte[kSmallFileBytes + 1]);
  return one.get();
}

}  // namespace

std::string ErrnoText(int error) { return std::generic_category().message(error); }

std::string TextOfChange(uint64_t told, uint64_t copied) {
  return absl::StrCat("it changed while it was copied: it had ", told, " bytes, and ", copied,
                      " were copied");
}

std::string TextOfWrongSize(uint64_t told, uint64_t copied) {
  return absl::StrCat("it says that it has ", told, " bytes, and has ", copied);
}

void CopyBatch(Batch& batch) {
  std::byte* const memory = ThreadMemory(false);
  std::byte* const compared = batch.options->verify ? ThreadMemory(true) : nullptr;
  Progress progress;
  for (BatchEntry& entry : batch.entries) {
    if (batch.stop->load(std::memory_order_relaxed)) return;
    EntryCopier(batch, entry, progress, memory, compared).Copy();
  }
}

}  // namespace ioring::copy

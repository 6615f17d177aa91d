// The values of file operations: paths, the options of an open, the description of a file.
//
// The operations that take these are in ring/ring_files.h. Nothing here makes a system call.
#ifndef IORING_RING_FILE_H_
#define IORING_RING_FILE_H_

#include <cstddef>
#include <cstdint>

#include "ring/id.h"

namespace ioring {

// Names an entry of a file system: `path` as seen from `directory`, as for openat(2).
//
// `directory` is a file that was opened with FileOptions::directory. If it is not set, the path
// starts at the working directory. If `path` is absolute, `directory` is not used; but its id must
// not be stale.
// Symbolic links in the path are followed. Of the last component each operation says whether it is.
//
// Lifetime: the operation copies this struct, but not the characters: they must stay until its
// final completion. (A std::string that holds them must stay too, and not change.) They end with a
// NUL character. On Windows they are UTF-8, and "/" separates components as "\" does.
struct PathAt {
  // NOLINTNEXTLINE(google-explicit-constructor): a path alone starts at the working directory.
  PathAt(const char* name) : path(name) {}
  PathAt(FileId in, const char* name) : directory(in), path(name) {}

  FileId directory = {};
  const char* path;
};

// The manner of an open. Options that contradict each other are kInvalidArgument: a `directory` is
// opened with kRead and kNever; kTruncate, kUnnamed and `append` need an access that writes.
struct FileOptions {
  enum class Access : uint8_t { kRead, kWrite, kReadWrite };
  enum class Create : uint8_t {
    kNever,     // opens a file that exists; else kNotFound
    kIfNeeded,  // makes the file if it does not exist; keeps the content of one that does
    kTruncate,  // the same, but empties one that exists
    kNew,       // makes the file; kAlreadyExists if the name is in use, be it by a symbolic link
    // Makes a file without a name. The path names the directory whose file system it is in. The
    // file is gone when it is closed, unless PrepareLinkFile has given it a name. kNotSupported if
    // the system or the file system has no such files (Linux: O_TMPFILE, open(2)).
    kUnnamed,
  };
  Access access = Access::kRead;
  Create create = Create::kNever;
  // Bypasses the system's cache. Addresses, offsets and lengths of transfers must be multiples of
  // what FileInfo says. A transfer that breaks this completes with kInvalidArgument, or takes place
  // if the file system does not mind. The open completes with kNotSupported if the system or the
  // file system has no direct I/O.
  bool direct_io = false;
  // Opens a directory: for PathAt, PrepareStatFile and PrepareSync, not for reads. kNotDirectory if
  // it is none. Without this option the open of a directory completes with kIsDirectory.
  bool directory = false;
  // Whether the open follows the last component if that is a symbolic link. If not, it completes
  // with kSymbolicLink. (kNew follows none.)
  bool follow_link = true;
  // Every write goes to the end of the file, whatever its offset.
  bool append = false;
  // Of a new file; those of a file that exists do not change. The bits of chmod(2), at most 07777,
  // without those of the process's umask. On Windows a file without any write permission becomes
  // read-only, and nothing else of this is used.
  uint32_t permissions = 0666;
};

// In place of an offset: the read or write takes place at the file's own position, and moves it as
// read(2) and write(2) do. For pipes and terminals, which have no offsets, and for files that are
// read from the beginning to the end.
// A read of a pipe or terminal waits until there are bytes, a write until there is room. Such a
// wait may be without end, holds no thread, and can be cancelled. A write to a pipe that nobody
// reads completes with kBrokenPipe, and raises no signal.
// Two such operations in flight at once on one file take place in any order: keep one in flight.
inline constexpr uint64_t kOwnPosition = ~uint64_t{0};

// One of several pieces of memory, for vectored reads and writes; the layout of POSIX's iovec.
struct MemoryPart {
  std::byte* data = nullptr;
  size_t size = 0;
};
inline constexpr size_t kMemoryPartsMax = 1024;  // IOV_MAX of Linux and macOS

enum class SyncMode : uint8_t {
  kData,         // the bytes, and what is needed to read them back: fdatasync(2)
  kDataAndMeta,  // times and the like too: fsync(2)
};

enum class FollowLink : uint8_t {
  kNo,   // the operation is about the symbolic link itself
  kYes,  // about the file that it leads to
};

enum class AllocateMode : uint8_t {
  kExtend,     // reserves space; the file becomes longer if the range ends behind its end
  kKeepSize,   // reserves space, also behind the end; the size stays
  kPunchHole,  // frees the space of the range, which then reads as zeros; the size stays
  kZero,       // as kExtend, and the range reads as zeros; reserves only where the system can
};

enum class Advice : uint8_t { kNormal, kSequential, kRandom, kWillNeed, kDontNeed };

enum class RenameMode : uint8_t {
  kReplace,    // what has the new name already is replaced, in one step
  kNoReplace,  // kAlreadyExists if the new name is in use (BSD: kNotSupported)
  kExchange,   // both must exist, and exchange their names (BSD and Windows: kNotSupported)
};

enum class CopyMode : uint8_t {
  kCopy,     // the kernel copies, or shares the blocks if it can: copy_file_range(2)
  kReflink,  // shares the blocks, and never copies: FICLONERANGE, ioctl_ficlonerange(2)
};

enum class FileType : uint8_t {
  kUnknown,
  kRegular,
  kDirectory,
  kSymbolicLink,
  kFifo,
  kSocket,
  kCharacterDevice,
  kBlockDevice,
};

struct FileTime {
  int64_t seconds = 0;  // since 1970, UTC; may be negative
  uint32_t nanos = 0;

  friend bool operator==(const FileTime&, const FileTime&) = default;
};

// The description of a file. The ring writes it before the completion, and only if that is `ok()`;
// else all but `system` is as it was.
// A field that the system does not tell is 0 (Windows: `owner` and `group`; of a pipe or terminal
// everything but `type`).
struct FileInfo {
  FileType type = FileType::kUnknown;
  uint32_t permissions = 0;  // the bits of chmod(2), without the type
  uint32_t owner = 0;
  uint32_t group = 0;
  uint64_t links = 0;            // how many names the file has
  uint64_t size = 0;             // bytes
  uint64_t allocated_bytes = 0;  // space on the disk; less than `size` if the file has holes
  // Two names are of one file if and only if both of these are the same.
  uint64_t device = 0;
  uint64_t file_number = 0;
  uint64_t special_device = 0;  // of a device file: the device that it stands for
  FileTime accessed;            // the last read, as far as the file system keeps it
  FileTime modified;            // the last change of the content
  FileTime changed;             // the last change of anything: content, permissions, names
  FileTime born;                // 0 if the file system does not tell
  // With FileOptions::direct_io: of what memory's address, and offsets and lengths, must be
  // multiples, in bytes. 0 if the file has no direct I/O, or the system does not tell (Linux tells
  // from 6.1 on, statx(2); Windows does). If it does not, 4096 is right nearly everywhere.
  uint32_t direct_io_memory_alignment = 0;
  uint32_t direct_io_offset_alignment = 0;

  // For the ring's use: the system writes its own form here. As large as Linux' struct statx.
  alignas(8) std::byte system[256];
};

// A function for PrepareWork. Returns the completion's result: a number that is not negative, or
// ToResult(Error). Runs on a thread of the ring's, with all signals blocked. Of the ring it may
// call what any thread may: see ring/ring.h, rule 10.
using WorkFunction = int32_t(void* argument);

}  // namespace ioring

#endif  // IORING_RING_FILE_H_

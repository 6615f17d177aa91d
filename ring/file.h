// The values of file operations: paths, the options of an open, the description of a file.
//
// Operations take these (ring/ring_files.h). Nothing here makes a system call.
#ifndef IORING_RING_FILE_H_
#define IORING_RING_FILE_H_

#include <cstddef>
#include <cstdint>

#include "ring/id.h"

namespace ioring {

// Names an entry of a file system: `path` as seen from `directory`.
//
// `directory` is a file that was opened with FileOptions::directory. Where it is not set, and where
// `path` is absolute, the path starts as for open(2): at the working directory or at the root.
// The last component is not followed where an operation says so; all others are.
//
// Lifetime: the characters must stay until the operation's final completion. They end with a NUL
// character. On Windows they are UTF-8, and "/" separates components as "\" does.
struct PathAt {
  // NOLINTNEXTLINE(google-explicit-constructor): a path alone is seen from the working directory.
  PathAt(const char* name) : path(name) {}
  PathAt(FileId in, const char* name) : directory(in), path(name) {}

  FileId directory;
  const char* path;
};

struct FileOptions {
  enum class Access : uint8_t { kRead, kWrite, kReadWrite };
  enum class Create : uint8_t {
    kNever,     // kNotFound where it does not exist
    kIfNeeded,  // keeps the content
    kTruncate,  // empties the file
    kNew,       // kAlreadyExists where it exists, also as a link that leads nowhere
    // A file without a name, in the directory that the path names. It is gone when it is closed,
    // unless PrepareLinkFile gave it a name. kNotSupported where the system or the file system has
    // none (Linux has: O_TMPFILE, open(2)).
    kUnnamed,
  };
  Access access = Access::kRead;
  Create create = Create::kNever;
  // Bypasses the system's cache. Memory, offsets and lengths must be multiples of what FileInfo
  // says; else a transfer completes with kInvalidArgument. An open fails with kNotSupported where
  // the system or the file system has no such thing.
  bool direct_io = false;
  // Opens a directory, to be used in PathAt. kNotDirectory where it is none. Access must be kRead
  // and Create kNever.
  bool directory = false;
  // Where the last component is a symbolic link, false makes the open fail with kSymbolicLink.
  bool follow_link = true;
  // Every write goes to the end of the file, whatever its offset.
  bool append = false;
  // A new file's permissions as in chmod(2); the process's umask takes bits away. On Windows a file
  // without any write permission becomes read-only.
  uint32_t permissions = 0666;
};

// The offset of a read or write at the file's own position, which it moves: for pipes, terminals,
// sockets of other libraries, and files that are read like them.
// A read of what has no bytes yet waits until there are some. Two such operations in flight at once
// on one file take place in any order.
inline constexpr uint64_t kOwnPosition = ~uint64_t{0};

// One of several pieces of memory, for vectored reads and writes. Laid out as POSIX's iovec.
struct MemoryPart {
  std::byte* data = nullptr;
  size_t size = 0;
};
inline constexpr size_t kMemoryPartsMax = 1024;  // IOV_MAX of Linux and macOS

enum class SyncMode : uint8_t {
  kData,         // the data, and what is needed to read it back
  kDataAndMeta,  // times and the like too
};

enum class FollowLink : uint8_t {
  kNo,   // the operation is about the symbolic link itself
  kYes,  // about the file that it leads to
};

enum class AllocateMode : uint8_t {
  kExtend,     // reserves space, and makes the file longer where the range ends behind its end
  kKeepSize,   // reserves space; the file's size stays
  kPunchHole,  // frees the space of the range, which then reads as zeros; the size stays
  kZero,       // makes the range read as zeros, with space reserved where the system can
};

enum class Advice : uint8_t { kNormal, kSequential, kRandom, kWillNeed, kDontNeed };

enum class RenameMode : uint8_t {
  kReplace,    // a file of the new name goes away, in one step
  kNoReplace,  // kAlreadyExists where the new name is in use
  kExchange,   // both must exist, and change their names (Linux; elsewhere kNotSupported)
};

enum class CopyMode : uint8_t {
  kCopy,     // the kernel copies (copy_file_range(2)), and may share the blocks instead
  kReflink,  // the files share the blocks; fails where they cannot (FICLONERANGE, ioctl_ficlone(2))
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
  int64_t seconds = 0;  // since 1970
  uint32_t nanos = 0;

  friend bool operator==(const FileTime&, const FileTime&) = default;
};

// The description of a file. The ring writes it before the completion, and only where that is
// `ok()`.
struct FileInfo {
  FileType type = FileType::kUnknown;
  uint32_t permissions = 0;  // the low 12 bits of a mode: chmod(2)
  uint32_t owner = 0;
  uint32_t group = 0;
  uint64_t links = 0;            // names of the file
  uint64_t size = 0;             // bytes
  uint64_t allocated_bytes = 0;  // of the disk; less than `size` where the file has holes
  uint64_t device = 0;  // with `file_number` the same for two names exactly if they name one file
  uint64_t file_number = 0;
  uint64_t special_device = 0;  // of a device file: the device that it stands for
  FileTime accessed;
  FileTime modified;
  FileTime changed;
  FileTime born;  // 0 where the file system does not tell
  // What FileOptions::direct_io asks of memory, and of offsets and lengths, in bytes. 0 where the
  // system does not tell (it does on Linux from 6.1 on, by statx(2), and on Windows) or the file
  // has no direct I/O; 4096 is right nearly everywhere then.
  uint32_t direct_io_memory_alignment = 0;
  uint32_t direct_io_offset_alignment = 0;

  // The ring's while the operation is in flight: what the system writes. As large as Linux' statx.
  alignas(8) std::byte system[256];
};

// Work that blocks. Returns the completion's result: a number that is not negative, or
// ToResult(Error). Runs on a thread of the ring's, with all signals blocked.
using WorkFunction = int32_t(void* argument);

}  // namespace ioring

#endif  // IORING_RING_FILE_H_

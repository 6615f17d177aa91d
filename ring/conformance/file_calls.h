// FileCalls: the file operations of a ring, each started and awaited in one call.
//
// For tests that are about what an operation does, not about when. Nothing here expects success.
#ifndef IORING_RING_CONFORMANCE_FILE_CALLS_H_
#define IORING_RING_CONFORMANCE_FILE_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ring/conformance/test_ring.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/token.h"

namespace ioring {

class FileCalls {
 public:
  // The ring must outlive it.
  explicit FileCalls(TestRing& ring) : ring_(ring) {}

  TestRing& ring() const { return ring_; }
  // The ring's memory, as all that operations use.
  FileInfo* NewInfo();

  Arrival TryOpen(const PathAt& path, const FileOptions& options);
  Arrival CloseFile(FileId file);

  // ---- Reads and writes. The memory is the ring's.

  Token StartRead(FileId file, uint64_t offset, std::span<std::byte> memory);
  Token StartWrite(FileId file, uint64_t offset, std::span<const std::byte> memory);
  Token StartManaged(FileId file, uint64_t offset, BufferGroupId group);
  Arrival Write(FileId file, uint64_t offset, std::string_view text);
  Arrival ReadManaged(FileId file, uint64_t offset, BufferGroupId group);
  // What one read of up to `bytes` brings; fails the test where that is an error.
  std::string Read(FileId file, uint64_t offset, size_t bytes);
  Error ReadError(FileId file, uint64_t offset);

  // ---- What a file is and has.

  Arrival Sync(FileId file, SyncMode mode);
  Arrival Stat(const PathAt& path, FollowLink follow, FileInfo* info);
  Arrival StatFile(FileId file, FileInfo* info);
  Arrival Truncate(FileId file, uint64_t size);
  Arrival Allocate(FileId file, AllocateMode mode, uint64_t offset, uint64_t length);
  Arrival Advise(FileId file, Advice advice, uint64_t offset, uint64_t length);

  // ---- Names.

  Arrival Rename(const PathAt& from, const PathAt& to, RenameMode mode = RenameMode::kReplace);
  Arrival Link(const PathAt& existing, const PathAt& name);
  Arrival LinkFile(FileId file, const PathAt& name);
  Arrival Symlink(const char* target, const PathAt& name);
  Arrival ReadLink(const PathAt& path, std::span<char> target);
  Arrival Unlink(const PathAt& path);
  Arrival UnlinkDirectory(const PathAt& path);
  Arrival MakeDirectory(const PathAt& path, uint32_t permissions = 0777);

  // ---- The rest.

  Arrival CopyRange(FileId from, uint64_t from_offset, FileId to, uint64_t to_offset,
                    uint64_t length, CopyMode mode);
  Arrival Work(WorkFunction* function, void* argument);

 private:
  TestRing& ring_;
};

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_FILE_CALLS_H_

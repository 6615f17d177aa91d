// RingFiles: the file operations of a ring. A part of ring/ring.h, which is to be included instead.
//
// The contract is that of ring/ring.h; what follows is the same for all of these.
//  - Nothing blocks the ring's thread. Work that the system does only in a blocking call runs on a
//    few threads of the ring's: everything here on epoll and kqueue, and on io_uring what its
//    kernel has no operation for. A thread is made when there is work for it.
//  - Operations on one file run in any order and at the same time. A caller who needs an order
//    waits for the first completion.
//  - Paths, spans, vectors of parts and FileInfo are the operation's until its final completion.
//  - A cancel takes back what has not begun. What has begun completes with what it did.
//  - An id of a file or directory that is stale completes with kBadId.
#ifndef IORING_RING_RING_FILES_H_
#define IORING_RING_RING_FILES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring_backend.h"
#include "ring/token.h"

namespace ioring {

class RingFiles : protected RingBackend {
 public:
  // ---- Control plane, for set-up: these block, as PrepareOpen and PrepareCloseFile do not.

  absl::StatusOr<FileId> OpenFile(const std::string& path, const FileOptions& options);
  // Takes over a descriptor (Windows: a handle) that was opened elsewhere: a file, a directory, a
  // pipe, a terminal. On success the ring owns it; on failure it stays the caller's. (dup(2) first
  // what others go on using, such as standard input.)
  // Errors: AlreadyExists if the ring has it already; InvalidArgument if it is a socket, or (on
  // Windows) a handle without FILE_FLAG_OVERLAPPED.
  absl::StatusOr<FileId> RegisterFile(NativeHandle handle);
  // FailedPrecondition while operations are in flight on it, or use it as a directory.
  absl::Status CloseFile(FileId file);
  // The descriptor, for calls that the ring does not make. It stays the ring's. NotFound for a
  // stale id.
  absl::StatusOr<NativeHandle> FileHandle(FileId file);

  // ---- Opening and closing.

  // Completes with the new file (`Completion::file`). kTooManyIds: RingOptions::max_files reached.
  Prepared PrepareOpen(const PathAt& path, const FileOptions& options, Token token);
  // Completes with 0, or with the error of the close (a write that failed late may show there); the
  // file is closed in both cases. The id is stale from acceptance on. Operations in flight on the
  // file complete first. It does not cancel them.
  Prepared PrepareCloseFile(FileId file, Token token);

  // ---- Reading and writing at an offset in bytes, or at kOwnPosition.

  // A read completes with the bytes read, 0 at the end of the file; reads and writes may be short.
  // A span without bytes, or an offset of 2^63 or more, is kInvalidArgument. At most
  // kTransferBytesMax bytes of a longer span are transferred. On a file that cannot seek (a pipe)
  // the offset must be kOwnPosition; another one is ignored, or completes with kNotSupported.
  Prepared PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory, Token token);
  Prepared PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                        Token token);
  // The same on a slice of a registered buffer.
  Prepared PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice, Token token);
  Prepared PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice, Token token);
  // The same on several pieces of memory, one after the other, as one transfer. `parts` has 1 to
  // kMemoryPartsMax, which may be empty but not all; else kInvalidArgument.
  Prepared PrepareReadVector(FileId file, uint64_t offset, std::span<const MemoryPart> parts,
                             Token token);
  Prepared PrepareWriteVector(FileId file, uint64_t offset, std::span<const MemoryPart> parts,
                              Token token);
  // Managed: the ring picks a buffer of the group and fills as much of it as the file has (kBuffer
  // is set: TakeBuffer). At the end of the file it completes with 0 and without a buffer. The
  // group's policy says what happens without a free buffer, as for PrepareRecvManaged.
  Prepared PrepareReadManaged(FileId file, uint64_t offset, BufferGroupId group, Token token);

  // ---- What a file is and has. They complete with 0.

  Prepared PrepareSync(FileId file, SyncMode mode, Token token);
  Prepared PrepareStat(const PathAt& path, FollowLink follow, FileInfo* info, Token token);
  Prepared PrepareStatFile(FileId file, FileInfo* info, Token token);
  Prepared PrepareTruncate(FileId file, uint64_t size, Token token);
  // kNotSupported where the system or the file system cannot. `length` may not be 0.
  Prepared PrepareAllocate(FileId file, AllocateMode mode, uint64_t offset, uint64_t length,
                           Token token);
  // A hint; completes with 0 also where the system takes none. `length` 0: to the end of the file.
  Prepared PrepareAdvise(FileId file, Advice advice, uint64_t offset, uint64_t length, Token token);

  // ---- Names. They complete with 0.

  Prepared PrepareRename(const PathAt& from, const PathAt& to, RenameMode mode, Token token);
  // A further name of a file. A symbolic link gets the name itself.
  Prepared PrepareLink(const PathAt& existing, const PathAt& name, Token token);
  // A name for an open file, also one that has none (FileOptions::Create::kUnnamed). Linux needs
  // /proc for it (open(2)); kNotSupported on other systems.
  Prepared PrepareLinkFile(FileId file, const PathAt& name, Token token);
  // `target` is stored as it is.
  Prepared PrepareSymlink(const char* target, const PathAt& name, Token token);
  // Completes with the number of characters, without a NUL. kMessageTooLong where they do not fit.
  Prepared PrepareReadLink(const PathAt& path, std::span<char> target, Token token);
  // Removes a name of what is no directory.
  Prepared PrepareUnlink(const PathAt& path, Token token);
  // kNotEmpty where there is something in it.
  Prepared PrepareRemoveDirectory(const PathAt& path, Token token);
  // `permissions`: see FileOptions.
  Prepared PrepareMakeDirectory(const PathAt& path, uint32_t permissions, Token token);

  // ---- Between files, and anything else that blocks.

  // Copies at most `length` bytes from one file to another without passing them through the
  // program. Completes with the bytes copied, which may be fewer; 0 at the end of `from`. kCopy:
  // kNotSupported where the system has no such call, kDifferentFileSystem where it does not copy
  // between these two. kReflink shares all of the range or fails; it completes with 0, because the
  // range may be longer than a result, and a `length` of 0 reaches to the end.
  // Linux only so far; kNotSupported elsewhere.
  Prepared PrepareCopyRange(FileId from, uint64_t from_offset, FileId to, uint64_t to_offset,
                            uint64_t length, CopyMode mode, Token token);
  // Runs `function(argument)` on a thread of the ring's and completes with what it returns.
  // The threads are few (4): work that waits for other work of the ring can wait for ever.
  Prepared PrepareWork(WorkFunction* function, void* argument, Token token);

 protected:
  explicit RingFiles(RingState& state) : state_(state) {}

  Prepared Refuse(Error error, Token token);

  RingState& state_;

 private:
  Prepared PrepareTransfer(FileId file, uint64_t offset, std::span<std::byte> memory, bool is_write,
                           Token token);
  Prepared PrepareSlice(FileId file, uint64_t offset, const BufferSlice& slice, bool is_write,
                        Token token);
  Prepared PrepareParts(FileId file, uint64_t offset, std::span<const MemoryPart> parts,
                        bool is_write, Token token);
};

}  // namespace ioring

#endif  // IORING_RING_RING_FILES_H_

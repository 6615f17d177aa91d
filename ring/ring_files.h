// RingFiles: the file operations of a ring. A part of ring/ring.h: include that instead.
//
// The rules of ring/ring.h hold for these operations. These rules are for all of them, too:
//
//  - Threads: no operation blocks the ring's thread. If the system has only a call that blocks, the
//    ring makes the call on a thread of its own. It has at most four, and one more that waits for
//    pipes and terminals; each is made when there is work for it. On io_uring the kernel has most
//    operations. These need a thread: PrepareReadLink, PrepareCopyRange and PrepareWork; operations
//    that the running kernel lacks (Capability::kFileCalls, kFileTruncate); writes to pipes before
//    Linux 6.17; a PrepareAdvise of 4 GiB or more; an open of a FIFO for reading that waits. On
//    Windows reads and writes need none, all others do. On epoll and kqueue all do.
//  - Order: operations on one file run in any order, and at the same time. To have one after
//    another, prepare it when the other has completed. (A PrepareCloseFile waits for those that
//    were prepared before it.)
//  - Memory: the characters of paths, spans, the array of a vector with the pieces that it names,
//    and a FileInfo are the operation's until its final completion. PathAt and FileOptions are
//    copied.
//  - Cancels and deadlines: an operation that has not begun, or that waits for a buffer, for bytes
//    or for room (kOwnPosition), completes with kCanceled and has done nothing. One that a thread
//    has begun cannot be stopped, and completes with what it did. No cancel ends a
//    PrepareCloseFile. A cancel of a PrepareSendFile keeps what was sent: see there.
//  - Ids: a stale id of a file, or of the directory of a path, completes with kBadId. So does an id
//    that is not set, except as the directory of a path. A use that the file was not opened for
//    completes with the system's error: kBadId, kInvalidArgument or kPermissionDenied.
//  - Paths: one that is null or empty is kInvalidArgument. Others may complete with kNotFound,
//    kNotDirectory (a component on the way is a file; Windows: kNotFound), kSymbolicLink (too many
//    on the way), kNameTooLong, kPermissionDenied or kReadOnly.
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
  // ---- Control plane: ring's thread only. OpenFile and CloseFile make calls of the system, which
  // may block; once the ring is at work, use PrepareOpen and PrepareCloseFile.

  // `path` starts at the working directory, or is absolute.
  // Errors: a status that names the path and the reason. ResourceExhausted at
  // RingOptions::max_files, for which directories count, too.
  absl::StatusOr<FileId> OpenFile(const std::string& path, const FileOptions& options);
  // Takes over a descriptor (Windows: a handle) that was opened elsewhere: a file, a directory, a
  // pipe or a terminal. Its blocking mode does not matter, and stays as it is. It is not made
  // close-on-exec.
  // Effects: on success the ring owns the descriptor, and will close it; on failure it stays the
  // caller's. If others use it too (standard input), register a copy of it: dup(2).
  // Errors: AlreadyExists if the ring has it already; InvalidArgument if it is a socket, or (on
  // Windows) a handle without FILE_FLAG_OVERLAPPED. A simulated world has descriptors of its own.
  absl::StatusOr<FileId> RegisterFile(NativeHandle handle);
  // FailedPrecondition while operations are in flight on it, or use it as a directory.
  absl::Status CloseFile(FileId file);
  // The descriptor, for calls that the ring does not make. It stays the ring's, and is valid until
  // the file is closed. NotFound for a stale id. A simulated world has descriptors of its own.
  absl::StatusOr<NativeHandle> FileHandle(FileId file);

  // ---- Opening and closing.

  // Completes with the new file (`Completion::file`), which is close-on-exec.
  // Errors: those of FileOptions; kTooManyFiles if descriptors are short. kTooManyIds if
  // RingOptions::max_files are open: the ring has closed the new file, but may have made it.
  // The open of a FIFO for reading or for writing alone waits for the other end, and keeps a thread
  // for as long. (On Linux one for both does not wait.)
  Prepared PrepareOpen(const PathAt& path, const FileOptions& options, Token token);
  // Completes with 0, or with the error of the close (one of an earlier write may show here). The
  // file is closed in both cases. The id is stale from acceptance on.
  // Operations in flight that use the file, as a directory too, complete first. The close does not
  // cancel them: a read that waits on a pipe keeps it waiting, until that read is cancelled.
  Prepared PrepareCloseFile(FileId file, Token token);

  // ---- Reading and writing at an offset in bytes, or at kOwnPosition.

  // A read completes with the number of bytes read; 0: the end of the file. A write completes with
  // the number written. Either may be less than the span: prepare another for the rest. At most
  // kTransferBytesMax bytes of a longer span are transferred.
  // Errors: kInvalidArgument if the span is empty, or ends at 2^63 or behind it. kIsDirectory for a
  // read of a directory. On a pipe or terminal the offset must be kOwnPosition; the system
  // ignores another one, or the operation completes with kNotSupported.
  Prepared PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory, Token token);
  Prepared PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                        Token token);
  // The same on a slice of a registered buffer.
  Prepared PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice, Token token);
  Prepared PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice, Token token);
  // The same on several pieces of memory, which are filled or written one after the other. The
  // result is the number of all bytes; a short one may end within a piece, or after one. `parts`
  // has 1 to kMemoryPartsMax pieces, of which some may be empty, but not all; else
  // kInvalidArgument. (On Windows each piece is a call: other writes may come between two of them.)
  Prepared PrepareReadVector(FileId file, uint64_t offset, std::span<const MemoryPart> parts,
                             Token token);
  Prepared PrepareWriteVector(FileId file, uint64_t offset, std::span<const MemoryPart> parts,
                              Token token);
  // Managed: the ring picks a buffer of the group and reads into it, at most one buffer full
  // (kBuffer is set: TakeBuffer). At the end of the file it completes with 0 and without a buffer.
  // The group's policy says what happens if no buffer is free, as for PrepareRecvManaged. A group
  // serves reads and receives at once.
  //
  // Each read takes a whole buffer. On io_uring each receive does too, once a read has used the
  // group: only receives can share a buffer (Capability::kIncrementalBuffers). A read that waits on
  // a pipe holds a buffer meanwhile, but not on io_uring.
  Prepared PrepareReadManaged(FileId file, uint64_t offset, BufferGroupId group, Token token);

  // ---- What a file is and has. They complete with 0.

  // Brings the bytes of completed writes to the disk. To keep the name of a new file too, sync its
  // directory. (macOS: the disk may still hold the bytes in a cache of its own, fsync(2). Windows:
  // kPermissionDenied for a directory, and for a file that was not opened for writing.)
  Prepared PrepareSync(FileId file, SyncMode mode, Token token);
  // `info` may not be null.
  Prepared PrepareStat(const PathAt& path, FollowLink follow, FileInfo* info, Token token);
  Prepared PrepareStatFile(FileId file, FileInfo* info, Token token);
  // Makes the file `size` bytes long: cuts it, or adds zeros. kFileTooLarge from 2^63 on.
  Prepared PrepareTruncate(FileId file, uint64_t size, Token token);
  // Errors: kNotSupported if the system or the file system cannot do this (macOS has only
  // kPunchHole, BSD nothing). kInvalidArgument if `length` is 0; kFileTooLarge if the range ends at
  // 2^63 or behind it.
  Prepared PrepareAllocate(FileId file, AllocateMode mode, uint64_t offset, uint64_t length,
                           Token token);
  // A hint, which changes no byte. Completes with 0 also if the system takes none (Linux takes all,
  // macOS kWillNeed). A `length` of 0 reaches to the end of the file. kInvalidArgument if the range
  // ends at 2^63 or behind it.
  Prepared PrepareAdvise(FileId file, Advice advice, uint64_t offset, uint64_t length, Token token);

  // ---- Names. They complete with 0, but for PrepareReadLink. If the last component of a path is a
  // symbolic link, they are about the link itself.

  // Errors: kDifferentFileSystem. kNotEmpty if a directory would replace one that is not empty;
  // kIsDirectory if a file would replace a directory, kNotDirectory if a directory would replace a
  // file. (Windows may say kPermissionDenied for these.)
  Prepared PrepareRename(const PathAt& from, const PathAt& to, RenameMode mode, Token token);
  // Gives the file `existing` the further name `name`: a hard link.
  // Errors: kAlreadyExists if `name` is in use, kPermissionDenied if `existing` is a directory,
  // kDifferentFileSystem.
  Prepared PrepareLink(const PathAt& existing, const PathAt& name, Token token);
  // Gives an open file a name, also one that has none (FileOptions::Create::kUnnamed).
  // Errors: as above. kNotSupported on other systems than Linux, where it needs /proc (open(2)).
  Prepared PrepareLinkFile(FileId file, const PathAt& name, Token token);
  // Makes the symbolic link `name`, which leads to `target`. The target is stored as it is, and
  // need not exist. Its characters must stay as those of a path do. kAlreadyExists if `name` is in
  // use.
  Prepared PrepareSymlink(const char* target, const PathAt& name, Token token);
  // Completes with the number of characters, and writes no NUL after them.
  // Errors: kMessageTooLong if they do not fit; kInvalidArgument if `path` is no symbolic link, or
  // `target` is empty.
  Prepared PrepareReadLink(const PathAt& path, std::span<char> target, Token token);
  // Removes a name. The file itself goes with its last name, once nobody has it open.
  // A directory is kIsDirectory, or kPermissionDenied: see PrepareRemoveDirectory.
  Prepared PrepareUnlink(const PathAt& path, Token token);
  // Errors: kNotEmpty if there is anything in it; kNotDirectory if it is none.
  Prepared PrepareRemoveDirectory(const PathAt& path, Token token);
  // `permissions` as in FileOptions. kAlreadyExists if the name is in use.
  Prepared PrepareMakeDirectory(const PathAt& path, uint32_t permissions, Token token);

  // ---- Between files, to a connection, and anything else that blocks.

  // Copies at most `length` bytes from one file to another without passing them through the
  // program, or shares their blocks. Linux only so far; kNotSupported elsewhere.
  // kCopy completes with the bytes copied, which may be fewer; 0: the end of `from`. Errors:
  // kNotSupported if the system has no such call for these files, kDifferentFileSystem if it does
  // not copy between these two; kInvalidArgument if `length` is 0, or a range ends at 2^63 or
  // behind it. At most kTransferBytesMax bytes are copied.
  // kReflink shares all of the range or fails. It completes with 0, as the range may be longer than
  // a result can say. A `length` of 0 reaches to the end of `from`. Errors: kNotSupported,
  // kDifferentFileSystem, and kInvalidArgument if the range is not made of whole blocks.
  Prepared PrepareCopyRange(FileId from, uint64_t from_offset, FileId to, uint64_t to_offset,
                            uint64_t length, CopyMode mode, Token token);
  // Sends `length` bytes of the file, from `offset` on, to a connected stream.
  // Completes with the number of bytes sent, at most kTransferBytesMax. It is less than `length` if
  // the file ends before (0: `offset` is its end or behind it), and if the operation fails or is
  // cancelled after bytes were sent. Prepare another for the rest then: it completes with the error
  // if that lasts.
  // It is a send of the connection: at most one is in flight (kBusy), and a cancel, a deadline or a
  // close of the connection ends it. It uses the file: a PrepareCloseFile waits for it.
  // The ring may read bytes of the file before it sends them. If the file changes meanwhile, old or
  // new bytes are sent. With FileOptions::direct_io, `offset` must be aligned as that of a read;
  // `length` need not be.
  // Errors: those of a read of the file, and of a send on the connection. kInvalidArgument if
  // `length` is 0, or the range, cut to kTransferBytesMax, ends at 2^63 or behind it (so for
  // kOwnPosition). kNotSupported if the connection keeps messages apart. For a pipe or terminal see
  // `offset` at PrepareRead; bytes that were read of it and not sent are lost.
  // Cost: the ring reads pieces of the file into memory of its own, and sends them. It allocates 64
  // KiB for each such operation in flight, and keeps them for later ones. The operation takes two
  // places in the table of operations (on io_uring one).
  Prepared PrepareSendFile(FileId file, uint64_t offset, uint64_t length, ConnectionId connection,
                           Token token);
  // Runs `function(argument)` on a thread of the ring's, and completes with what it returns. The
  // function is not called if the operation is cancelled before (kCanceled). `argument` must stay
  // valid until the final completion.
  // The threads, at most four, are those of all file operations. While four pieces of work run, an
  // operation that needs a thread waits; and work that waits for other work of the ring may wait
  // for ever. kInvalidArgument if `function` is null.
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

#include "ring/ring_files.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/buffer_table.h"
#include "ring/error.h"
#include "ring/request.h"

namespace ioring {
namespace {

bool CanBe(const PathAt& path) { return path.path != nullptr && *path.path != '\0'; }

// The options of an open that have one meaning.
bool CanBe(const FileOptions& options) {
  constexpr uint32_t kPermissions = 07777;
  if ((options.permissions & ~kPermissions) != 0) return false;
  const bool reads_only = options.access == FileOptions::Access::kRead;
  const bool needs_writing = options.create == FileOptions::Create::kTruncate ||
                             options.create == FileOptions::Create::kUnnamed || options.append;
  if (needs_writing && reads_only) return false;
  return !options.directory || (reads_only && options.create == FileOptions::Create::kNever);
}

// A range that lies within what an off_t can say.
bool CanBe(uint64_t offset, uint64_t length) {
  constexpr uint64_t kEnd = uint64_t{1} << 63;
  return offset < kEnd && length <= kEnd - 1 - offset;
}

// What a transfer may be of.
bool CanBeTransfer(uint64_t offset, size_t length) {
  return offset == kOwnPosition || CanBe(offset, length);
}

}  // namespace

// ---- Control plane.

absl::StatusOr<FileId> RingFiles::OpenFile(const std::string& path, const FileOptions& options) {
  state_.CheckProcess();
  if (path.empty()) return absl::InvalidArgumentError("the path is empty");
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        "the path has a NUL character, at which the system would cut it");
  }
  if (!CanBe(options)) {
    return absl::InvalidArgumentError(
        "these FileOptions contradict each other: a directory is opened with kRead and kNever; "
        "kTruncate, kUnnamed and append need an access that writes; permissions are 12 bits");
  }
  return AddFile({.path = path.c_str(), .options = options});
}

absl::StatusOr<FileId> RingFiles::RegisterFile(NativeHandle handle) {
  state_.CheckProcess();
  if (handle == kNoNativeHandle) return absl::InvalidArgumentError("the handle is not set");
  return AddFile({.handle = handle});
}

absl::Status RingFiles::CloseFile(FileId file) { return FindFile(file, FileUse::kClose).status(); }

absl::StatusOr<NativeHandle> RingFiles::FileHandle(FileId file) {
  return FindFile(file, FileUse::kLook);
}

// ---- Preparing.

Prepared RingFiles::Refuse(Error error, Token token) {
  return Start(request::Nop{ToResult(error)}, token);
}

Prepared RingFiles::PrepareOpen(const PathAt& path, const FileOptions& options, Token token) {
  if (!CanBe(path) || !CanBe(options)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Open{path, options}, token);
}

Prepared RingFiles::PrepareCloseFile(FileId file, Token token) {
  return Start(request::CloseFile{file}, token);
}

Prepared RingFiles::PrepareTransfer(FileId file, uint64_t offset, std::span<std::byte> memory,
                                    bool is_write, Token token) {
  const std::span<std::byte> part = memory.first(std::min(memory.size(), kTransferBytesMax));
  if (part.empty() || !CanBeTransfer(offset, part.size())) {
    return Refuse(Error::kInvalidArgument, token);
  }
  return Start(request::FileTransfer{file, offset, part, TransferTraits(), is_write}, token);
}

Prepared RingFiles::PrepareSlice(FileId file, uint64_t offset, const BufferSlice& slice,
                                 bool is_write, Token token) {
  if (!CanBeTransfer(offset, slice.length)) return Refuse(Error::kInvalidArgument, token);
  ResolvedSlice resolved;
  const Error error = state_.buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return Refuse(error, token);
  const TransferTraits traits(TransferFlags::kNone, resolved.in_kernel, resolved.unit);
  return Start(
      request::FileTransfer{file, offset, {resolved.data, resolved.length}, traits, is_write},
      token);
}

Prepared RingFiles::PrepareParts(FileId file, uint64_t offset, std::span<const MemoryPart> parts,
                                 bool is_write, Token token) {
  if (parts.size() > kMemoryPartsMax) return Refuse(Error::kInvalidArgument, token);
  size_t bytes = 0;  // at most what one operation transfers
  for (const MemoryPart& part : parts) bytes += std::min(part.size, kTransferBytesMax - bytes);
  if (bytes == 0 || !CanBeTransfer(offset, bytes)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::FileParts{file, offset, parts, is_write}, token);
}

Prepared RingFiles::PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory,
                                Token token) {
  return PrepareTransfer(file, offset, memory, /*is_write=*/false, token);
}

Prepared RingFiles::PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                                 Token token) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return PrepareTransfer(file, offset, {data, memory.size()}, /*is_write=*/true, token);
}

Prepared RingFiles::PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                      Token token) {
  return PrepareSlice(file, offset, slice, /*is_write=*/false, token);
}

Prepared RingFiles::PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                       Token token) {
  return PrepareSlice(file, offset, slice, /*is_write=*/true, token);
}

Prepared RingFiles::PrepareReadVector(FileId file, uint64_t offset,
                                      std::span<const MemoryPart> parts, Token token) {
  return PrepareParts(file, offset, parts, /*is_write=*/false, token);
}

Prepared RingFiles::PrepareWriteVector(FileId file, uint64_t offset,
                                       std::span<const MemoryPart> parts, Token token) {
  return PrepareParts(file, offset, parts, /*is_write=*/true, token);
}

Prepared RingFiles::PrepareReadManaged(FileId file, uint64_t offset, BufferGroupId group,
                                       Token token) {
  if (!CanBeTransfer(offset, 0)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::ReadManaged{file, offset, group}, token);
}

Prepared RingFiles::PrepareSync(FileId file, SyncMode mode, Token token) {
  return Start(request::Sync{file, mode}, token);
}

Prepared RingFiles::PrepareStat(const PathAt& path, FollowLink follow, FileInfo* info,
                                Token token) {
  if (!CanBe(path) || info == nullptr) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Stat{path, follow, info}, token);
}

Prepared RingFiles::PrepareStatFile(FileId file, FileInfo* info, Token token) {
  if (info == nullptr) return Refuse(Error::kInvalidArgument, token);
  return Start(request::StatFile{file, info}, token);
}

Prepared RingFiles::PrepareTruncate(FileId file, uint64_t size, Token token) {
  if (!CanBe(size, 0)) return Refuse(Error::kFileTooLarge, token);
  return Start(request::Truncate{file, size}, token);
}

Prepared RingFiles::PrepareAllocate(FileId file, AllocateMode mode, uint64_t offset,
                                    uint64_t length, Token token) {
  if (length == 0) return Refuse(Error::kInvalidArgument, token);
  if (!CanBe(offset, length)) return Refuse(Error::kFileTooLarge, token);
  return Start(request::Allocate{file, mode, offset, length}, token);
}

Prepared RingFiles::PrepareAdvise(FileId file, Advice advice, uint64_t offset, uint64_t length,
                                  Token token) {
  if (!CanBe(offset, length)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Advise{file, advice, offset, length}, token);
}

Prepared RingFiles::PrepareRename(const PathAt& from, const PathAt& to, RenameMode mode,
                                  Token token) {
  if (!CanBe(from) || !CanBe(to)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Rename{from, to, mode}, token);
}

Prepared RingFiles::PrepareLink(const PathAt& existing, const PathAt& name, Token token) {
  if (!CanBe(existing) || !CanBe(name)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Link{existing, name}, token);
}

Prepared RingFiles::PrepareLinkFile(FileId file, const PathAt& name, Token token) {
  if (!CanBe(name)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::LinkFile{file, name}, token);
}

Prepared RingFiles::PrepareSymlink(const char* target, const PathAt& name, Token token) {
  if (!CanBe(PathAt(target)) || !CanBe(name)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Symlink{target, name}, token);
}

Prepared RingFiles::PrepareReadLink(const PathAt& path, std::span<char> target, Token token) {
  if (!CanBe(path) || target.empty()) return Refuse(Error::kInvalidArgument, token);
  return Start(request::ReadLink{path, target}, token);
}

Prepared RingFiles::PrepareUnlink(const PathAt& path, Token token) {
  if (!CanBe(path)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Unlink{path}, token);
}

Prepared RingFiles::PrepareRemoveDirectory(const PathAt& path, Token token) {
  if (!CanBe(path)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::UnlinkDirectory{path}, token);
}

Prepared RingFiles::PrepareMakeDirectory(const PathAt& path, uint32_t permissions, Token token) {
  constexpr uint32_t kPermissions = 07777;
  if (!CanBe(path) || (permissions & ~kPermissions) != 0) {
    return Refuse(Error::kInvalidArgument, token);
  }
  return Start(request::MakeDirectory{path, permissions}, token);
}

Prepared RingFiles::PrepareCopyRange(FileId from, uint64_t from_offset, FileId to,
                                     uint64_t to_offset, uint64_t length, CopyMode mode,
                                     Token token) {
  // "At most", also where the range could not be that long.
  if (mode == CopyMode::kCopy) length = std::min<uint64_t>(length, kTransferBytesMax);
  const bool reaches_to_end = length == 0 && mode == CopyMode::kReflink;
  if ((length == 0 && !reaches_to_end) || !CanBe(from_offset, length) ||
      !CanBe(to_offset, length)) {
    return Refuse(Error::kInvalidArgument, token);
  }
  return Start(request::CopyRange{from, from_offset, to, to_offset, length, mode}, token);
}

Prepared RingFiles::PrepareSendFile(FileId file, uint64_t offset, uint64_t length,
                                    ConnectionId connection, Token token) {
  const uint64_t part = std::min<uint64_t>(length, kTransferBytesMax);
  if (part == 0 || !CanBe(offset, part)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::SendFile{file, offset, connection, static_cast<uint32_t>(part)}, token);
}

Prepared RingFiles::PrepareWork(WorkFunction* function, void* argument, Token token) {
  if (function == nullptr) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Work{function, argument}, token);
}

}  // namespace ioring

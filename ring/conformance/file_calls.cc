#include "ring/conformance/file_calls.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "ring/error.h"

namespace ioring {

FileInfo* FileCalls::NewInfo() {
  return std::construct_at(reinterpret_cast<FileInfo*>(ring_.Memory(sizeof(FileInfo)).data()));
}

Arrival FileCalls::TryOpen(const PathAt& path, const FileOptions& options) {
  return ring_.Run([&](Token token) { return ring_.PrepareOpen(path, options, token); });
}

Arrival FileCalls::CloseFile(FileId file) {
  return ring_.Run([&](Token token) { return ring_.PrepareCloseFile(file, token); });
}

Token FileCalls::StartRead(FileId file, uint64_t offset, std::span<std::byte> memory) {
  return ring_.Start([&](Token token) { return ring_.PrepareRead(file, offset, memory, token); });
}

Token FileCalls::StartWrite(FileId file, uint64_t offset, std::span<const std::byte> memory) {
  return ring_.Start([&](Token token) { return ring_.PrepareWrite(file, offset, memory, token); });
}

Token FileCalls::StartManaged(FileId file, uint64_t offset, BufferGroupId group) {
  return ring_.Start(
      [&](Token token) { return ring_.PrepareReadManaged(file, offset, group, token); });
}

Arrival FileCalls::Write(FileId file, uint64_t offset, std::string_view text) {
  return ring_.Await(StartWrite(file, offset, ring_.Text(text)));
}

Arrival FileCalls::ReadManaged(FileId file, uint64_t offset, BufferGroupId group) {
  return ring_.Await(StartManaged(file, offset, group));
}

std::string FileCalls::Read(FileId file, uint64_t offset, size_t bytes) {
  const std::span<std::byte> memory = ring_.Memory(bytes);
  const Arrival read = ring_.Await(StartRead(file, offset, memory));
  EXPECT_EQ(read.error(), Error::kOk);
  return std::string(AsText(memory.first(read.ok() ? static_cast<size_t>(read.result()) : 0)));
}

Error FileCalls::ReadError(FileId file, uint64_t offset) {
  return ring_.Await(StartRead(file, offset, ring_.Memory(1))).error();
}

Arrival FileCalls::Sync(FileId file, SyncMode mode) {
  return ring_.Run([&](Token token) { return ring_.PrepareSync(file, mode, token); });
}

Arrival FileCalls::Stat(const PathAt& path, FollowLink follow, FileInfo* info) {
  return ring_.Run([&](Token token) { return ring_.PrepareStat(path, follow, info, token); });
}

Arrival FileCalls::StatFile(FileId file, FileInfo* info) {
  return ring_.Run([&](Token token) { return ring_.PrepareStatFile(file, info, token); });
}

Arrival FileCalls::Truncate(FileId file, uint64_t size) {
  return ring_.Run([&](Token token) { return ring_.PrepareTruncate(file, size, token); });
}

Arrival FileCalls::Allocate(FileId file, AllocateMode mode, uint64_t offset, uint64_t length) {
  return ring_.Run(
      [&](Token token) { return ring_.PrepareAllocate(file, mode, offset, length, token); });
}

Arrival FileCalls::Advise(FileId file, Advice advice, uint64_t offset, uint64_t length) {
  return ring_.Run(
      [&](Token token) { return ring_.PrepareAdvise(file, advice, offset, length, token); });
}

Arrival FileCalls::Rename(const PathAt& from, const PathAt& to, RenameMode mode) {
  return ring_.Run([&](Token token) { return ring_.PrepareRename(from, to, mode, token); });
}

Arrival FileCalls::Link(const PathAt& existing, const PathAt& name) {
  return ring_.Run([&](Token token) { return ring_.PrepareLink(existing, name, token); });
}

Arrival FileCalls::LinkFile(FileId file, const PathAt& name) {
  return ring_.Run([&](Token token) { return ring_.PrepareLinkFile(file, name, token); });
}

Arrival FileCalls::Symlink(const char* target, const PathAt& name) {
  return ring_.Run([&](Token token) { return ring_.PrepareSymlink(target, name, token); });
}

Arrival FileCalls::ReadLink(const PathAt& path, std::span<char> target) {
  return ring_.Run([&](Token token) { return ring_.PrepareReadLink(path, target, token); });
}

Arrival FileCalls::Unlink(const PathAt& path) {
  return ring_.Run([&](Token token) { return ring_.PrepareUnlink(path, token); });
}

Arrival FileCalls::UnlinkDirectory(const PathAt& path) {
  return ring_.Run([&](Token token) { return ring_.PrepareRemoveDirectory(path, token); });
}

Arrival FileCalls::MakeDirectory(const PathAt& path, uint32_t permissions) {
  return ring_.Run(
      [&](Token token) { return ring_.PrepareMakeDirectory(path, permissions, token); });
}

Arrival FileCalls::CopyRange(FileId from, uint64_t from_offset, FileId to, uint64_t to_offset,
                             uint64_t length, CopyMode mode) {
  return ring_.Run([&](Token token) {
    return ring_.PrepareCopyRange(from, from_offset, to, to_offset, length, mode, token);
  });
}

Arrival FileCalls::Work(WorkFunction* function, void* argument) {
  return ring_.Run([&](Token token) { return ring_.PrepareWork(function, argument, token); });
}

}  // namespace ioring

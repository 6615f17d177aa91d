// Steps that prepare operations of files.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ring/file.h"
#include "ring/fuzzing/content.h"
#include "ring/fuzzing/model.h"
#include "ring/fuzzing/program.h"
#include "ring/fuzzing/program_start.h"
#include "ring/fuzzing/random.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring::fuzzing {
namespace {

using Create = FileOptions::Create;

int32_t CountRun(void* argument) {
  auto& runs = *static_cast<std::byte*>(argument);
  runs = static_cast<std::byte>(static_cast<int>(runs) + 1);
  return static_cast<int32_t>(runs);
}

// How many of the bytes the file holds from `offset` on, one after the other.
size_t CountThere(const File& file, uint64_t offset, std::span<const std::byte> bytes) {
  size_t count = 0;
  while (count < bytes.size() && offset + count < file.bytes.size() &&
         file.bytes[offset + count] == static_cast<int>(bytes[count])) {
    ++count;
  }
  return count;
}

}  // namespace

void Program::FillFileOperation(Operation& operation, BufferGroupId& group) {
  operation.start = random_.Below(4000);
  if (operation.kind == Kind::kReadManaged) {
    operation.group = PickGroup();
    const Group* known =
        operation.group == kNone ? nullptr : &model_->groups[static_cast<size_t>(operation.group)];
    if (known != nullptr) group = known->id;
    operation.bad_id = operation.bad_id || known == nullptr || !known->registered;
  }
  if (operation.kind != Kind::kRead && operation.kind != Kind::kWrite) return;
  const uint32_t size = random_.Between(1, 2000);
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  if (operation.kind == Kind::kWrite) FillContent(model_->tokens_made(), 0, operation.memory);
  if (!random_.OneIn(3)) return;
  for (uint32_t at = 0; at < size;) {
    const uint32_t part = std::min(size - at, random_.OneIn(4) ? 0 : random_.Between(1, 900));
    operation.parts.push_back({operation.memory.data() + at, part});
    at += part;
  }
}

// One at a time, so that what the file holds is known.
bool Program::FileOperation() {
  for (const auto& [token, other] : model_->operations()) {
    if (IsOnFile(other.kind)) return false;
  }
  const File& file = model_->file;
  if (file.path.empty()) return false;
  Operation operation;
  operation.kind = random_.Of(std::array{Kind::kRead, Kind::kWrite, Kind::kWrite, Kind::kSync,
                                         Kind::kReadManaged, Kind::kReadManaged, Kind::kTruncate});
  operation.bad_id = !file.open;
  BufferGroupId group{77, 0};
  FillFileOperation(operation, group);
  return Start(std::move(operation), [&](const Operation& prepared, Token token) {
           LedgerRing& ring = model_->ring();
           const uint64_t offset = prepared.start;
           const bool in_parts = !prepared.parts.empty();
           switch (prepared.kind) {
             case Kind::kSync:
               return ring.PrepareSync(file.id, SyncMode::kData, token);
             case Kind::kTruncate:
               return ring.PrepareTruncate(file.id, offset, token);
             case Kind::kReadManaged:
               return ring.PrepareReadManaged(file.id, offset, group, token);
             case Kind::kRead:
               if (in_parts) return ring.PrepareReadVector(file.id, offset, prepared.parts, token);
               return ring.PrepareRead(file.id, offset, prepared.memory, token);
             default:
               if (in_parts) return ring.PrepareWriteVector(file.id, offset, prepared.parts, token);
               return ring.PrepareWrite(file.id, offset, prepared.memory, token);
           }
         }) != nullptr;
}

// Writes to the file what a stream sends next, or sends it from there if an earlier step wrote it.
bool Program::SendFile() {
  for (const auto& [token, other] : model_->operations()) {
    if (IsOnFile(other.kind)) return false;
  }
  const File& file = model_->file;
  ConnectionId id;
  const int connection = PickSort(Connection::Sort::kStream, id);
  if (!file.open || connection == kNone || model_->HasTransfer(connection, Direction::kSend)) {
    return false;
  }
  Operation operation = OnConnection(Kind::kSendFile, connection);
  const uint32_t size = std::max(PickSize(), uint32_t{1});
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  FillSend(operation, kNone);
  const uint64_t offset = model_->connections[static_cast<size_t>(connection)].stream * 1000;
  const size_t there = CountThere(file, offset, operation.memory);
  if (there == 0) {
    operation.kind = Kind::kWrite;
    operation.connection = kNone;
    operation.start = offset;
    return Start(std::move(operation), [&](const Operation& prepared, Token token) {
             return model_->ring().PrepareWrite(file.id, offset, prepared.memory, token);
           }) != nullptr;
  }
  operation.all = true;
  operation.memory = operation.memory.first(there);
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PrepareSendFile(file.id, offset, there, id, token);
         }) != nullptr;
}

// ---- Names. Several at once may be about the same.

template <typename Prepare>
bool Program::StartOnName(Operation operation, Prepare prepare) {
  const char* path = model_->names[static_cast<size_t>(operation.name)].path.c_str();
  Operation* const accepted =
      Start(std::move(operation), [&](const Operation& prepared, Token token) {
        return prepare(prepared, PathAt(path), token);
      });
  if (accepted != nullptr) model_->MarkRaces(*accepted);
  return accepted != nullptr;
}

bool Program::OpenName() {
  Operation operation = OnName(Kind::kOpen);
  operation.options.directory = random_.OneIn(3);
  if (!operation.options.directory) {
    operation.options.access = FileOptions::Access::kReadWrite;
    operation.options.create =
        random_.Of(std::array{Create::kNever, Create::kIfNeeded, Create::kTruncate, Create::kNew});
  }
  return StartOnName(std::move(operation), [&](const Operation& open, PathAt path, Token token) {
    return model_->ring().PrepareOpen(path, open.options, token);
  });
}

bool Program::StatName() {
  Operation operation = OnName(Kind::kStat);
  operation.info = std::make_unique<FileInfo>();
  return StartOnName(std::move(operation), [&](const Operation& stat, PathAt path, Token token) {
    return model_->ring().PrepareStat(path, FollowLink::kNo, stat.info.get(), token);
  });
}

bool Program::MakeFolder() {
  return StartOnName(OnName(Kind::kMakeFolder), [&](const Operation&, PathAt path, Token token) {
    return model_->ring().PrepareMakeDirectory(path, 0777, token);
  });
}

bool Program::RemoveFolder() {
  return StartOnName(OnName(Kind::kRemoveFolder), [&](const Operation&, PathAt path, Token token) {
    return model_->ring().PrepareRemoveDirectory(path, token);
  });
}

bool Program::Unlink() {
  return StartOnName(OnName(Kind::kUnlink), [&](const Operation&, PathAt path, Token token) {
    return model_->ring().PrepareUnlink(path, token);
  });
}

bool Program::Rename() {
  Operation operation = OnName(Kind::kRename);
  operation.new_name = OnName(Kind::kRename).name;
  if (operation.new_name == operation.name) return false;
  operation.rename = random_.OneIn(2) ? RenameMode::kReplace : RenameMode::kNoReplace;
  const char* to = model_->names[static_cast<size_t>(operation.new_name)].path.c_str();
  return StartOnName(std::move(operation), [&](const Operation& rename, PathAt from, Token token) {
    return model_->ring().PrepareRename(from, to, rename.rename, token);
  });
}

// ---- What was opened.

int Program::PickOpened() {
  if (model_->opened.empty()) return kNone;
  return static_cast<int>(random_.Below(static_cast<uint32_t>(model_->opened.size())));
}

// Nothing is in the folders that there are.
bool Program::StatInFolder() {
  const int index = PickOpened();
  if (index == kNone) return false;
  const OpenedFile& folder = model_->opened[static_cast<size_t>(index)];
  if (!folder.is_folder) return false;
  Operation operation;
  operation.kind = Kind::kStat;
  operation.opened = index;
  operation.bad_id = !folder.open;
  operation.info = std::make_unique<FileInfo>();
  return Start(std::move(operation), [&](const Operation& stat, Token token) {
           const PathAt path(folder.id, "nothing");
           return model_->ring().PrepareStat(path, FollowLink::kNo, stat.info.get(), token);
         }) != nullptr;
}

bool Program::CloseOpened() {
  const int index = PickOpened();
  if (index == kNone) return false;
  Operation operation;
  operation.kind = Kind::kCloseFile;
  operation.opened = index;
  operation.bad_id = !model_->opened[static_cast<size_t>(index)].open;
  const FileId id = model_->opened[static_cast<size_t>(index)].id;
  const Operation* const close = Start(std::move(operation), [&](const Operation&, Token token) {
    return model_->ring().PrepareCloseFile(id, token);
  });
  if (close != nullptr) model_->opened[static_cast<size_t>(index)].open = false;
  return close != nullptr;
}

bool Program::Work() {
  Operation operation;
  operation.kind = Kind::kWork;
  operation.own_memory = std::make_unique<std::byte[]>(1);
  operation.memory = {operation.own_memory.get(), 1};
  return Start(std::move(operation), [&](const Operation& work, Token token) {
           return model_->ring().PrepareWork(CountRun, work.own_memory.get(), token);
         }) != nullptr;
}

}  // namespace ioring::fuzzing

// Steps that prepare operations of files.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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

constexpr uint64_t kPastEverything = uint64_t{1} << 63;

int32_t CountRun(void* argument) {
  auto& runs = *static_cast<std::byte*>(argument);
  runs = static_cast<std::byte>(static_cast<int>(runs) + 1);
  return static_cast<int32_t>(runs);
}

// How many of the bytes the file holds from `offset` on, one after the other.
size_t CountThere(const File& file, uint64_t offset, std::span<const std::byte> bytes) {
  size_t count = 0;
  while (count < bytes.size() && offset + count < file.bytes.size() &&
         file.bytes[offset + count] == bytes[count]) {
    ++count;
  }
  return count;
}

}  // namespace

// ---- The file that is read and written.

// Reads at offsets may be under way together. Anything else is alone, so that what the file holds
// is known.
bool Program::FileIsFree(const Operation& operation) const {
  const auto only_reads = [](const Operation& one) {
    const bool reads = one.kind == Kind::kRead || one.kind == Kind::kReadManaged ||
                       one.kind == Kind::kSendFile || one.kind == Kind::kStatFile ||
                       one.kind == Kind::kAdvise;
    return reads && !one.at_position;
  };
  const Model::Operations& others = model_->operations();
  return std::all_of(others.begin(), others.end(), [&](const auto& entry) {
    const Operation& other = entry.second;
    return !IsOnFile(other.kind) || (only_reads(operation) && only_reads(other));
  });
}

// Mostly within what it holds.
uint64_t Program::PickPlace(Operation& operation) {
  const auto size = static_cast<uint32_t>(model_->file.bytes.size());
  operation.start = random_.Below(random_.OneIn(4) ? 4000 : std::min(size + 1, uint32_t{4000}));
  if (random_.OneIn(24)) {
    operation.bad_argument = true;
    return kPastEverything + random_.Below(1000);
  }
  operation.at_position = random_.OneIn(4);
  if (!operation.at_position) return operation.start;
  operation.start = model_->file.position;
  return kOwnPosition;
}

void Program::FillTransfer(Operation& operation, uint32_t size) {
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  if (operation.kind == Kind::kWrite) FillContent(model_->tokens_made(), 0, operation.memory);
  if (random_.OneIn(3)) FillParts(operation);
  operation.bad_argument = operation.bad_argument || size == 0;
}

// Some are empty, also the first and the last ones. If there are no bytes, there may be no part.
void Program::FillParts(Operation& operation) {
  const auto size = static_cast<uint32_t>(operation.memory.size());
  operation.in_parts = true;
  for (uint32_t at = 0; at < size;) {
    const uint32_t part = random_.OneIn(4) ? 0 : random_.Between(1, 900);
    operation.parts.push_back({operation.memory.data() + at, std::min(size - at, part)});
    at += std::min(size - at, part);
  }
  operation.parts.resize(operation.parts.size() + random_.Below(3));
  if (random_.OneIn(12)) operation.parts.resize(kMemoryPartsMax + random_.Below(2));
  operation.bad_argument = operation.bad_argument || operation.parts.size() > kMemoryPartsMax;
}

bool Program::StartTransfer(Operation operation, FileId file, uint64_t offset) {
  return Start(std::move(operation), [&](const Operation& of, Token token) {
           LedgerRing& ring = model_->ring();
           const bool writes = !FillsMemory(of.kind);
           if (of.slice.has_value()) {
             return writes ? ring.PrepareWriteBuffer(file, offset, *of.slice, token)
                           : ring.PrepareReadBuffer(file, offset, *of.slice, token);
           }
           if (of.in_parts) {
             return writes ? ring.PrepareWriteVector(file, offset, of.parts, token)
                           : ring.PrepareReadVector(file, offset, of.parts, token);
           }
           return writes ? ring.PrepareWrite(file, offset, of.memory, token)
                         : ring.PrepareRead(file, offset, of.memory, token);
         }) != nullptr;
}

bool Program::StartManagedRead(Operation operation, FileId file, uint64_t offset) {
  operation.group = PickGroup();
  const Group* known =
      operation.group == kNone ? nullptr : &model_->groups[static_cast<size_t>(operation.group)];
  const BufferGroupId group = known == nullptr ? BufferGroupId{77, 0} : known->id;
  operation.bad_id = operation.bad_id || known == nullptr || !known->registered;
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PrepareReadManaged(file, offset, group, token);
         }) != nullptr;
}

bool Program::FileOperation() {
  const File& file = model_->file;
  if (file.path.empty()) return false;
  Operation operation;
  operation.kind =
      random_.Of(std::array{Kind::kRead, Kind::kWrite, Kind::kWrite, Kind::kSync, Kind::kStatFile,
                            Kind::kReadManaged, Kind::kReadManaged, Kind::kTruncate});
  operation.bad_id = !file.open;
  const Kind kind = operation.kind;
  const bool is_transfer = kind == Kind::kRead || kind == Kind::kWrite;
  uint64_t offset = random_.Below(4000);
  operation.start = offset;
  if (is_transfer || kind == Kind::kReadManaged) offset = PickPlace(operation);
  if (!FileIsFree(operation)) return false;
  if (kind == Kind::kReadManaged) return StartManagedRead(std::move(operation), file.id, offset);
  if (is_transfer) {
    FillTransfer(operation, random_.OneIn(24) ? 0 : random_.Between(1, 2000));
    return StartTransfer(std::move(operation), file.id, offset);
  }
  operation.too_large = kind == Kind::kTruncate && random_.OneIn(24);
  if (operation.too_large) offset += kPastEverything;
  operation.info = std::make_unique<FileInfo>();
  return Start(std::move(operation), [&](const Operation& of, Token token) {
           LedgerRing& ring = model_->ring();
           if (of.kind == Kind::kSync) return ring.PrepareSync(file.id, SyncMode::kData, token);
           if (of.kind == Kind::kTruncate) return ring.PrepareTruncate(file.id, offset, token);
           return ring.PrepareStatFile(file.id, of.info.get(), token);
         }) != nullptr;
}

// A write sends what others send or write from the same memory, or new content.
bool Program::FileSlice() {
  const File& file = model_->file;
  Operation operation;
  operation.kind = random_.OneIn(2) ? Kind::kRead : Kind::kWrite;
  if (file.path.empty() || !PickSlice(operation)) return false;
  operation.bad_id = operation.bad_id || !file.open;
  const uint64_t offset = PickPlace(operation);
  if (!FileIsFree(operation)) return false;
  if (operation.kind == Kind::kWrite && !operation.shares_slice) {
    FillContent(model_->tokens_made(), 0, operation.memory);
  }
  return StartTransfer(std::move(operation), file.id, offset);
}

// Where a copy comes from and where it goes do not overlap: systems differ then.
void Program::PickRange(Operation& operation) {
  operation.start = random_.Below(random_.OneIn(4) ? 4000 : 400);
  operation.length = random_.OneIn(24) ? 0 : random_.Between(1, 2000);
  operation.to = operation.start + operation.length + random_.Below(1000);
  if (random_.OneIn(3)) std::swap(operation.start, operation.to);
  operation.bad_argument = operation.length == 0 && operation.kind != Kind::kAdvise;
  if (!random_.OneIn(24)) return;
  operation.length = kPastEverything - operation.start + random_.Below(100);
  operation.too_large = operation.kind == Kind::kAllocate;
  operation.bad_argument = !operation.too_large;
}

bool Program::FileRange() {
  const File& file = model_->file;
  if (file.path.empty()) return false;
  Operation operation;
  operation.kind = random_.Of(std::array{Kind::kAllocate, Kind::kAllocate, Kind::kCopyRange,
                                         Kind::kCopyRange, Kind::kReflink, Kind::kAdvise});
  operation.bad_id = !file.open;
  operation.allocate = random_.Of(std::array{AllocateMode::kExtend, AllocateMode::kKeepSize,
                                             AllocateMode::kPunchHole, AllocateMode::kZero});
  const auto advice = static_cast<Advice>(random_.Below(5));
  PickRange(operation);
  if (!FileIsFree(operation)) return false;
  return Start(std::move(operation), [&](const Operation& of, Token token) {
           LedgerRing& ring = model_->ring();
           switch (of.kind) {
             case Kind::kAllocate:
               return ring.PrepareAllocate(file.id, of.allocate, of.start, of.length, token);
             case Kind::kAdvise:
               return ring.PrepareAdvise(file.id, advice, of.start, of.length, token);
             default:
               return ring.PrepareCopyRange(
                   file.id, of.start, file.id, of.to, of.length,
                   of.kind == Kind::kReflink ? CopyMode::kReflink : CopyMode::kCopy, token);
           }
         }) != nullptr;
}

// Writes to the file what a stream sends next, or sends it from there if an earlier step wrote it.
bool Program::SendFile() {
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
    return FileIsFree(operation) && StartTransfer(std::move(operation), file.id, offset);
  }
  if (!FileIsFree(operation)) return false;
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
  operation.options.follow_link = !random_.OneIn(3);
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
  if (random_.OneIn(3)) operation.follow = FollowLink::kYes;
  return StartOnName(std::move(operation), [&](const Operation& stat, PathAt path, Token token) {
    return model_->ring().PrepareStat(path, stat.follow, stat.info.get(), token);
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
  operation.rename = random_.Of(std::array{RenameMode::kReplace, RenameMode::kReplace,
                                           RenameMode::kNoReplace, RenameMode::kExchange});
  const char* to = model_->names[static_cast<size_t>(operation.new_name)].path.c_str();
  return StartOnName(std::move(operation), [&](const Operation& rename, PathAt from, Token token) {
    return model_->ring().PrepareRename(from, to, rename.rename, token);
  });
}

bool Program::Link() {
  Operation operation = OnName(Kind::kLink);
  operation.new_name = OnName(Kind::kLink).name;
  const char* name = model_->names[static_cast<size_t>(operation.new_name)].path.c_str();
  return StartOnName(std::move(operation), [&](const Operation&, PathAt existing, Token token) {
    return model_->ring().PrepareLink(existing, name, token);
  });
}

// To nowhere, each to another place.
bool Program::Symlink() {
  Operation operation = OnName(Kind::kSymlink);
  const std::string target =
      absl::StrCat("no_folder/", std::string(random_.Below(20), 'a'), model_->tokens_made());
  operation.own_memory = std::make_unique<std::byte[]>(target.size() + 1);
  std::memcpy(operation.own_memory.get(), target.c_str(), target.size() + 1);
  operation.memory = {operation.own_memory.get(), target.size()};
  return StartOnName(std::move(operation), [&](const Operation& of, PathAt name, Token token) {
    const auto* characters = reinterpret_cast<const char*>(of.memory.data());
    return model_->ring().PrepareSymlink(characters, name, token);
  });
}

bool Program::ReadLink() {
  Operation operation = OnName(Kind::kReadLink);
  // Often just enough for what it leads to, or just not.
  const auto fits =
      static_cast<uint32_t>(model_->names[static_cast<size_t>(operation.name)].has.target.size());
  const uint32_t about = fits == 0 ? 0 : random_.Between(fits - 1, fits + 1);
  const uint32_t size = random_.OneIn(2) ? about : random_.Between(1, 60);
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  operation.bad_argument = size == 0;
  return StartOnName(std::move(operation), [&](const Operation& of, PathAt path, Token token) {
    const std::span target(reinterpret_cast<char*>(of.memory.data()), of.memory.size());
    return model_->ring().PrepareReadLink(path, target, token);
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

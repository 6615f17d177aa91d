// What a completion may say of files and their names.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/fuzzing/model.h"
#include "ring/id.h"

namespace ioring::fuzzing {
namespace {

using State = Name::State;

bool Has(const Operation& operation, int name) {
  return name != kNone && (operation.name == name || operation.new_name == name);
}

// One error for it is Linux', the other macOS'.
bool IsOfFolder(Error error) {
  return error == Error::kIsDirectory || error == Error::kPermissionDenied;
}

}  // namespace

void Model::MarkRaces(Operation& operation) {
  for (auto& [token, other] : operations_) {
    if (&other == &operation || !IsAboutNames(other.kind)) continue;
    if (!Has(other, operation.name) && !Has(other, operation.new_name)) continue;
    other.raced = true;
    operation.raced = true;
  }
}

size_t Model::FilesPerhapsOpen() const {
  size_t count = 1;  // the file that is read, which is closed at once
  count += static_cast<size_t>(
      std::count_if(opened.begin(), opened.end(), [](const OpenedFile& one) { return one.open; }));
  count += static_cast<size_t>(
      std::count_if(operations_.begin(), operations_.end(), [](const auto& entry) {
        return entry.second.kind == Kind::kCloseFile || entry.second.kind == Kind::kOpen;
      }));
  return count;
}

// ---- The file that is read and written.

uint64_t Model::CountInFile(uint64_t place, uint64_t most) const {
  return place >= file.bytes.size() ? 0 : std::min(most, file.bytes.size() - place);
}

void Model::WriteFile(uint64_t place, std::span<const std::byte> bytes) {
  file.bytes.resize(std::max<uint64_t>(file.bytes.size(), place + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), file.bytes.begin() + static_cast<std::ptrdiff_t>(place));
}

void Model::CompleteFile(const Operation& operation, const Completion& completion) {
  switch (operation.kind) {
    case Kind::kRead:
    case Kind::kReadManaged:
      return CompleteFileRead(operation, completion);
    case Kind::kWrite:
      return CompleteFileWrite(operation, completion);
    case Kind::kCopyRange:
      return CompleteCopy(operation, completion);
    default:
      break;
  }
  if (completion.result != 0) return Breach(completion, operation, "it completes with 0");
  if (operation.kind == Kind::kTruncate) file.bytes.resize(operation.start);
  if (operation.kind == Kind::kAllocate) CompleteAllocate(operation);
  if (operation.kind == Kind::kReflink) CompleteCopy(operation, completion);
  if (operation.kind != Kind::kStatFile) return;
  if (operation.info->type != FileType::kRegular || operation.info->size != file.bytes.size()) {
    Breach(completion, operation,
           absl::StrCat("it tells of a size of ", operation.info->size, ", but the file has ",
                        file.bytes.size(), " bytes"));
  }
}

void Model::CompleteFileRead(const Operation& operation, const Completion& completion) {
  const auto size = static_cast<size_t>(completion.result);
  std::span<const std::byte> bytes = operation.memory;
  if (operation.kind == Kind::kReadManaged) {
    const bool has_buffer = (completion.flags & kBuffer) != 0;
    if (has_buffer != (size != 0)) return Breach(completion, operation, "a buffer has bytes");
    bytes = {};
    if (has_buffer) bytes = {held_.back().data, held_.back().size};
  }
  if (size > bytes.size()) return Breach(completion, operation, "more than asked for");
  const uint64_t there = CountInFile(operation.start, ~uint64_t{0});
  if (size > there || (size == 0) != (there == 0)) {
    return Breach(completion, operation, absl::StrCat("the file has ", there, " bytes there"));
  }
  for (size_t i = 0; i < size; ++i) {
    if (file.bytes[operation.start + i] == bytes[i]) continue;
    return Breach(completion, operation,
                  absl::StrCat("byte ", operation.start + i, " of the file is wrong"));
  }
  if (operation.at_position) file.position += size;
}

void Model::CompleteFileWrite(const Operation& operation, const Completion& completion) {
  const auto size = static_cast<size_t>(completion.result);
  if (size == 0 || size > operation.memory.size()) {
    return Breach(completion, operation,
                  absl::StrCat("it has ", operation.memory.size(), " bytes"));
  }
  WriteFile(operation.start, operation.memory.first(size));
  if (operation.at_position) file.position += size;
}

void Model::CompleteAllocate(const Operation& operation) {
  const bool extends =
      operation.allocate == AllocateMode::kExtend || operation.allocate == AllocateMode::kZero;
  const uint64_t end = operation.start + operation.length;
  if (extends) file.bytes.resize(std::max<uint64_t>(file.bytes.size(), end));
  if (operation.allocate != AllocateMode::kPunchHole && operation.allocate != AllocateMode::kZero) {
    return;
  }
  for (uint64_t i = 0; i < CountInFile(operation.start, operation.length); ++i) {
    file.bytes[operation.start + i] = std::byte{0};
  }
}

// From the file to itself. One that shares blocks shares all of the range.
void Model::CompleteCopy(const Operation& operation, const Completion& completion) {
  const uint64_t there = CountInFile(operation.start, operation.length);
  const uint64_t size = operation.kind == Kind::kReflink ? operation.length
                                                         : static_cast<uint64_t>(completion.result);
  if (size > there || (size == 0) != (there == 0)) {
    return Breach(completion, operation, absl::StrCat("the file has ", there, " bytes there"));
  }
  const auto from = file.bytes.begin() + static_cast<std::ptrdiff_t>(operation.start);
  if (size == 0) return;
  WriteFile(operation.to, std::vector<std::byte>(from, from + static_cast<std::ptrdiff_t>(size)));
}

// The work counts its runs in its memory.
void Model::CompleteWork(const Operation& operation, const Completion& completion) {
  const int runs = static_cast<int>(operation.memory.front());
  const int expected = completion.ok() ? 1 : 0;
  if (runs != expected) {
    return Breach(completion, operation, absl::StrCat("it ran ", runs, " times"));
  }
  if (completion.ok() && completion.result != runs) {
    Breach(completion, operation, "it returned another number");
  }
}

// ---- Names.

bool Model::OpenAllows(const Operation& operation, State state, Error error) const {
  const FileOptions& options = operation.options;
  const bool makes = options.create != FileOptions::Create::kNever;
  if (options.create == FileOptions::Create::kNew && state != State::kMissing) {
    return error == Error::kAlreadyExists;
  }
  switch (state) {
    case State::kMissing:
      return error == (makes ? Error::kOk : Error::kNotFound);
    case State::kFile:
      return error == (options.directory ? Error::kNotDirectory : Error::kOk);
    case State::kFolder:
      return error == (options.directory ? Error::kOk : Error::kIsDirectory);
    case State::kUnknown:
      break;
  }
  return true;
}

bool Model::RenameAllows(const Operation& operation, Error error) const {
  const State from = names[static_cast<size_t>(operation.name)].state;
  const State to = names[static_cast<size_t>(operation.new_name)].state;
  const bool replaces = operation.rename == RenameMode::kReplace;
  if (from == State::kMissing) {
    return error == Error::kNotFound ||
           (!replaces && to != State::kMissing && error == Error::kAlreadyExists);
  }
  if (to == State::kMissing) return error == Error::kOk;
  if (!replaces) return error == Error::kAlreadyExists;
  if (from == State::kFile) return to == State::kFile ? error == Error::kOk : IsOfFolder(error);
  return error == (to == State::kFolder ? Error::kOk : Error::kNotDirectory);  // it is empty
}

// Whether this is what the operation ends with, as the names are now.
bool Model::NamesAllow(const Operation& operation, Error error) const {
  if (operation.opened != kNone) return error == Error::kNotFound;  // in a folder that is empty
  const State state = names[static_cast<size_t>(operation.name)].state;
  const bool other_unknown =
      operation.new_name != kNone &&
      names[static_cast<size_t>(operation.new_name)].state == State::kUnknown;
  if (operation.raced || state == State::kUnknown || other_unknown) {
    static constexpr std::array kAny = {
        Error::kOk,          Error::kNotFound,     Error::kAlreadyExists,
        Error::kIsDirectory, Error::kNotDirectory, Error::kPermissionDenied};
    return std::find(kAny.begin(), kAny.end(), error) != kAny.end();
  }
  switch (operation.kind) {
    case Kind::kOpen:
      return OpenAllows(operation, state, error);
    case Kind::kStat:
      return error == (state == State::kMissing ? Error::kNotFound : Error::kOk);
    case Kind::kMakeFolder:
      return error == (state == State::kMissing ? Error::kOk : Error::kAlreadyExists);
    case Kind::kRename:
      return RenameAllows(operation, error);
    case Kind::kUnlink:
      if (state == State::kFolder) return IsOfFolder(error);
      return error == (state == State::kMissing ? Error::kNotFound : Error::kOk);
    case Kind::kRemoveFolder:
      if (state == State::kFile) return error == Error::kNotDirectory;
      return error == (state == State::kMissing ? Error::kNotFound : Error::kOk);
    default:
      return false;
  }
}

void Model::CompleteNames(const Operation& operation, const Completion& completion) {
  if (!NamesAllow(operation, Error::kOk)) {
    return Breach(completion, operation, "the names do not allow that");
  }
  if (operation.kind == Kind::kOpen) CompleteOpened(operation, completion);
  if (operation.kind != Kind::kOpen && completion.result != 0) {
    return Breach(completion, operation, "it completes with 0");
  }
  if (operation.kind == Kind::kStat && !operation.raced) {
    const State state = names[static_cast<size_t>(operation.name)].state;
    const bool is_folder = operation.info->type == FileType::kDirectory;
    if (state != State::kUnknown && is_folder != (state == State::kFolder)) {
      return Breach(completion, operation, "it is of another type");
    }
  }
  SetNames(operation, completion);
}

void Model::CompleteOpened(const Operation& operation, const Completion& completion) {
  const FileId id = completion.file();
  for (const OpenedFile& other : opened) {
    if (other.id == id) return Breach(completion, operation, "that id was given out before");
  }
  if (file.open && file.id == id) Breach(completion, operation, "that id is another file's");
  opened.push_back({id, /*open=*/true, operation.options.directory});
}

// What has raced leaves names of which nothing is known, until an operation tells by itself.
void Model::SetNames(const Operation& operation, const Completion& completion) {
  if (operation.name == kNone) return;
  State& state = names[static_cast<size_t>(operation.name)].state;
  State* const other =
      operation.new_name == kNone ? nullptr : &names[static_cast<size_t>(operation.new_name)].state;
  if (operation.raced || completion.error() == Error::kTooManyIds) {
    state = State::kUnknown;
    if (other != nullptr) *other = State::kUnknown;
    return;
  }
  if (completion.error() == Error::kNotFound && other == nullptr) state = State::kMissing;
  if (!completion.ok()) return;
  switch (operation.kind) {
    case Kind::kOpen:
      state = operation.options.directory ? State::kFolder : State::kFile;
      break;
    case Kind::kStat:
      state = operation.info->type == FileType::kDirectory ? State::kFolder : State::kFile;
      break;
    case Kind::kMakeFolder:
      state = State::kFolder;
      break;
    case Kind::kRename:
      *other = state;
      state = State::kMissing;
      break;
    default:
      state = State::kMissing;
      break;
  }
}

}  // namespace ioring::fuzzing

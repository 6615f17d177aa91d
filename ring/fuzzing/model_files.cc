// What a completion may say of files.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ring/completion.h"
#include "ring/file.h"
#include "ring/fuzzing/content.h"
#include "ring/fuzzing/model.h"

namespace ioring::fuzzing {

size_t Model::FilesPerhapsOpen() const {
  size_t count = 1;  // the file that is read, which is closed at once
  count += static_cast<size_t>(
      std::count_if(opened.begin(), opened.end(), [](const OpenedFile& one) { return one.open; }));
  for (const Pipe& pipe : pipes) count += size_t{pipe.ends[0].open} + size_t{pipe.ends[1].open};
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

// ---- Pipes.

bool Model::HasPipeTransfer(int pipe, Kind kind) const {
  return std::any_of(operations_.begin(), operations_.end(), [&](const auto& entry) {
    return entry.second.pipe == pipe && entry.second.kind == kind && !entry.second.bad_id;
  });
}

std::string Model::ExpectedOfPipe(const Operation& operation) const {
  if (operation.pipe == kNone) return "it waits for nothing";
  const Pipe& pipe = pipes[static_cast<size_t>(operation.pipe)];
  const bool is_empty = pipe.written == pipe.read;
  if (operation.kind == Kind::kPipeRead) {
    return !is_empty || pipe.ends[1].closed ? "bytes or the end are there" : "";
  }
  if (operation.kind == Kind::kPipeWrite) {
    return is_empty || pipe.ends[0].closed ? "there is room, or nobody reads" : "";
  }
  const Kind waits_for = operation.end == 0 ? Kind::kPipeRead : Kind::kPipeWrite;
  return HasPipeTransfer(operation.pipe, waits_for) ? "" : "nothing uses the end of the pipe";
}

void Model::CompletePipeRead(const Operation& operation, const Completion& completion) {
  Pipe& pipe = pipes[static_cast<size_t>(operation.pipe)];
  const auto size = static_cast<size_t>(completion.result);
  if (size > operation.memory.size()) return Breach(completion, operation, "more than asked for");
  const bool writes = HasPipeTransfer(operation.pipe, Kind::kPipeWrite);
  if (size == 0 && (pipe.ends[1].open || (!writes && pipe.read != pipe.written))) {
    return Breach(completion, operation,
                  absl::StrCat("it is the end after ", pipe.read, " bytes, but ", pipe.written,
                               " were written", pipe.ends[1].open ? ", and more may come" : ""));
  }
  const size_t wrong = FirstWrong(pipe.stream, pipe.read, operation.memory.first(size));
  if (wrong != size) {
    return Breach(completion, operation, absl::StrCat("byte ", pipe.read + wrong, " is wrong"));
  }
  pipe.read += size;
  if (!writes && pipe.read > pipe.written) Breach(completion, operation, "more than was written");
}

void Model::CompletePipeWrite(const Operation& operation, const Completion& completion) {
  const auto size = static_cast<size_t>(completion.result);
  if (size == 0 || size > operation.memory.size()) {
    return Breach(completion, operation,
                  absl::StrCat("it has ", operation.memory.size(), " bytes"));
  }
  pipes[static_cast<size_t>(operation.pipe)].written += size;
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

}  // namespace ioring::fuzzing

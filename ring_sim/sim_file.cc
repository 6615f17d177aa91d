// Operations of files. Each happens at once, after the time that it is drawn to take.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/request.h"
#include "ring/ring_limits.h"
#include "ring_sim/sim_ring.h"
#include "ring_sim/simulated_world.h"

namespace ioring::sim {
namespace {

absl::Status OpenStatus(std::string_view path, Error error) {
  const auto sentence = [&](std::string_view why) {
    return absl::StrCat("cannot open \"", absl::CHexEscape(path), "\": ", why);
  };
  switch (error) {
    case Error::kNotFound:
      return absl::NotFoundError(
          sentence("there is no such file or directory in the simulated host; check the path, or "
                   "make them (SimulatedWorld::MakeDirectories)"));
    case Error::kAlreadyExists:
      return absl::AlreadyExistsError(
          sentence("the file exists already; remove it or choose another path"));
    case Error::kIsDirectory:
      return absl::InvalidArgumentError(sentence("it is a directory; choose a file"));
    case Error::kNotDirectory:
      return absl::InvalidArgumentError(
          sentence("it, or a part of the path, is no directory; check the path"));
    default:
      return absl::InvalidArgumentError(sentence(ErrorText(error)));
  }
}

OpenedFile* OpenedOf(const FileSlot* file) {
  return file != nullptr ? file->opened.get() : nullptr;
}

}  // namespace

// ---- Control plane.

absl::StatusOr<FileId> SimRing::AddFile(const FileSource& source) {
  const absl::StatusOr<FileId> id = files_.FreeId();
  if (!id.ok()) return id;
  if (source.path == nullptr) return AddDescriptor(source.handle);
  auto opened = std::make_shared<OpenedFile>();
  const CallResult result = disk_.Open(nullptr, source.path, source.options, opened.get());
  if (result < 0) return OpenStatus(source.path, static_cast<Error>(-result));
  return *files_.Adopt(std::move(opened));
}

// There is room for it.
absl::StatusOr<FileId> SimRing::AddDescriptor(NativeHandle handle) {
  const auto descriptor = static_cast<int>(handle);
  std::shared_ptr<OpenedFile> opened =
      NativeHandle{descriptor} == handle ? descriptors_.Find(descriptor) : nullptr;
  if (opened == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("the simulated host has no open file ", handle));
  }
  if (descriptors_.IsOfRing(descriptor)) {
    return absl::AlreadyExistsError(
        absl::StrCat("the simulated host's open file ", descriptor, " is a ring's already"));
  }
  descriptors_.GiveToRing(descriptor);
  const FileId id = *files_.Adopt(std::move(opened));
  files_[id.index].descriptors = &descriptors_;
  files_[id.index].descriptor = descriptor;
  return id;
}

absl::StatusOr<NativeHandle> SimRing::FindFile(FileId file, FileUse use) {
  if (use == FileUse::kClose) {
    if (absl::Status status = files_.Close(file); !status.ok()) return status;
    return kNoNativeHandle;
  }
  FileSlot* slot = files_.Find(file);
  if (slot == nullptr) return StaleId("file");
  if (slot->descriptors == nullptr) {
    slot->descriptors = &descriptors_;
    slot->descriptor = descriptors_.Add(slot->opened, /*is_of_ring=*/true);
  }
  return NativeHandle{slot->descriptor};
}

// ---- Setting up.

void SimRing::SetUpFile(Operation& operation, FileSlot& file,
                        const request::FileTransfer& transfer) {
  operation.file = {.first = &file,
                    .memory = {transfer.memory.data(), transfer.memory.size()},
                    .offset = transfer.offset};
}

void SimRing::SetUpParts(Operation& operation, FileSlot& file, const request::FileParts& parts) {
  operation.file = {.first = &file, .parts = parts.parts, .offset = parts.offset};
}

void SimRing::SetUpCall(Operation& operation, const request::FileCall& call, FileSlot* first,
                        FileSlot* second) {
  operation.file = {.first = first, .second = second, .call = call};
}

void SimRing::SetUpOpen(Operation& operation, const request::Open& open, FileSlot* directory) {
  operation.file = {.first = directory, .call = open};
}

void SimRing::SetUpWork(Operation& operation, const request::Work& work) {
  operation.file = {.call = work};
}

void SimRing::SetUpClose(Operation& operation, FileSlot& file) {
  operation.file = {.first = &file};
}

// ---- Running.

// The ring may be gone when the time has come, if the operation was cancelled.
void SimRing::BeginFile(Operation& operation) {
  statistics_.kernel_submissions.Add(1);
  Engine& engine = world_.engine();
  const Faults& faults = engine.faults();
  const int64_t delay_ns =
      engine.random().Between(faults.disk_delay_min_ns, faults.disk_delay_max_ns);
  engine.After(delay_ns, [&world = world_, number = number_, index = operations_.IndexOf(operation),
                          generation = operation.generation] {
    SimRing* ring = world.FindRing(number);
    if (ring != nullptr && !ring->is_stopped()) ring->OnFile(index, generation);
  });
}

// Anything but an open.
CallResult SimRing::RunFile(Operation& operation) {
  Operation::FileState& file = operation.file;
  std::span<const MemoryPart> parts = file.parts;
  if (parts.empty()) parts = {&file.memory, 1};
  switch (operation.kind) {
    case OperationKind::kRead: {
      const CallResult result = disk_.Read(*file.first->opened, file.offset, parts);
      if (result > 0) statistics_.bytes_read.Add(static_cast<uint64_t>(result));
      return result;
    }
    case OperationKind::kWrite: {
      const CallResult result = disk_.Write(*file.first->opened, file.offset, parts);
      if (result > 0) statistics_.bytes_written.Add(static_cast<uint64_t>(result));
      return result;
    }
    case OperationKind::kFileCall:
      return disk_.Call(std::get<request::FileCall>(file.call), OpenedOf(file.first),
                        OpenedOf(file.second));
    default:  // kCloseFile
      file.first->Close();
      return 0;
  }
}

void SimRing::RunOpen(Operation& operation) {
  Operation::FileState& file = operation.file;
  const auto& open = std::get<request::Open>(file.call);
  auto opened = std::make_shared<OpenedFile>();
  CallResult result = 0;
  if (const Error error = disk_.FaultOfOpen(open.options); error != Error::kOk) {
    result = Failed(error);
  } else {
    result = disk_.Open(OpenedOf(file.first), open.path.path, open.options, opened.get());
  }
  if (result < 0) return EndSoon(operation, Fail(operation.token, result, "open"));
  const std::optional<FileId> id = files_.Adopt(std::move(opened));
  if (!id.has_value()) return EndSoon(operation, ToResult(Error::kTooManyIds));
  file.opened = *id;
  file.is_opened = true;
  opened_.Push(operations_, operation);
}

void SimRing::OnFile(uint32_t index, uint16_t generation) {
  Operation& operation = operations_[index];
  if (operation.generation != generation || operation.has(kEnding)) return;
  if (operation.kind == OperationKind::kOpen) return RunOpen(operation);
  if (operation.kind == OperationKind::kWork) {
    const auto& work = std::get<request::Work>(operation.file.call);
    return EndSoon(operation, work.function(work.argument));
  }
  const CallResult result = RunFile(operation);
  if (result >= 0) return EndSoon(operation, static_cast<int32_t>(result));
  const bool is_call = operation.kind == OperationKind::kFileCall;
  const char* what = operation.kind == OperationKind::kRead ? "read" : "write";
  if (is_call) what = Disk::NameOf(std::get<request::FileCall>(operation.file.call));
  EndSoon(operation, Fail(operation.token, result, what));
}

void SimRing::RunOpened() {
  while (!opened_.empty() && HasRoom()) {
    Operation& operation = opened_.Pop(operations_);
    EndOpen(operation, operation.file.opened);
  }
}

// What the disk has not begun, it never will. By chance it has begun already.
bool SimRing::CancelFile(Operation& operation) {
  if (operation.has(kEnding) || operation.file.is_opened || IsLateCancel()) return false;
  EndSoon(operation, ToResult(Error::kCanceled));
  return true;
}

}  // namespace ioring::sim

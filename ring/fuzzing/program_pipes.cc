// Steps about pipes, whose reads and writes wait.
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/file.h"
#include "ring/fuzzing/content.h"
#include "ring/fuzzing/fuzz.h"
#include "ring/fuzzing/model.h"
#include "ring/fuzzing/program.h"
#include "ring/fuzzing/program_start.h"
#include "ring/fuzzing/random.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring::fuzzing {
namespace {

// Neither those of streams nor those of datagrams.
constexpr uint64_t kFirstPipe = uint64_t{1} << 40;

}  // namespace

bool Program::OpenPipe() {
  if (!backend_.sockets.make_pair) return false;
  const auto pair = backend_.sockets.make_pair(FuzzSockets::Kind::kPipe);
  if (!pair.ok()) return false;
  Pipe pipe;
  pipe.stream = kFirstPipe + model_->pipes.size();
  for (size_t i = 0; i < 2; ++i) {
    const absl::StatusOr<FileId> id = model_->ring().RegisterFile((*pair)[i]);
    if (id.ok()) {
      pipe.ends[i].id = *id;
      continue;
    }
    if (!absl::IsResourceExhausted(id.status()) ||
        model_->FilesPerhapsOpen() + i < model_->options().max_files) {
      model_->Fail(absl::StrCat("RegisterFile: ", id.status().ToString()));
    }
    for (size_t rest = i; rest < 2; ++rest) backend_.sockets.close((*pair)[rest]);
    if (i == 1) model_->ring().CloseFile(pipe.ends[0].id).IgnoreError();
    return false;
  }
  model_->pipes.push_back(pipe);
  return true;
}

Operation Program::OnPipe(Kind kind, size_t end) {
  const uint32_t index = random_.Below(static_cast<uint32_t>(model_->pipes.size()));
  Operation operation;
  operation.kind = kind;
  operation.pipe = static_cast<int>(index);
  operation.end = end;
  operation.bad_id = !model_->pipes[index].ends[end].open;
  return operation;
}

// At most one at a time, so that the order of the bytes is known.
bool Program::StartPipeTransfer(Operation operation) {
  if (model_->HasPipeTransfer(operation.pipe, operation.kind)) return false;
  if (random_.OneIn(3)) {
    if (!PickSlice(operation) || operation.shares_slice) return false;
  } else {
    FillTransfer(operation, PickSize());
  }
  const Pipe& pipe = model_->pipes[static_cast<size_t>(operation.pipe)];
  operation.bad_id = operation.bad_id || !pipe.ends[operation.end].open;
  const FileId id = pipe.ends[operation.end].id;
  if (operation.kind == Kind::kPipeWrite) FillContent(pipe.stream, pipe.written, operation.memory);
  return StartTransfer(std::move(operation), id, kOwnPosition);
}

bool Program::PipeRead() {
  return !model_->pipes.empty() && StartPipeTransfer(OnPipe(Kind::kPipeRead, 0));
}

bool Program::PipeWrite() {
  return !model_->pipes.empty() && StartPipeTransfer(OnPipe(Kind::kPipeWrite, 1));
}

bool Program::ClosePipe() {
  if (model_->pipes.empty()) return false;
  Operation operation = OnPipe(Kind::kCloseFile, random_.Below(2));
  Pipe::End& end = model_->pipes[static_cast<size_t>(operation.pipe)].ends[operation.end];
  const FileId id = end.id;
  if (Start(std::move(operation), [&](const Operation&, Token token) {
        return model_->ring().PrepareCloseFile(id, token);
      }) == nullptr) {
    return false;
  }
  end.open = false;
  return true;
}

}  // namespace ioring::fuzzing

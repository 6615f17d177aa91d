// The end of a program: what must happen happens, what is asked to stop stops, nothing is left.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/error.h"
#include "ring/fuzzing/model.h"
#include "ring/fuzzing/program.h"
#include "ring/fuzzing/random.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring::fuzzing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr uint64_t kEndStep = ~uint64_t{0} - 2;

bool MovesBytes(std::span<const Completion> completions) {
  return std::any_of(completions.begin(), completions.end(),
                     [](const Completion& completion) { return completion.result > 0; });
}

}  // namespace

void Program::ReturnAll() {
  model_->HoldBuffers(false);
  while (model_->held() > 0) model_->ReturnBuffer(0);
}

// Where bytes still move nothing is stuck: a slow machine takes long over thousands of pieces.
template <typename Predicate>
void Program::AwaitNone(std::string_view what, Predicate predicate) {
  steady_clock::time_point until = steady_clock::now() + kPatience;
  // At least one more look after the time has passed, on a machine that was elsewhere.
  for (bool late = false; !model_->failed(); late = steady_clock::now() >= until) {
    std::string left = predicate();
    if (left.empty()) return;
    if (late) return model_->Fail(absl::StrCat(what, ": ", left));
    model_->ring().SubmitAndWait({.timeout = milliseconds(1)});
    if (MovesBytes(model_->ring().PeekCompletions())) until = steady_clock::now() + kPatience;
    model_->TakeAll();
    model_->CheckFigures();
  }
}

// Without anybody's doing. What cannot be told from a deaf ring by the books is not expected.
void Program::AwaitExpected() {
  AwaitNone("stuck, though all buffers were given back", [&] { return model_->Expected(); });
}

void Program::CloseAll() {
  for (size_t i = 0; i < model_->connections.size() && !model_->failed(); ++i) {
    const Connection& connection = model_->connections[i];
    if (connection.state != Connection::State::kOpen) continue;
    const CloseMode mode =
        zero_copy_ || random_.OneIn(2) ? CloseMode::kReset : CloseMode::kGraceful;
    const steady_clock::time_point until = steady_clock::now() + kPatience;
    const ConnectionId id = connection.id;
    while (model_->ring().PrepareClose(id, mode, model_->NextToken()) != Prepared::kAccepted) {
      model_->ring().SubmitAndWait({.timeout = milliseconds(1)});
      model_->TakeAll();
      if (model_->failed()) return;
      if (steady_clock::now() < until) continue;
      // Operations that need not end may hold the whole table.
      return;
    }
    Operation close = OnConnection(Kind::kClose, static_cast<int>(i));
    close.mode = mode;
    Operation& accepted = model_->Accepted(std::move(close));
    model_->connections[i].state = Connection::State::kClosing;
    model_->connections[i].mode = mode;
    model_->MarkCanceledIf(accepted, [&](Operation& other) {
      if (other.connection != static_cast<int>(i) || other.bad_id) return false;
      other.must_end = true;
      return true;
    });
  }
  AwaitNone("a close does not complete", [&] { return model_->Expected(); });
}

// One cancel of everything is enough.
void Program::StopAll() {
  const steady_clock::time_point until = steady_clock::now() + kPatience;
  while (model_->ring().PrepareCancelAll(model_->NextToken()) != Prepared::kAccepted) {
    model_->ring().SubmitAndWait({.timeout = milliseconds(1)});
    model_->TakeAll();
    if (model_->failed()) return;
    if (steady_clock::now() >= until) return model_->Fail("a cancel of everything finds no place");
  }
  Operation operation;
  operation.kind = Kind::kCancelAll;
  Operation& cancel = model_->Accepted(std::move(operation));
  model_->MarkCanceledIf(cancel, [](const Operation&) { return true; });
  AwaitNone("in flight after a cancel of everything", [&]() -> std::string {
    if (model_->operations().empty()) return "";
    const auto& [token, left] = *model_->operations().begin();
    return absl::StrCat("token ", token, ", a ", KindName(left.kind), " on c", left.connection);
  });
}

void Program::DrainAll() {
  const absl::Status drained = Drain(model_->ring(), steady_clock::now() + kPatience);
  if (!drained.ok()) model_->Fail(absl::StrCat("Drain: ", drained.ToString()));
}

// The drain has taken what the model still waits for. Nothing is in flight, so that there is room;
// but a wake may be told of at any time.
template <typename Prepare>
void Program::RunAtRest(std::string_view what, bool must_succeed, Prepare prepare) {
  LedgerRing& ring = model_->ring();
  if (model_->failed()) return;
  const Token token = model_->NextToken();
  if (prepare(token) != Prepared::kAccepted) {
    return model_->Fail(absl::StrCat(what, ": a ring at rest has no room"));
  }
  const steady_clock::time_point until = steady_clock::now() + kPatience;
  for (;;) {
    ring.SubmitAndWait({.timeout = milliseconds(1)});
    for (const Completion& completion : ring.Completions()) {
      if (completion.token != token) continue;
      if (!must_succeed || completion.result == 0) return;
      return model_->Fail(
          absl::StrCat(what, ": result ", completion.result, " ", ErrorName(completion.error())));
    }
    if (steady_clock::now() >= until) return model_->Fail(absl::StrCat(what, " does not end"));
  }
}

// What it is to hold, and no more.
void Program::ReadWholeFile() {
  LedgerRing& ring = model_->ring();
  const File& file = model_->file;
  std::vector<std::byte> memory(file.bytes.size() + 1);
  for (size_t at = 0; !model_->failed();) {
    const std::span<std::byte> rest = std::span(memory).subspan(at);
    const Token token = model_->NextToken();
    if (ring.PrepareRead(file.id, at, rest, token) != Prepared::kAccepted) return;
    const steady_clock::time_point until = steady_clock::now() + kPatience;
    while (ring.InFlight() != 0 && steady_clock::now() < until) {
      ring.SubmitAndWait({.timeout = milliseconds(1)});
    }
    int32_t result = ToResult(Error::kTimedOut);
    for (const Completion& completion : ring.Completions()) {
      if (completion.token == token) result = completion.result;
    }
    if (result < 0) return model_->Fail("the file cannot be read at the end");
    at += static_cast<size_t>(result);
    if (result != 0 && at < memory.size()) continue;
    memory.resize(at);
    if (memory != file.bytes) model_->Fail("at the end the file holds something else");
    return;
  }
}

void Program::RemoveNames() {
  LedgerRing& ring = model_->ring();
  for (const OpenedFile& file : model_->opened) {
    if (!file.open) continue;
    RunAtRest("the close of a file at rest", /*must_succeed=*/true,
              [&](Token token) { return ring.PrepareCloseFile(file.id, token); });
  }
  for (const Name& name : model_->names) {
    RunAtRest("unlink", /*must_succeed=*/false,
              [&](Token token) { return ring.PrepareUnlink(name.path.c_str(), token); });
    RunAtRest("remove", /*must_succeed=*/false,
              [&](Token token) { return ring.PrepareRemoveDirectory(name.path.c_str(), token); });
  }
}

void Program::Release() {
  LedgerRing& ring = model_->ring();
  ring.CheckAtRest();
  for (const Group& group : model_->groups) {
    if (!group.registered) continue;
    if (ring.FreeBuffers(group.id) != group.buffers) {
      model_->Fail(absl::StrCat("a group of ", group.buffers, " buffers has ",
                                ring.FreeBuffers(group.id), " when all were given back"));
    }
    const absl::Status status = ring.UnregisterBufferGroup(group.id);
    if (!status.ok()) model_->Fail(absl::StrCat("a group at rest: ", status.ToString()));
  }
  for (const Buffer& buffer : model_->buffers) {
    if (!buffer.registered) continue;
    const absl::Status status = ring.UnregisterBuffer(buffer.id);
    if (!status.ok()) model_->Fail(absl::StrCat("a buffer at rest: ", status.ToString()));
  }
  for (const Pipe& pipe : model_->pipes) {
    for (const Pipe::End& end : pipe.ends) {
      const absl::Status status = end.open ? ring.CloseFile(end.id) : absl::OkStatus();
      if (!status.ok()) model_->Fail(absl::StrCat("a pipe at rest: ", status.ToString()));
    }
  }
  if (model_->file.open) {
    const absl::Status status = ring.CloseFile(model_->file.id);
    if (!status.ok()) model_->Fail(absl::StrCat("a file at rest: ", status.ToString()));
  }
}

void Program::Settle() {
  random_ = Random(seed_, kEndStep);
  model_->Log("the end: all buffers are given back");
  ReturnAll();
  AwaitExpected();
  if (!model_->failed() && (zero_copy_ || random_.OneIn(3))) {
    model_->Log("the end: all connections are closed");
    CloseAll();
  }
  if (!model_->failed() && random_.OneIn(2)) {
    model_->Log("the end: everything is cancelled");
    StopAll();
  }
  if (model_->failed()) return;
  const bool is_file_known = model_->file.open && FileIsFree({.kind = Kind::kTruncate});
  model_->Log("the end: drain");
  DrainAll();
  if (!model_->failed() && is_file_known) ReadWholeFile();
  if (!model_->failed()) RemoveNames();
  if (!model_->failed()) Release();
  if (!model_->file.path.empty()) std::remove(model_->file.path.c_str());
}

}  // namespace ioring::fuzzing

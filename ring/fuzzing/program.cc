#include "ring/fuzzing/program.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ring/conformance/ledger.h"
#include "ring/drain.h"
#include "ring/fuzzing/fuzz.h"
#include "ring/fuzzing/model.h"
#include "ring/fuzzing/random.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring::fuzzing {
namespace {

constexpr uint64_t kOptionsStep = ~uint64_t{0};
constexpr uint64_t kLengthStep = kOptionsStep - 1;
constexpr uint64_t kAboutStep = kOptionsStep - 3;

}  // namespace

std::span<const Program::Choice> Program::Choices() {
  // The first ones make what the others work on: each program begins with some of them.
  static constexpr std::array kChoices = {
      Choice{&Program::OpenListener, 2, "listen"},
      Choice{&Program::Accept, 7, "accept"},
      Choice{&Program::Connect, 9, "connect"},
      Choice{&Program::OpenPair, 3, "register a pair"},
      Choice{&Program::OpenDatagramPair, 1, "register a datagram pair"},
      Choice{&Program::OpenDatagram, 2, "open a datagram socket"},
      Choice{&Program::MakeGroup, 2, "register a group"},
      Choice{&Program::MakeBuffer, 2, "register a buffer"},
      Choice{&Program::OpenFile, 2, "open a file", About::kFile},
      Choice{&Program::OpenPipe, 1, "register a pipe", About::kPipes},
      Choice{&Program::CloseListener, 1, "close a listener"},
      Choice{&Program::GrowGroup, 1, "add buffers"},
      Choice{&Program::DropGroup, 1, "unregister a group"},
      Choice{&Program::DropBuffer, 1, "unregister a buffer"},
      Choice{&Program::CloseFile, 1, "close a file"},
      Choice{&Program::Unregister, 1, "unregister a socket"},
      Choice{&Program::Recv, 12, "recv"},
      Choice{&Program::Send, 16, "send"},
      Choice{&Program::RecvSlice, 4, "recv a slice"},
      Choice{&Program::SendSlice, 5, "send a slice"},
      Choice{&Program::Managed, 14, "managed recv"},
      Choice{&Program::RecvFrom, 3, "recv from"},
      Choice{&Program::SendTo, 6, "send to"},
      Choice{&Program::Shutdown, 3, "shutdown"},
      Choice{&Program::Close, 3, "close"},
      Choice{&Program::Poll, 4, "poll"},
      Choice{&Program::PollRemove, 2, "remove a poll"},
      Choice{&Program::Timeout, 4, "timeout"},
      Choice{&Program::TimeoutAt, 2, "timeout at"},
      Choice{&Program::Deadline, 4, "deadline"},
      Choice{&Program::Cancel, 8, "cancel"},
      Choice{&Program::CancelConnection, 6, "cancel a connection's"},
      Choice{&Program::CancelAll, 2, "cancel all"},
      Choice{&Program::FileOperation, 6, "file", About::kFile},
      Choice{&Program::FileSlice, 4, "slice of a file", About::kFile},
      Choice{&Program::FileRange, 3, "range of a file", About::kFile},
      Choice{&Program::SendFile, 8, "send a file"},
      Choice{&Program::OpenName, 4, "open a name", About::kNames},
      Choice{&Program::CloseOpened, 3, "close what was opened", About::kNames},
      Choice{&Program::StatName, 2, "stat", About::kNames},
      Choice{&Program::StatInFolder, 1, "stat in a folder", About::kNames},
      Choice{&Program::MakeFolder, 2, "make a folder", About::kNames},
      Choice{&Program::RemoveFolder, 1, "remove a folder", About::kNames},
      Choice{&Program::Unlink, 1, "unlink", About::kNames},
      Choice{&Program::Rename, 2, "rename", About::kNames},
      Choice{&Program::Link, 2, "link", About::kNames},
      Choice{&Program::Symlink, 2, "make a symbolic link", About::kNames},
      Choice{&Program::ReadLink, 2, "read a link", About::kNames},
      Choice{&Program::PipeRead, 3, "read of a pipe", About::kPipes},
      Choice{&Program::PipeWrite, 4, "write to a pipe", About::kPipes},
      Choice{&Program::ClosePipe, 1, "close an end of a pipe", About::kPipes},
      Choice{&Program::Work, 2, "work"},
      Choice{&Program::Nops, 5, "nops"},
      Choice{&Program::Submit, 12, "submit"},
      Choice{&Program::Wait, 14, "submit and wait"},
      Choice{&Program::WaitOnly, 3, "wait"},
      Choice{&Program::Take, 12, "take"},
      Choice{&Program::ReturnBuffers, 8, "return buffers"},
      Choice{&Program::Wake, 1, "wake"},
  };
  return kChoices;
}

RingOptions Program::MakeOptions(const FuzzBackend& backend, Random random) const {
  RingOptions options;
  options.submission_entries = random.Of(std::array{8u, 8u, 16u, 64u});
  options.completion_entries = random.Of(std::array{0u, 0u, 0u, 64u});
  options.max_connections = random.Of(std::array{4u, 12u, 32u});
  options.max_operations = random.Of(std::array{8u, 24u, 128u, 128u});
  options.max_listeners = 4;
  options.max_files = random.Of(std::array{1u, 2u, 4u, 7u});
  options.max_buffers = 3;
  options.max_buffer_groups = 3;
  options.max_worker_threads = 4;
  options.linger_time = std::chrono::milliseconds(random.Below(4));
  options.linger_bytes = random.Of(std::array{0u, 100u, 1u << 20});
  options.disabled = backend.disabled;
  if (backend.adjust) backend.adjust(options);
  return options;
}

Program::Program(const FuzzBackend& backend, uint64_t seed, const Limits& limits)
    : backend_(backend),
      seed_(seed),
      steps_max_(std::min(limits.steps, Random(seed, kLengthStep).Between(15, 130))),
      without_(absl::StrCat(",", limits.without, ",")),
      about_(Random(seed, kAboutStep)
                 .Of(std::array{About::kAll, About::kAll, About::kAll, About::kFile, About::kFile,
                                About::kNames, About::kNames, About::kPipes})),
      random_(seed) {
  const RingOptions options = MakeOptions(backend, Random(seed, kOptionsStep));
  zero_copy_ = options.zero_copy_threshold_bytes.has_value();
  absl::StatusOr<std::unique_ptr<Ring>> ring = backend.create(options);
  CHECK_OK(ring.status()) << "this machine gives no ring, so nothing can be said of it";
  model_ = std::make_unique<Model>(*std::move(ring), options, limits.trace);
  model_->Log(absl::StrCat("submission entries ", options.submission_entries,
                           ", completion entries ", options.completion_entries, ", connections ",
                           options.max_connections, ", operations ", options.max_operations));
}

Program::~Program() = default;

std::string Program::Run() {
  while (step_ < steps_max_ && !model_->failed()) {
    RunStep();
    ++step_;
  }
  if (!model_->failed()) Settle();
  if (model_->failed()) Abandon();
  return model_->failure();
}

// After a failure: another try may need the descriptors.
void Program::Abandon() {
  LedgerRing& ring = model_->ring();
  ReturnAll();
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  alive_ = !Drain(ring, until).ok() || ring.InFlight() != 0;
  if (alive_) ring.Abandon();
}

void Program::RunStep() {
  random_ = Random(seed_, step_);
  const std::span<const Choice> choices = Choices();
  // A program without anything to work on is a waste.
  constexpr uint32_t kFirstSteps = 10;
  constexpr uint32_t kMakers = 10;
  const std::span<const Choice> from = step_ < kFirstSteps ? choices.first(kMakers) : choices;
  const auto weight = [this](const Choice& choice) {
    constexpr uint32_t kMore = 8;
    return choice.about == about_ ? choice.weight * kMore : choice.weight;
  };
  uint32_t total = 0;
  for (const Choice& choice : from) total += weight(choice);
  uint32_t drawn = random_.Below(total);
  const Choice* chosen = from.data();
  while (drawn >= weight(*chosen)) drawn -= weight(*chosen++);
  model_->Log(absl::StrCat("step ", step_, ": ", chosen->name));
  const bool left_out = absl::StrContains(without_, absl::StrCat(",", chosen->name, ","));
  if (left_out || !(this->*chosen->step)()) model_->Log("    (nothing)");
  // What several at once do is often not known.
  if (chosen->about == about_ && random_.OneIn(2)) Wait();
  model_->CheckFigures();
}

}  // namespace ioring::fuzzing

// Steps that make and end what operations work on; submits, waits, and what is given back.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"
#include "ring/fuzzing/fuzz.h"
#include "ring/fuzzing/model.h"
#include "ring/fuzzing/program.h"
#include "ring/fuzzing/random.h"
#include "ring/id.h"
#include "ring/options.h"

namespace ioring::fuzzing {
namespace {

// So that programs of several processes do not meet.
std::string UniqueName() {
  static const std::string prefix = absl::StrCat("/fuzz", absl::Hex(std::random_device()()), ".");
  static int count = 0;
  return absl::StrCat(prefix, ++count);
}

absl::StatusOr<Endpoint> UniquePath() {
  const std::string name = UniqueName();
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Unix(testing::TempDir() + name);
  if (endpoint.ok()) return endpoint;  // else it is too long
  return Endpoint::Unix(std::filesystem::temp_directory_path().string() + name);
}

}  // namespace

bool Program::OpenListener() {
  Endpoint endpoint = Endpoint::Ipv4Loopback(0);
  const uint32_t family = random_.Below(8);
  if (family == 0) endpoint = Endpoint::Ipv6Loopback(0);
  if (family < 4 && family > 0) {
    const absl::StatusOr<Endpoint> path = UniquePath();
    if (path.ok()) endpoint = *path;
  }
  ListenerOptions options;
  options.backlog = random_.Of(std::array{1, 4, 4096});
  options.send_buffer_bytes = random_.OneIn(4) ? 4096 : 0;
  const absl::StatusOr<ListenerId> id = model_->ring().CreateListener(endpoint, options);
  if (!id.ok()) return false;  // no such family here, or a limit
  const absl::StatusOr<Endpoint> bound = model_->ring().LocalEndpoint(*id);
  if (!bound.ok()) {
    model_->Fail(absl::StrCat("a listener has no address: ", bound.status().message()));
    return false;
  }
  model_->listeners.push_back(Listener{*id, *bound});
  model_->Log(absl::StrCat("    l", model_->listeners.size() - 1, " ", bound->ToString()));
  return true;
}

bool Program::CloseListener() {
  if (model_->listeners.empty()) return false;
  const uint32_t index = random_.Below(static_cast<uint32_t>(model_->listeners.size()));
  Listener& listener = model_->listeners[index];
  const bool was_open = std::exchange(listener.open, false);
  const absl::Status status = model_->ring().CloseListener(listener.id);
  if (was_open != status.ok()) {
    model_->Fail(absl::StrCat("CloseListener of l", index, ": ", status.ToString()));
  }
  Operation close;
  model_->MarkCanceledIf(close, [&](Operation& operation) {
    if (operation.listener != static_cast<int>(index)) return false;
    operation.must_end = operation.must_end || operation.kind == Kind::kAccept;
    operation.refused = true;
    return operation.kind == Kind::kAccept;
  });
  return true;
}

bool Program::OpenPair() { return RegisterPair(Connection::Sort::kStream); }

bool Program::OpenDatagramPair() { return RegisterPair(Connection::Sort::kDatagram); }

bool Program::RegisterPair(Connection::Sort sort) {
  if (!backend_.sockets.make_pair) return false;
  const bool datagram = sort == Connection::Sort::kDatagram;
  auto pair = backend_.sockets.make_pair(datagram ? FuzzSockets::Kind::kDatagram
                                                  : FuzzSockets::Kind::kStream);
  if (!pair.ok()) return false;
  std::array<int, 2> ends{};
  for (size_t i = 0; i < 2; ++i) {
    const absl::StatusOr<ConnectionId> id = model_->ring().RegisterSocket((*pair)[i]);
    if (!id.ok()) {
      for (size_t rest = i; rest < 2; ++rest) backend_.sockets.close((*pair)[rest]);
      if (i == 1) model_->connections[static_cast<size_t>(ends[0])].peer = kNone;
      return false;
    }
    ends[i] = model_->AddConnection(*id, sort);
  }
  for (size_t i = 0; i < 2; ++i) {
    model_->connections[static_cast<size_t>(ends[i])].peer = ends[1 - i];
  }
  model_->Log(absl::StrCat("    c", ends[0], " and c", ends[1], datagram ? " of datagrams" : ""));
  return true;
}

bool Program::OpenDatagram() {
  Endpoint local = random_.OneIn(4) ? Endpoint::Ipv6Loopback(0) : Endpoint::Ipv4Loopback(0);
  const absl::StatusOr<ConnectionId> id = model_->ring().OpenDatagram(local);
  if (!id.ok()) return false;
  const absl::StatusOr<Endpoint> bound = model_->ring().LocalEndpoint(*id);
  if (!bound.ok()) {
    model_->Fail(absl::StrCat("a datagram socket has no address: ", bound.status().message()));
    return false;
  }
  const int index = model_->AddConnection(*id, Connection::Sort::kDatagram);
  model_->connections.back().local = *bound;
  model_->Log(absl::StrCat("    c", index, " ", bound->ToString()));
  return true;
}

bool Program::MakeGroup() {
  Group group;
  group.buffer_bytes = random_.Of(std::array{32u, 64u, 64u, 111u, 512u, 2048u});
  group.buffers = random_.Of(std::array{1u, 1u, 2u, 4u, 8u});
  group.buffers_max = group.buffers + random_.Below(3);
  group.policy = random_.OneIn(3) ? ExhaustionPolicy::kFail : ExhaustionPolicy::kWait;
  const size_t bytes = size_t{group.buffer_bytes} * group.buffers;
  group.memory.push_back(std::make_unique<std::byte[]>(bytes));
  const absl::StatusOr<BufferGroupId> id =
      model_->ring().RegisterBufferGroup({.memory = {group.memory.back().get(), bytes},
                                          .buffer_bytes = group.buffer_bytes,
                                          .max_buffers = group.buffers_max,
                                          .exhaustion = group.policy});
  if (!id.ok()) return false;
  group.id = *id;
  model_->Log(absl::StrCat("    g", model_->groups.size(), ": ", group.buffers, " of ",
                           group.buffer_bytes, " B, ",
                           group.policy == ExhaustionPolicy::kWait ? "wait" : "fail"));
  model_->groups.push_back(std::move(group));
  return true;
}

bool Program::GrowGroup() {
  const int index = PickGroup();
  if (index == kNone) return false;
  Group& group = model_->groups[static_cast<size_t>(index)];
  if (!group.registered || group.buffers >= group.buffers_max) return false;
  group.memory.push_back(std::make_unique<std::byte[]>(group.buffer_bytes));
  const absl::Status status =
      model_->ring().AddBuffers(group.id, {group.memory.back().get(), group.buffer_bytes});
  if (!status.ok()) model_->Fail(absl::StrCat("AddBuffers: ", status.ToString()));
  ++group.buffers;
  return true;
}

bool Program::DropGroup() {
  const int index = PickGroup();
  if (index == kNone) return false;
  Group& group = model_->groups[static_cast<size_t>(index)];
  const absl::Status status = model_->ring().UnregisterBufferGroup(group.id);
  if (!group.registered) {
    if (!absl::IsNotFound(status)) model_->Fail(absl::StrCat("a stale group: ", status.ToString()));
    return false;
  }
  if (status.ok()) group.registered = false;
  if (!status.ok() && !absl::IsFailedPrecondition(status)) {
    model_->Fail(absl::StrCat("UnregisterBufferGroup: ", status.ToString()));
  }
  return status.ok();
}

bool Program::MakeBuffer() {
  Buffer buffer;
  buffer.bytes = 3000;
  const uint32_t unit = random_.Of(std::array{0u, 1000u, 1024u});
  buffer.unit_bytes = unit == 0 ? buffer.bytes : unit;
  buffer.memory = std::make_unique<std::byte[]>(buffer.bytes);
  const absl::StatusOr<BufferId> id = model_->ring().RegisterBuffer(
      {.memory = {buffer.memory.get(), buffer.bytes},
       .unit_bytes = unit,
       .use = random_.OneIn(2) ? BufferUse::kAny : BufferUse::kSockets});
  if (!id.ok()) return false;
  buffer.id = *id;
  model_->buffers.push_back(std::move(buffer));
  return true;
}

bool Program::DropBuffer() {
  if (model_->buffers.empty()) return false;
  Buffer& buffer = model_->buffers[random_.Below(static_cast<uint32_t>(model_->buffers.size()))];
  const absl::Status status = model_->ring().UnregisterBuffer(buffer.id);
  const bool told = buffer.registered ? status.ok() || absl::IsFailedPrecondition(status)
                                      : absl::IsNotFound(status);
  if (!told) model_->Fail(absl::StrCat("UnregisterBuffer: ", status.ToString()));
  if (status.ok()) buffer.registered = false;
  return status.ok();
}

bool Program::OpenFile() {
  File& file = model_->file;
  // It is emptied, so that what was read or written before must have been taken.
  if (file.open || !FileIsFree({.kind = Kind::kTruncate})) return false;
  if (file.path.empty()) file.path = testing::TempDir() + UniqueName();
  if (model_->FilesPerhapsOpen() > model_->options().max_files) return false;
  const absl::StatusOr<FileId> id = model_->ring().OpenFile(
      file.path,
      {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
  if (!id.ok()) {
    model_->Fail(absl::StrCat("OpenFile: ", id.status().ToString()));
    return false;
  }
  file.id = *id;
  file.open = true;
  file.bytes.clear();
  file.position = 0;
  return true;
}

Operation Program::OnName(Kind kind) {
  constexpr uint32_t kNames = 3;
  while (model_->names.size() < kNames) {
    model_->names.push_back({.path = testing::TempDir() + UniqueName()});
  }
  Operation operation;
  operation.kind = kind;
  operation.name = static_cast<int>(random_.Below(kNames));
  return operation;
}

bool Program::CloseFile() {
  File& file = model_->file;
  if (!file.open) return false;
  const absl::Status status = model_->ring().CloseFile(file.id);
  if (status.ok()) file.open = false;
  if (!status.ok() && !absl::IsFailedPrecondition(status)) {
    model_->Fail(absl::StrCat("CloseFile: ", status.ToString()));
  }
  return status.ok();
}

// Gives a socket back to whoever registered it, and registers it anew: its peer sees nothing of it.
bool Program::Unregister() {
  ConnectionId id;
  const int index = PickConnection(id);
  if (index == kNone || !backend_.sockets.close) return false;
  Connection& connection = model_->connections[static_cast<size_t>(index)];
  if (connection.state != Connection::State::kOpen) return false;
  const bool busy = model_->HasOperations(index);
  const absl::StatusOr<NativeHandle> handle = model_->ring().UnregisterSocket(id);
  // It may submit, or not. So this does, for a deadline that comes next to be on nothing.
  model_->ring().Submit();
  if (!handle.ok()) {
    const bool told = absl::IsResourceExhausted(handle.status()) ||
                      (busy && absl::IsFailedPrecondition(handle.status()));
    if (!told) model_->Fail(absl::StrCat("UnregisterSocket: ", handle.status().ToString()));
    return false;
  }
  model_->stale_connections.push_back(id);
  const absl::StatusOr<ConnectionId> again = model_->ring().RegisterSocket(*handle);
  if (again.ok()) {
    connection.id = *again;
    model_->Log(absl::StrCat("    c", index, " is registered anew"));
    return true;
  }
  backend_.sockets.close(*handle);
  connection.state = Connection::State::kClosed;
  connection.mode = CloseMode::kReset;  // it did not linger
  return true;
}

bool Program::Submit() {
  model_->ring().Submit();
  return true;
}

void Program::WaitFor(std::chrono::nanoseconds timeout, bool submit) {
  WaitOptions options;
  options.timeout = timeout;
  options.min_completions = random_.OneIn(4) ? random_.Between(2, 4) : 1;
  if (random_.OneIn(8)) options.batch_delay = std::chrono::microseconds(random_.Below(100));
  if (random_.OneIn(8)) options.spin = std::chrono::microseconds(random_.Below(50));
  const auto started = std::chrono::steady_clock::now();
  const uint32_t ready =
      submit ? model_->ring().SubmitAndWait(options) : model_->ring().WaitCompletions(options);
  const auto took = std::chrono::steady_clock::now() - started;
  if (ready != model_->ring().CompletionQueueCount()) {
    model_->Fail(absl::StrCat("a wait says that ", ready, " completions are ready, but ",
                              model_->ring().CompletionQueueCount(), " are"));
  }
  // Kernels count in microseconds, and by a coarser clock where they are old.
  if (ready == 0 && took + std::chrono::microseconds(100) < timeout) {
    model_->Fail("a wait ended with nothing before its time was up");
  }
}

bool Program::Wait() {
  WaitFor(std::chrono::microseconds(random_.OneIn(3) ? 0 : random_.Below(700)), true);
  if (!random_.OneIn(4)) model_->TakeAll();
  return true;
}

bool Program::WaitOnly() {
  WaitFor(std::chrono::microseconds(random_.OneIn(2) ? 0 : random_.Below(300)), false);
  return true;
}

bool Program::Take() {
  model_->Take(random_.OneIn(3) ? random_.Between(1, 3) : ~size_t{0});
  return true;
}

bool Program::ReturnBuffers() {
  if (model_->held() == 0) return false;
  const size_t count = random_.OneIn(2) ? model_->held() : 1;
  for (size_t i = 0; i < count; ++i) {
    model_->ReturnBuffer(random_.Below(static_cast<uint32_t>(model_->held())));
  }
  return true;
}

bool Program::Wake() {
  model_->ring().Wake();
  return true;
}

}  // namespace ioring::fuzzing

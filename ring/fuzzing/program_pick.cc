// What an operation works on, and how large it is.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

#include "ring/endpoint.h"
#include "ring/fuzzing/content.h"
#include "ring/fuzzing/model.h"
#include "ring/fuzzing/program.h"
#include "ring/fuzzing/random.h"
#include "ring/id.h"
#include "ring/options.h"

namespace ioring::fuzzing {
namespace {

// An index that no ring of the fuzzer has.
constexpr uint32_t kForeignIndex = 5000;

}  // namespace

int Program::PickConnection(ConnectionId& id) {
  if (random_.OneIn(24)) {
    const std::vector<ConnectionId>& stale = model_->stale_connections;
    id = stale.empty() || random_.OneIn(3)
             ? ConnectionId{kForeignIndex, random_.Below(3)}
             : stale[random_.Below(static_cast<uint32_t>(stale.size()))];
    return kNone;
  }
  std::vector<int> open;
  for (size_t i = 0; i < model_->connections.size(); ++i) {
    if (model_->connections[i].state == Connection::State::kOpen) {
      open.push_back(static_cast<int>(i));
    }
  }
  if (open.empty()) {
    id = ConnectionId{};
    return kNone;
  }
  // Mostly among few, so that operations meet.
  const auto few = static_cast<uint32_t>(std::min<size_t>(open.size(), 4));
  const auto all = static_cast<uint32_t>(open.size());
  const int index = open[random_.OneIn(3) ? random_.Below(all) : random_.Below(few)];
  id = model_->connections[static_cast<size_t>(index)].id;
  return index;
}

int Program::PickSort(Connection::Sort sort, ConnectionId& id) {
  for (int tries = 0; tries < 6; ++tries) {
    const int index = PickConnection(id);
    if (index == kNone || model_->connections[static_cast<size_t>(index)].sort == sort) {
      return index;
    }
  }
  id = ConnectionId{};
  return kNone;
}

int Program::PickGroup() {
  if (model_->groups.empty()) return kNone;
  return static_cast<int>(random_.Below(static_cast<uint32_t>(model_->groups.size())));
}

uint64_t Program::PickToken() {
  const Model::Operations& operations = model_->operations();
  if (!operations.empty() && !random_.OneIn(4)) {
    const uint32_t which = random_.Below(static_cast<uint32_t>(operations.size()));
    return std::next(operations.begin(), which)->first;
  }
  // One that has completed, or one that never was.
  if (random_.OneIn(4)) return 1;
  return Model::kFirstToken +
         random_.Below(static_cast<uint32_t>(std::max<uint64_t>(model_->tokens_made(), 1)));
}

uint32_t Program::PickSize() {
  const uint32_t kind = random_.Below(40);
  if (kind == 0) return 0;
  if (kind == 1) return random_.Between(30'000, 250'000);
  if (kind < 6) return random_.Between(1'000, 5'000);
  if (kind < 12) return random_.Between(1, 8);
  return random_.Between(9, 300);
}

std::chrono::nanoseconds Program::PickDelay() {
  const uint32_t kind = random_.Below(8);
  if (kind < 2) return std::chrono::hours(1);
  if (kind == 2) return std::chrono::nanoseconds(0);
  return std::chrono::microseconds(random_.Below(3000));
}

bool Program::PickSlice(Operation& operation) {
  BufferSlice& slice = operation.slice.emplace();
  if (random_.OneIn(16) || model_->buffers.empty()) {
    slice = {BufferId{kForeignIndex, 0}, 0, 10};
    operation.bad_id = true;
    return !model_->buffers.empty();
  }
  const uint32_t index = random_.Below(static_cast<uint32_t>(model_->buffers.size()));
  const Buffer& buffer = model_->buffers[index];
  slice = {buffer.id, random_.Below(buffer.bytes + 100), random_.Below(400)};
  if (random_.OneIn(24)) slice.length = 0;
  if (random_.OneIn(24)) slice.offset = ~uint32_t{0} - random_.Below(500);
  operation.bad_id = !buffer.registered;
  const uint64_t end = uint64_t{slice.offset} + slice.length;
  const bool inside = slice.length > 0 && end <= buffer.bytes &&
                      slice.offset / buffer.unit_bytes == (end - 1) / buffer.unit_bytes;
  operation.bad_argument = !inside;
  if (!inside || operation.bad_id) return true;
  operation.buffer = static_cast<int>(index);
  operation.memory = {buffer.memory.get() + slice.offset, slice.length};
  for (const auto& [token, other] : model_->operations()) {
    if (other.buffer != operation.buffer) continue;
    if (other.slice->offset >= end || other.slice->offset + other.slice->length <= slice.offset) {
      continue;
    }
    if (FillsMemory(operation.kind) || FillsMemory(other.kind)) return false;
    operation.shares_slice = true;
  }
  return true;
}

Operation Program::OnConnection(Kind kind, int connection) const {
  Operation operation;
  operation.kind = kind;
  operation.connection = connection;
  operation.bad_id = connection == kNone;
  return operation;
}

int Program::DatagramPeer(int connection) const {
  return model_->connections[static_cast<size_t>(connection)].peer;
}

void Program::FillSend(Operation& operation, int to) {
  const Connection& own = model_->connections[static_cast<size_t>(operation.connection)];
  if (own.sort == Connection::Sort::kDatagram) {
    operation.message = static_cast<int>(model_->messages.size());
    model_->messages.push_back(Message{operation.connection, to, operation.memory.size()});
    FillContent(static_cast<uint64_t>(operation.message) * 2 + 1, 0, operation.memory);
    return;
  }
  operation.start = own.sent;
  FillContent(own.stream, own.sent, operation.memory);
}

}  // namespace ioring::fuzzing

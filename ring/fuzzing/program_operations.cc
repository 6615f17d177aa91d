// Steps that prepare operations.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
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

// Nothing listens there: tcpmux.
constexpr uint16_t kClosedPort = 1;

}  // namespace

bool Program::Accept() {
  Operation operation;
  operation.kind = Kind::kAccept;
  operation.many = !random_.OneIn(3);
  ListenerId id{77, 0};
  operation.bad_id = true;
  if (!model_->listeners.empty()) {
    operation.listener =
        static_cast<int>(random_.Below(static_cast<uint32_t>(model_->listeners.size())));
    const Listener& listener = model_->listeners[static_cast<size_t>(operation.listener)];
    id = listener.id;
    operation.bad_id = !listener.open;
  }
  const Shots shots = operation.many ? Shots::kMultishot : Shots::kOneShot;
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PrepareAccept(id, shots, token);
         }) != nullptr;
}

bool Program::Connect() {
  Operation operation;
  operation.kind = Kind::kConnect;
  Endpoint endpoint = Endpoint::Ipv4Loopback(kClosedPort);
  operation.refused = true;
  if (!model_->listeners.empty() && !random_.OneIn(8)) {
    operation.listener =
        static_cast<int>(random_.Below(static_cast<uint32_t>(model_->listeners.size())));
    const Listener& listener = model_->listeners[static_cast<size_t>(operation.listener)];
    operation.refused = !listener.open;
    // Its port may be somebody else's by now.
    if (listener.open || listener.endpoint.family() == Endpoint::Family::kUnix) {
      endpoint = listener.endpoint;
    } else {
      operation.listener = kNone;
    }
  }
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PrepareConnect(endpoint, token);
         }) != nullptr;
}

bool Program::Recv() {
  ConnectionId id;
  const int connection = PickConnection(id);
  Operation operation = OnConnection(Kind::kRecv, connection);
  operation.all = random_.OneIn(3);
  const uint32_t size = PickSize();
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  operation.bad_argument = size == 0;
  operation.perhaps_busy = connection != kNone && model_->HasTransfer(connection, Direction::kRecv);
  const TransferFlags flags = operation.all ? TransferFlags::kAll : TransferFlags::kNone;
  return Start(std::move(operation), [&](const Operation& prepared, Token token) {
           return model_->ring().PrepareRecv(id, prepared.memory, token, flags);
         }) != nullptr;
}

// Whether a second send may be tried while one is under way. Where that one has just ended, the
// order of their bytes is not known, and little can be said of the stream from then on.
bool Program::MayCross(int connection) {
  Connection& own = model_->connections[static_cast<size_t>(connection)];
  if (own.sort == Connection::Sort::kDatagram) return true;
  if (own.peer == kNone || !random_.OneIn(8)) return false;
  own.order_unknown = true;
  return true;
}

bool Program::Send() {
  ConnectionId id;
  const int connection = PickConnection(id);
  Operation operation = OnConnection(Kind::kSend, connection);
  operation.all = random_.OneIn(2);
  const uint32_t size = PickSize();
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  operation.bad_argument = size == 0;
  operation.perhaps_busy = connection != kNone && model_->HasTransfer(connection, Direction::kSend);
  const TransferFlags flags = operation.all ? TransferFlags::kAll : TransferFlags::kNone;
  if (operation.perhaps_busy && !MayCross(connection)) return false;
  if (connection != kNone) FillSend(operation, DatagramPeer(connection));
  return Start(std::move(operation), [&](const Operation& prepared, Token token) {
           return model_->ring().PrepareSend(id, prepared.memory, token, flags);
         }) != nullptr;
}

bool Program::RecvSlice() {
  ConnectionId id;
  const int connection = PickSort(Connection::Sort::kStream, id);
  Operation operation = OnConnection(Kind::kRecv, connection);
  operation.all = random_.OneIn(3);
  if (!PickSlice(operation)) return false;
  operation.bad_id = operation.bad_id || connection == kNone;
  operation.perhaps_busy = connection != kNone && model_->HasTransfer(connection, Direction::kRecv);
  const TransferFlags flags = operation.all ? TransferFlags::kAll : TransferFlags::kNone;
  return Start(std::move(operation), [&](const Operation& prepared, Token token) {
           return model_->ring().PrepareRecvBuffer(id, *prepared.slice, token, flags);
         }) != nullptr;
}

bool Program::SendSlice() {
  ConnectionId id;
  const int connection = PickSort(Connection::Sort::kStream, id);
  Operation operation = OnConnection(Kind::kSend, connection);
  operation.all = random_.OneIn(2);
  if (!PickSlice(operation) || operation.shares_slice) return false;
  operation.bad_id = operation.bad_id || connection == kNone;
  operation.perhaps_busy = connection != kNone && model_->HasTransfer(connection, Direction::kSend);
  const TransferFlags flags = operation.all ? TransferFlags::kAll : TransferFlags::kNone;
  if (operation.perhaps_busy && !MayCross(connection)) return false;
  if (connection != kNone) FillSend(operation, kNone);
  return Start(std::move(operation), [&](const Operation& prepared, Token token) {
           return model_->ring().PrepareSendBuffer(id, *prepared.slice, token, flags);
         }) != nullptr;
}

bool Program::Managed() {
  ConnectionId id;
  const int connection = PickConnection(id);
  Operation operation = OnConnection(Kind::kManaged, connection);
  operation.many = random_.OneIn(2);
  operation.group = PickGroup();
  BufferGroupId group{77, 0};
  if (operation.group != kNone) {
    const Group& known = model_->groups[static_cast<size_t>(operation.group)];
    group = known.id;
    operation.bad_id = operation.bad_id || !known.registered;
  } else {
    operation.bad_id = true;
  }
  operation.perhaps_busy = connection != kNone && model_->HasTransfer(connection, Direction::kRecv);
  const Shots shots = operation.many ? Shots::kMultishot : Shots::kOneShot;
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PrepareRecvManaged(id, group, shots, token);
         }) != nullptr;
}

bool Program::RecvFrom() {
  ConnectionId id;
  const int connection = PickSort(Connection::Sort::kDatagram, id);
  Operation operation = OnConnection(Kind::kRecvFrom, connection);
  const uint32_t size = PickSize();
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  operation.bad_argument = size == 0;
  operation.source = std::make_unique<Endpoint>();
  operation.perhaps_busy = connection != kNone && model_->HasTransfer(connection, Direction::kRecv);
  return Start(std::move(operation), [&](const Operation& prepared, Token token) {
           return model_->ring().PrepareRecvFrom(id, prepared.memory, prepared.source.get(), token);
         }) != nullptr;
}

// From a socket with an address to one of its family.
bool Program::SendTo() {
  ConnectionId id;
  const int connection = PickSort(Connection::Sort::kDatagram, id);
  ConnectionId ignored;
  const int to = PickSort(Connection::Sort::kDatagram, ignored);
  if (connection == kNone || to == kNone) return false;
  const Endpoint& source = model_->connections[static_cast<size_t>(connection)].local;
  const Endpoint destination = model_->connections[static_cast<size_t>(to)].local;
  if (source == Endpoint() || source.family() != destination.family()) return false;
  Operation operation = OnConnection(Kind::kSendTo, connection);
  const uint32_t size = random_.OneIn(8) ? 0 : random_.Between(1, 3000);
  operation.own_memory = std::make_unique<std::byte[]>(size);
  operation.memory = {operation.own_memory.get(), size};
  operation.perhaps_busy = model_->HasTransfer(connection, Direction::kSend);
  FillSend(operation, to);
  return Start(std::move(operation), [&](const Operation& prepared, Token token) {
           return model_->ring().PrepareSendTo(id, prepared.memory, destination, token);
         }) != nullptr;
}

bool Program::Shutdown() {
  ConnectionId id;
  const int connection = PickConnection(id);
  Operation operation = OnConnection(Kind::kShutdown, connection);
  operation.direction = random_.Of(
      std::array{Direction::kSend, Direction::kSend, Direction::kRecv, Direction::kBoth});
  const Direction direction = operation.direction;
  if (Start(std::move(operation), [&](const Operation&, Token token) {
        return model_->ring().PrepareShutdown(id, direction, token);
      }) == nullptr) {
    return false;
  }
  if (connection == kNone) return true;
  Connection& own = model_->connections[static_cast<size_t>(connection)];
  own.send_shut = own.send_shut || direction != Direction::kRecv;
  own.recv_shut = own.recv_shut || direction != Direction::kSend;
  return true;
}

bool Program::Close() {
  ConnectionId id;
  const int connection = PickConnection(id);
  Operation operation = OnConnection(Kind::kClose, connection);
  operation.mode = random_.OneIn(3) ? CloseMode::kReset : CloseMode::kGraceful;
  const CloseMode mode = operation.mode;
  Operation* const close = Start(std::move(operation), [&](const Operation&, Token token) {
    return model_->ring().PrepareClose(id, mode, token);
  });
  if (close == nullptr) return false;
  if (connection == kNone) return true;
  Connection& own = model_->connections[static_cast<size_t>(connection)];
  own.state = Connection::State::kClosing;
  own.mode = mode;
  model_->stale_connections.push_back(id);
  model_->MarkCanceledIf(*close, [&](Operation& other) {
    if (other.connection != connection || other.bad_id) return false;
    // What is asked to stop by a close ends like what is asked by a cancel.
    other.must_end = true;
    return true;
  });
  return true;
}

bool Program::Poll() {
  ConnectionId id;
  const int connection = PickConnection(id);
  Operation operation = OnConnection(Kind::kPoll, connection);
  operation.events = random_.Of(
      std::array{kPollReadable, kPollReadable, kPollWritable, kPollReadable | kPollWritable});
  operation.many = random_.OneIn(3);
  const PollEvents events = operation.events;
  const Shots shots = operation.many ? Shots::kMultishot : Shots::kOneShot;
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PreparePollAdd(id, events, shots, token);
         }) != nullptr;
}

bool Program::PollRemove() {
  uint64_t target = PickToken();
  for (const auto& [token, operation] : model_->operations()) {
    if (operation.kind == Kind::kPoll && random_.OneIn(2)) target = token;
  }
  Operation operation;
  operation.kind = Kind::kPollRemove;
  Operation* const cancel = Start(std::move(operation), [&](const Operation&, Token token) {
    return model_->ring().PreparePollRemove(Token{target}, token);
  });
  if (cancel == nullptr) return false;
  const auto found = model_->operations().find(target);
  if (found != model_->operations().end() && found->second.kind == Kind::kPoll) {
    model_->MarkCanceled(*cancel, target);
  }
  return true;
}

bool Program::Timeout() {
  Operation operation;
  operation.kind = Kind::kTimeout;
  operation.many = random_.OneIn(3);
  operation.delay = PickDelay();
  operation.bad_argument = operation.many && operation.delay.count() == 0;
  const std::chrono::nanoseconds delay = operation.delay;
  const Shots shots = operation.many ? Shots::kMultishot : Shots::kOneShot;
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PrepareTimeout(delay, shots, token);
         }) != nullptr;
}

bool Program::TimeoutAt() {
  Operation operation;
  operation.kind = Kind::kTimeout;
  const std::chrono::nanoseconds delay = PickDelay();
  // In the past, too.
  const auto time =
      std::chrono::steady_clock::now() + delay -
      (random_.OneIn(3) ? std::chrono::milliseconds(5) : std::chrono::milliseconds(0));
  // The model counts from when it is prepared, which is later than now.
  operation.delay =
      delay > std::chrono::minutes(1) ? std::chrono::minutes(30) : std::chrono::nanoseconds(0);
  return Start(std::move(operation), [&](const Operation&, Token token) {
           return model_->ring().PrepareTimeoutAt(time, token);
         }) != nullptr;
}

// On an operation by its token, often the last one, or on what a connection has under way.
bool Program::Deadline() {
  Operation operation;
  operation.kind = Kind::kDeadline;
  operation.delay = PickDelay();
  if (random_.OneIn(24)) operation.delay = std::chrono::nanoseconds(-1);
  operation.bad_argument = operation.delay.count() < 0;
  return random_.OneIn(3) ? DeadlineOnDirection(std::move(operation))
                          : DeadlineOnToken(std::move(operation));
}

bool Program::DeadlineOnToken(Operation operation) {
  const uint64_t target = random_.OneIn(2) ? model_->NextToken().value - 1 : PickToken();
  model_->Log(absl::StrCat("    on token ", target));
  Operation* const deadline = Start(std::move(operation), [&](const Operation& of, Token token) {
    return model_->ring().PrepareDeadline(Token{target}, of.delay, token);
  });
  if (deadline == nullptr) return false;
  std::vector<uint64_t> targets;
  const auto found = model_->operations().find(target);
  // Where nothing was prepared before, it may be its own.
  if (found != model_->operations().end() && &found->second != deadline) targets.push_back(target);
  model_->MarkDeadline(*deadline, targets);
  return true;
}

bool Program::DeadlineOnDirection(Operation operation) {
  ConnectionId id;
  const int connection = PickConnection(id);
  const Direction direction = random_.OneIn(12)
                                  ? Direction::kBoth
                                  : random_.Of(std::array{Direction::kRecv, Direction::kSend});
  operation.bad_argument = operation.bad_argument || direction == Direction::kBoth;
  operation.bad_id = connection == kNone && !operation.bad_argument;
  model_->Log(absl::StrCat("    on c", connection, direction == Direction::kRecv ? " recv" : ""));
  Operation* const deadline = Start(std::move(operation), [&](const Operation& of, Token token) {
    return model_->ring().PrepareDeadline(id, direction, of.delay, token);
  });
  if (deadline == nullptr) return false;
  std::vector<uint64_t> targets;
  for (const auto& [token, other] : model_->operations()) {
    if (other.connection == connection && IsTransfer(other.kind, direction) && !other.bad_id &&
        !other.bad_argument && !other.sent) {
      targets.push_back(token);
    }
  }
  model_->MarkDeadline(*deadline, targets);
  return true;
}

bool Program::Cancel() {
  const uint64_t target = PickToken();
  Operation operation;
  operation.kind = Kind::kCancel;
  Operation* const cancel = Start(std::move(operation), [&](const Operation&, Token token) {
    return model_->ring().PrepareCancel(Token{target}, token);
  });
  if (cancel != nullptr) model_->MarkCanceled(*cancel, target);
  return cancel != nullptr;
}

bool Program::CancelConnection() {
  ConnectionId id;
  const int connection = PickConnection(id);
  Operation operation = OnConnection(Kind::kCancelConnection, connection);
  operation.direction = random_.Of(
      std::array{Direction::kSend, Direction::kRecv, Direction::kBoth, Direction::kSend});
  const Direction direction = operation.direction;
  Operation* const cancel = Start(std::move(operation), [&](const Operation&, Token token) {
    return model_->ring().PrepareCancelConnection(id, direction, token);
  });
  if (cancel == nullptr) return false;
  if (connection == kNone) return true;
  model_->MarkCanceledIf(*cancel, [&](const Operation& other) {
    return other.connection == connection && !other.bad_id &&
           (direction == Direction::kBoth || IsTransfer(other.kind, direction));
  });
  return true;
}

bool Program::CancelAll() {
  Operation operation;
  operation.kind = Kind::kCancelAll;
  Operation* const cancel = Start(std::move(operation), [&](const Operation&, Token token) {
    return model_->ring().PrepareCancelAll(token);
  });
  if (cancel == nullptr) return false;
  model_->MarkCanceledIf(*cancel, [](const Operation&) { return true; });
  return true;
}

// Leaves few places in the queue, or none.
bool Program::Nops() {
  const uint32_t leave = random_.Below(4);
  uint32_t count = random_.Between(1, 8);
  while (count-- > 0 && model_->ring().SubmissionQueueSpace() > leave) {
    Operation operation;
    operation.kind = Kind::kNop;
    if (model_->ring().PrepareNop(model_->NextToken()) != Prepared::kAccepted) return false;
    model_->Accepted(std::move(operation));
  }
  return true;
}

}  // namespace ioring::fuzzing

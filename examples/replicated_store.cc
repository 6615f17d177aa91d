#include "examples/replicated_store.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ring/acceptor.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/retries.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr std::chrono::milliseconds kReconnectDelay{50};
// For a backup that owes an answer. One that has lost its power says nothing.
constexpr std::chrono::seconds kPatience{5};
constexpr size_t kReadBytes = size_t{64} << 10;
constexpr uint32_t kNoBackup = ~uint32_t{0};

// ---- Records of the log: a header, and the "KEY VALUE" of a put.

struct Header {
  uint32_t bytes;  // of the text
  uint32_t checksum;
};

// A place in the log: how many bytes are before it, and the checksum of the record that ends there.
struct Position {
  uint64_t bytes = 0;
  uint32_t checksum = 0;
};

// FNV-1a. With the checksum of the record before: one that belongs elsewhere does not fit.
uint32_t Checksum(uint32_t previous, std::string_view text) {
  uint32_t sum = 2166136261u ^ previous;
  for (const char byte : text) sum = (sum ^ static_cast<uint8_t>(byte)) * 16777619u;
  return sum;
}

enum class Found { kWhole, kPartial, kBad };

// If the first of `records` is whole, moves it to `text`, and moves `position`, where it begins,
// to its end.
Found TakeRecord(std::string_view& records, Position& position, std::string_view& text) {
  Header header;
  if (records.size() < sizeof(header)) return Found::kPartial;
  std::memcpy(&header, records.data(), sizeof(header));
  if (header.bytes == 0 || header.bytes > ReplicatedStore::kLineBytesMax) return Found::kBad;
  if (records.size() < sizeof(header) + header.bytes) return Found::kPartial;
  text = records.substr(sizeof(header), header.bytes);
  if (header.checksum != Checksum(position.checksum, text)) return Found::kBad;
  records.remove_prefix(sizeof(header) + text.size());
  position = {position.bytes + sizeof(header) + text.size(), header.checksum};
  return Found::kWhole;
}

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

// ---- The store.

// To a client, to a backup that follows, or to the primary.
struct Connection {
  ConnectionId id;
  std::array<std::byte, 4096> received;  // the ring's while a receive is in flight
  std::string input;                     // what was received and not served yet
  std::string output;                    // the ring's while a send is in flight
  bool is_closing = false;

  uint64_t put_end = 0;  // of a client: where its put ends in the log; 0: it waits for none

  uint32_t backup = kNoBackup;  // its number
  bool is_following = false;    // it has said how much it has
  bool is_forwarding = false;   // bytes of the log are under way
  uint64_t sent = 0;            // up to here
  uint64_t acknowledged = 0;    // and these are on its disk

  bool is_primary = false;
  bool is_owed_position = false;  // it is told of the log's length once that is durable
};

class Store : public ReplicatedStore {
 public:
  Store(Ring& ring, ReplicatedStoreOptions options, FileId directory, FileId log)
      : ring_(ring),
        options_(std::move(options)),
        directory_(directory),
        log_(log),
        retries_(ring),
        acceptor_(retries_, MakeToken(Kind::kAccept)) {
    ReadLog();
  }

  void TakeCompletions() override {
    for (const Completion& done : ring_.Completions()) {
      if (status_.ok()) Handle(done);
    }
    retries_.Offer();
  }
  Endpoint address() const override { return address_; }
  absl::Status status() const override { return status_; }

 private:
  enum class Kind : uint8_t {
    kRead,
    kWriteBack,
    kCut,
    kSyncCut,
    kSyncDirectory,
    kWrite,
    kSync,
    kAccept,
    kConnect,    // with the backup's number
    kReconnect,  // likewise
    kDeadline,
    kReceive,  // with the connection, as all that follow
    kSend,
    kForward,
    kClose,
  };

  void Handle(const Completion& done) {
    const Kind kind = KindOf<Kind>(done.token);
    if (kind >= Kind::kReceive) return OnConnection(connections_[IndexOf(done.token)], done);
    if (kind <= Kind::kSync && !done.ok()) {
      status_ = absl::InternalError(ring_.ExplainError(done));
      return;
    }
    switch (kind) {
      case Kind::kRead:
        return OnRead(done);
      case Kind::kWriteBack:
        return OnWrittenBack(done);
      case Kind::kCut:  // what was read must not be lost after it was seen
        return Sync(log_, Kind::kSyncCut);
      case Kind::kSyncCut:
        return Sync(directory_, Kind::kSyncDirectory);
      case Kind::kSyncDirectory:
        return Listen();
      case Kind::kWrite:
        return OnWritten(done);
      case Kind::kSync:
        if (options_.sync_before_acknowledging) OnDurable();
        return WriteLog();
      case Kind::kAccept:
        if (acceptor_.Handle(done) == AcceptOutcome::kAccepted) Receive(Add(done.connection()));
        return;
      case Kind::kConnect:
        return OnConnected(done);
      case Kind::kDeadline:  // the receive says so itself
        return;
      default:
        return Connect(IndexOf(done.token));
    }
  }

  // ---- The log.

  void ReadLog() {
    const size_t rest = writing_.size();
    writing_.resize(rest + kReadBytes);
    const auto memory = std::as_writable_bytes(std::span(writing_)).subspan(rest);
    written_ = rest;
    retries_.Prepare([this, offset = durable_.bytes + rest, memory](Ring& on) {
      return on.PrepareRead(log_, offset, memory, MakeToken(Kind::kRead));
    });
  }

  void OnRead(const Completion& done) {
    writing_.resize(writing_.size() - kReadBytes + static_cast<size_t>(done.result));
    if (done.result > 0) return WriteBack();
    CutLog();
  }

  // What was read may be in the system's memory alone, after a sync that failed, and no sync writes
  // it then unless it is written again.
  void WriteBack() {
    const auto rest = BytesOf(writing_).subspan(written_);
    retries_.Prepare([this, offset = durable_.bytes + written_, rest](Ring& on) {
      return on.PrepareWrite(log_, offset, rest, MakeToken(Kind::kWriteBack));
    });
  }

  void OnWrittenBack(const Completion& done) {
    written_ += static_cast<size_t>(done.result);
    if (written_ < writing_.size()) return WriteBack();
    if (Apply() == Found::kPartial) return ReadLog();
    CutLog();
  }

  void CutLog() {
    writing_.clear();
    written_ = 0;
    appended_ = durable_;
    retries_.Prepare([this](Ring& on) {
      return on.PrepareTruncate(log_, durable_.bytes, MakeToken(Kind::kCut));
    });
  }

  void Sync(FileId file, Kind kind) {
    retries_.Prepare(
        [=](Ring& on) { return on.PrepareSync(file, SyncMode::kData, MakeToken(kind)); });
  }

  void Listen() {
    const absl::StatusOr<ListenerId> listener = ring_.CreateListener(options_.address, {});
    status_ = listener.status();
    if (!status_.ok()) return;
    address_ = *ring_.LocalEndpoint(*listener);
    acceptor_.Start(*listener);
    for (uint32_t backup = 0; backup < options_.backups.size(); ++backup) Connect(backup);
  }

  void Append(std::string_view text) {
    const Header header = {static_cast<uint32_t>(text.size()), Checksum(appended_.checksum, text)};
    waiting_.append(reinterpret_cast<const char*>(&header), sizeof(header)).append(text);
    appended_ = {appended_.bytes + sizeof(header) + text.size(), header.checksum};
    if (!is_writing_) WriteLog();
  }

  // What is appended while one write and its sync are under way shares the next ones.
  void WriteLog() {
    if (writing_.empty()) writing_.swap(waiting_);
    is_writing_ = !writing_.empty();
    if (!is_writing_) return;
    const uint64_t offset = durable_.bytes + written_;
    retries_.Prepare([this, offset, rest = BytesOf(writing_).subspan(written_)](Ring& on) {
      return on.PrepareWrite(log_, offset, rest, MakeToken(Kind::kWrite));
    });
  }

  void OnWritten(const Completion& done) {
    written_ += static_cast<size_t>(done.result);
    if (written_ < writing_.size()) return WriteLog();
    if (!options_.sync_before_acknowledging) OnDurable();  // the defect
    Sync(log_, Kind::kSync);
  }

  void OnDurable() {
    Apply();
    written_ = 0;
    for (auto& [index, connection] : connections_) Forward(connection);
    Acknowledge();
  }

  // Takes the whole records from the front of `writing_`. Says what is behind them.
  Found Apply() {
    std::string_view rest = writing_;
    std::string_view text;
    Found found;
    while ((found = TakeRecord(rest, durable_, text)) == Found::kWhole) {
      const size_t space = text.find(' ');
      values_[text.substr(0, space)] = text.substr(space + 1);
    }
    writing_.erase(0, writing_.size() - rest.size());
    return found;
  }

  // ---- Connections.

  Connection& Add(ConnectionId id) {
    Connection& connection = connections_[id.index];
    connection.id = id;
    return connection;
  }

  void Receive(Connection& connection) {
    retries_.Prepare([&connection](Ring& on) {
      return on.PrepareRecv(connection.id, connection.received,
                            MakeToken(Kind::kReceive, connection.id));
    });
    if (connection.backup == kNoBackup) return;
    if (!connection.is_following || connection.acknowledged < durable_.bytes) Expect(connection);
  }

  void Send(Connection& connection, std::string text) {
    connection.put_end = 0;
    if (connection.is_closing) return;
    connection.output = std::move(text);
    retries_.Prepare([&connection](Ring& on) {
      return on.PrepareSend(connection.id, BytesOf(connection.output),
                            MakeToken(Kind::kSend, connection.id), TransferFlags::kAll);
    });
  }

  void Close(Connection& connection) {
    if (std::exchange(connection.is_closing, true)) return;
    retries_.Prepare([id = connection.id](Ring& on) {
      return on.PrepareClose(id, CloseMode::kGraceful, MakeToken(Kind::kClose, id));
    });
    if (!std::exchange(connection.is_following, false)) return;
    // Whether that backup has the puts that wait is not known any more.
    for (auto& [index, client] : connections_) {
      if (client.put_end != 0) Send(client, "failed\n");
    }
  }

  // All that a connection has in flight completes before its close does.
  void OnConnection(Connection& connection, const Completion& done) {
    const Kind kind = KindOf<Kind>(done.token);
    if (kind == Kind::kClose) {
      if (connection.backup != kNoBackup) Reconnect(connection.backup);
      connections_.erase(IndexOf(done.token));
    } else if (done.result <= 0) {
      Close(connection);
    } else if (connection.is_closing) {
      return;
    } else if (kind == Kind::kForward) {
      connection.is_forwarding = false;
      connection.sent += static_cast<uint64_t>(done.result);
      Forward(connection);
    } else {
      const char* received = reinterpret_cast<const char*>(connection.received.data());
      if (kind == Kind::kReceive) connection.input.append(received, done.result);
      Serve(connection);
    }
  }

  // Does what the next line says. The one after it has to wait for the answer.
  void Serve(Connection& connection) {
    if (connection.is_primary) return TakeRecords(connection);
    const size_t end = std::min(connection.input.find('\n'), connection.input.size());
    if (end > kLineBytesMax) return Close(connection);
    if (end == connection.input.size()) return Receive(connection);
    const std::string line = connection.input.substr(0, end);
    connection.input.erase(0, end + 1);
    std::string_view rest = line;
    if (absl::ConsumePrefix(&rest, "put ")) {
      Put(connection, rest);
    } else if (absl::ConsumePrefix(&rest, "get ")) {
      const auto found = values_.find(rest);
      Send(connection,
           found == values_.end() ? "none\n" : absl::StrCat("value ", found->second, "\n"));
    } else if (line == "follow" && options_.is_backup) {
      OnPrimary(connection);
    } else if (connection.backup != kNoBackup && absl::ConsumePrefix(&rest, "have ")) {
      OnPosition(connection, rest);
    } else {
      Close(connection);
    }
  }

  void Put(Connection& client, std::string_view text) {
    const size_t space = text.find(' ');
    const auto following =
        std::count_if(connections_.begin(), connections_.end(),
                      [](const auto& entry) { return entry.second.is_following; });
    if (options_.is_backup || static_cast<size_t>(following) < options_.backups.size() ||
        space == 0 || space == text.npos ||
        appended_.bytes + sizeof(Header) + text.size() > options_.log_bytes_max) {
      return Send(client, "failed\n");
    }
    Append(text);
    client.put_end = appended_.bytes;
  }

  // Answers those who wait for disks.
  void Acknowledge() {
    uint64_t everywhere = durable_.bytes;
    for (const auto& [index, backup] : connections_) {
      if (backup.is_following) everywhere = std::min(everywhere, backup.acknowledged);
    }
    for (auto& [index, connection] : connections_) {
      if (connection.put_end != 0 && connection.put_end <= everywhere) Send(connection, "ok\n");
      TellPosition(connection);
    }
  }

  // ---- A primary's backups.

  void Connect(uint32_t backup) {
    retries_.Prepare([this, backup](Ring& on) {
      return on.PrepareConnect(options_.backups[backup], MakeToken(Kind::kConnect, backup));
    });
  }

  void Reconnect(uint32_t backup) {
    retries_.Prepare([backup](Ring& on) {
      return on.PrepareTimeout(kReconnectDelay, Shots::kOneShot,
                               MakeToken(Kind::kReconnect, backup));
    });
  }

  void OnConnected(const Completion& done) {
    if (!done.ok()) return Reconnect(IndexOf(done.token));
    Connection& connection = Add(done.connection());
    connection.backup = IndexOf(done.token);
    Send(connection, "follow\n");
  }

  void OnPosition(Connection& backup, std::string_view text) {
    uint64_t bytes = 0;
    if (!absl::SimpleAtoi(text, &bytes) || bytes > durable_.bytes) return Close(backup);
    backup.acknowledged = bytes;
    if (!std::exchange(backup.is_following, true)) backup.sent = bytes;
    Forward(backup);
    Acknowledge();
    Serve(backup);  // the next one may have come with it
  }

  // Sends what the backup lacks, from the log.
  void Forward(Connection& backup) {
    const bool lacks = backup.is_following && backup.sent < durable_.bytes;
    if (!lacks || std::exchange(backup.is_forwarding, true)) return;
    retries_.Prepare([this, &backup, bytes = durable_.bytes - backup.sent](Ring& on) {
      return on.PrepareSendFile(log_, backup.sent, bytes, backup.id,
                                MakeToken(Kind::kForward, backup.id));
    });
    Expect(backup);
  }

  // Sets a deadline on the receive in flight, if it has none.
  void Expect(const Connection& backup) {
    retries_.Prepare([id = backup.id](Ring& on) {
      return on.PrepareDeadline(id, Direction::kRecv, kPatience, MakeToken(Kind::kDeadline));
    });
  }

  // ---- A backup's primary.

  void OnPrimary(Connection& primary) {
    for (auto& [index, other] : connections_) {
      if (other.is_primary) Close(other);  // it has started again
    }
    primary.is_primary = primary.is_owed_position = true;
    TellPosition(primary);
  }

  void TellPosition(Connection& primary) {
    if (durable_.bytes < appended_.bytes || !std::exchange(primary.is_owed_position, false)) return;
    Send(primary, absl::StrCat("have ", durable_.bytes, "\n"));
  }

  void TakeRecords(Connection& primary) {
    std::string_view rest = primary.input;
    std::string_view text;
    Position position = appended_;
    Found found;
    while ((found = TakeRecord(rest, position, text)) == Found::kWhole) Append(text);
    primary.is_owed_position = rest.size() < primary.input.size();
    primary.input.erase(0, primary.input.size() - rest.size());
    if (found == Found::kBad) return Close(primary);  // its log is another one
    if (!primary.is_owed_position) Receive(primary);
  }

  Ring& ring_;
  const ReplicatedStoreOptions options_;
  const FileId directory_;
  const FileId log_;
  Retries retries_;
  Acceptor acceptor_;
  absl::Status status_;
  Endpoint address_;
  std::map<uint32_t, Connection> connections_;  // by ConnectionId::index
  absl::flat_hash_map<std::string, std::string> values_;

  Position appended_;    // the end of all records
  Position durable_;     // of those that are synced
  std::string waiting_;  // records that are to be written next
  std::string writing_;  // those before, up to the end of their sync; at the start what was read
  size_t written_ = 0;   // of `writing_`
  bool is_writing_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ReplicatedStore>> ReplicatedStore::Open(
    Ring& ring, ReplicatedStoreOptions options) {
  const absl::StatusOr<FileId> directory = ring.OpenFile(options.directory, {.directory = true});
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<FileId> log = ring.OpenFile(
      options.directory + "/log",
      {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kIfNeeded});
  if (!log.ok()) return log.status();
  return std::make_unique<Store>(ring, std::move(options), *directory, *log);
}

}  // namespace ioring

#include "examples/replicated_store.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ring/acceptor.h"
#include "ring/completion.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr std::chrono::milliseconds kReconnectDelay{50};
constexpr size_t kReadBytes = size_t{64} << 10;

// What a record of the log begins with. Its text follows, the "KEY VALUE" of a put.
struct Header {
  uint32_t bytes;  // of the text
  uint32_t checksum;
};

enum class Found { kWhole, kPartial, kBad };

// FNV-1a. `previous` is that of the record before: what is left of a log that was cut off does not
// fit behind other records.
uint32_t Checksum(uint32_t previous, std::string_view text) {
  uint32_t sum = 2166136261u ^ previous;
  for (const char byte : text) sum = (sum ^ static_cast<uint8_t>(byte)) * 16777619u;
  return sum;
}

// The text of the record that `bytes` begins with.
Found FirstRecord(std::string_view bytes, uint32_t previous, std::string_view& text) {
  Header header;
  if (bytes.size() < sizeof(header)) return Found::kPartial;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.bytes == 0 || header.bytes > ReplicatedStore::kLineBytesMax) return Found::kBad;
  if (bytes.size() < sizeof(header) + header.bytes) return Found::kPartial;
  text = bytes.substr(sizeof(header), header.bytes);
  return header.checksum == Checksum(previous, text) ? Found::kWhole : Found::kBad;
}

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

enum class ReplicatedStore::Kind : uint8_t {
  kRead,
  kCut,
  kSyncCut,
  kSyncDirectory,
  kWrite,
  kSync,
  kAccept,
  kConnect,    // with the backup's number
  kReconnect,  // likewise
  kReceive,    // this and the following with the connection
  kSend,
  kForward,
  kClose,
};

ReplicatedStore::ReplicatedStore(Ring& ring, ReplicatedStoreOptions options)
    : ring_(ring),
      options_(std::move(options)),
      retries_(ring),
      acceptor_(retries_, MakeToken(Kind::kAccept)) {}

absl::StatusOr<std::unique_ptr<ReplicatedStore>> ReplicatedStore::Open(
    Ring& ring, ReplicatedStoreOptions options) {
  std::unique_ptr<ReplicatedStore> store(new ReplicatedStore(ring, std::move(options)));
  const std::string& directory = store->options_.directory;
  absl::StatusOr<FileId> opened = ring.OpenFile(directory, {.directory = true});
  if (!opened.ok()) return opened.status();
  store->directory_ = *opened;
  opened = ring.OpenFile(directory + "/log", {.access = FileOptions::Access::kReadWrite,
                                              .create = FileOptions::Create::kIfNeeded});
  if (!opened.ok()) return opened.status();
  store->log_ = *opened;
  store->ReadLog();
  return store;
}

void ReplicatedStore::TakeCompletions() {
  for (const Completion& done : ring_.Completions()) {
    if (status_.ok()) Handle(done);
  }
  retries_.Offer();
}

void ReplicatedStore::Handle(const Completion& done) {
  const Kind kind = KindOf<Kind>(done.token);
  if (kind >= Kind::kReceive) return HandleConnection(connections_[IndexOf(done.token)], done);
  if (kind <= Kind::kSync && !done.ok()) {
    status_ = absl::InternalError(ring_.ExplainError(done));
    return;
  }
  switch (kind) {
    case Kind::kRead:
      return OnRead(done);
    case Kind::kCut:  // what was read must not be lost after it was seen
      return Sync(log_, Kind::kSyncCut);
    case Kind::kSyncCut:
      return Sync(directory_, Kind::kSyncDirectory);
    case Kind::kSyncDirectory:
      return Listen();
    case Kind::kWrite:
      return OnWritten(done);
    case Kind::kSync:
      if (options_.sync_before_acknowledging) MakeDurable();
      return WriteLog();
    case Kind::kAccept:
      if (acceptor_.Handle(done) == AcceptOutcome::kAccepted) Receive(Add(done.connection()));
      return;
    case Kind::kConnect:
      return OnConnected(done);
    default:
      return Connect(IndexOf(done.token));
  }
}

// ---- The log.

void ReplicatedStore::ReadLog() {
  const size_t rest = writing_.size();
  writing_.resize(rest + kReadBytes);
  const auto memory = std::as_writable_bytes(std::span(writing_)).subspan(rest);
  retries_.Prepare([this, offset = durable_.bytes + rest, memory](Ring& on) {
    return on.PrepareRead(log_, offset, memory, MakeToken(Kind::kRead));
  });
}

void ReplicatedStore::OnRead(const Completion& done) {
  writing_.resize(writing_.size() - kReadBytes + static_cast<size_t>(done.result));
  Apply(writing_);
  std::string_view text;
  if (done.result > 0 && FirstRecord(writing_, durable_.checksum, text) == Found::kPartial) {
    return ReadLog();
  }
  writing_.clear();
  appended_ = durable_;
  retries_.Prepare(
      [this](Ring& on) { return on.PrepareTruncate(log_, durable_.bytes, MakeToken(Kind::kCut)); });
}

void ReplicatedStore::Sync(FileId file, Kind kind) {
  retries_.Prepare(
      [=](Ring& on) { return on.PrepareSync(file, SyncMode::kData, MakeToken(kind)); });
}

void ReplicatedStore::Listen() {
  const absl::StatusOr<ListenerId> listener = ring_.CreateListener(options_.address, {});
  status_ = listener.status();
  if (!status_.ok()) return;
  address_ = *ring_.LocalEndpoint(*listener);
  acceptor_.Start(*listener);
  for (uint32_t backup = 0; backup < options_.backups.size(); ++backup) Connect(backup);
}

void ReplicatedStore::Append(std::string_view text) {
  const Header header = {static_cast<uint32_t>(text.size()), Checksum(appended_.checksum, text)};
  waiting_.append(reinterpret_cast<const char*>(&header), sizeof(header)).append(text);
  appended_ = {appended_.bytes + sizeof(header) + text.size(), header.checksum};
  if (!log_is_busy_) WriteLog();
}

// What comes while one write and its sync are under way shares the next ones.
void ReplicatedStore::WriteLog() {
  log_is_busy_ = !waiting_.empty() || written_ < writing_.size();
  if (!log_is_busy_) return;
  if (written_ == writing_.size()) {
    writing_ = std::exchange(waiting_, {});
    written_ = 0;
  }
  const uint64_t offset = durable_.bytes + written_;
  retries_.Prepare([this, offset, rest = BytesOf(writing_).subspan(written_)](Ring& on) {
    return on.PrepareWrite(log_, offset, rest, MakeToken(Kind::kWrite));
  });
}

void ReplicatedStore::OnWritten(const Completion& done) {
  written_ += static_cast<size_t>(done.result);
  if (written_ < writing_.size()) return WriteLog();
  if (!options_.sync_before_acknowledging) MakeDurable();  // the defect
  Sync(log_, Kind::kSync);
}

void ReplicatedStore::MakeDurable() {
  Apply(writing_);
  written_ = 0;
  for (auto& [index, connection] : connections_) Forward(connection);
  Acknowledge();
}

// Takes the records from the front that are whole.
void ReplicatedStore::Apply(std::string& records) {
  std::string_view rest = records;
  std::string_view text;
  while (FirstRecord(rest, durable_.checksum, text) == Found::kWhole) {
    const size_t space = text.find(' ');
    values_[text.substr(0, space)] = text.substr(space + 1);
    const size_t bytes = sizeof(Header) + text.size();
    durable_ = {durable_.bytes + bytes, Checksum(durable_.checksum, text)};
    rest.remove_prefix(bytes);
  }
  records.erase(0, records.size() - rest.size());
}

// ---- Connections.

ReplicatedStore::Connection& ReplicatedStore::Add(ConnectionId id) {
  Connection& connection = connections_[id.index];
  connection.id = id;
  return connection;
}

void ReplicatedStore::Connect(uint32_t backup) {
  retries_.Prepare([this, backup](Ring& on) {
    return on.PrepareConnect(options_.backups[backup], MakeToken(Kind::kConnect, backup));
  });
}

void ReplicatedStore::OnConnected(const Completion& done) {
  const uint32_t backup = IndexOf(done.token);
  if (!done.ok()) return Reconnect(backup);
  Connection& connection = Add(done.connection());
  connection.backup = backup;
  Send(connection, "follow\n");
}

void ReplicatedStore::Reconnect(uint32_t backup) {
  retries_.Prepare([backup](Ring& on) {
    return on.PrepareTimeout(kReconnectDelay, Shots::kOneShot, MakeToken(Kind::kReconnect, backup));
  });
}

// All that a connection has in flight completes before its close does.
void ReplicatedStore::HandleConnection(Connection& connection, const Completion& done) {
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

void ReplicatedStore::Receive(Connection& connection) {
  retries_.Prepare([&connection](Ring& on) {
    return on.PrepareRecv(connection.id, connection.received,
                          MakeToken(Kind::kReceive, connection.id));
  });
}

void ReplicatedStore::Send(Connection& connection, std::string text) {
  connection.put_end = 0;
  if (connection.is_closing) return;
  connection.output = std::move(text);
  retries_.Prepare([&connection](Ring& on) {
    return on.PrepareSend(connection.id, BytesOf(connection.output),
                          MakeToken(Kind::kSend, connection.id), TransferFlags::kAll);
  });
}

void ReplicatedStore::Close(Connection& connection) {
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

// Does what the next line says. The one after it has to wait for the answer.
void ReplicatedStore::Serve(Connection& connection) {
  if (connection.is_primary) return TakeRecords(connection);
  const size_t end = std::min(connection.input.find('\n'), connection.input.size());
  if (end > kLineBytesMax) return Close(connection);
  if (end == connection.input.size()) return Receive(connection);
  const std::string line = connection.input.substr(0, end);
  connection.input.erase(0, end + 1);
  std::string_view rest = line;
  uint64_t position = 0;
  if (absl::ConsumePrefix(&rest, "put ")) {
    Put(connection, rest);
  } else if (absl::ConsumePrefix(&rest, "get ")) {
    const auto found = values_.find(rest);
    Send(connection,
         found == values_.end() ? "none\n" : absl::StrCat("value ", found->second, "\n"));
  } else if (line == "follow" && options_.is_backup) {
    for (auto& [index, other] : connections_) {
      if (other.is_primary) Close(other);  // it has started again
    }
    connection.is_primary = connection.is_owed_position = true;
    TellPosition(connection);
  } else if (connection.backup != kNoBackup && absl::ConsumePrefix(&rest, "have ") &&
             absl::SimpleAtoi(rest, &position) && position <= durable_.bytes) {
    OnPosition(connection, position);
  } else {
    Close(connection);
  }
}

void ReplicatedStore::Put(Connection& client, std::string_view text) {
  const size_t space = text.find(' ');
  const auto following = std::count_if(connections_.begin(), connections_.end(),
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
void ReplicatedStore::Acknowledge() {
  uint64_t everywhere = durable_.bytes;
  for (const auto& [index, backup] : connections_) {
    if (backup.is_following) everywhere = std::min(everywhere, backup.acknowledged);
  }
  for (auto& [index, connection] : connections_) {
    if (connection.put_end != 0 && connection.put_end <= everywhere) Send(connection, "ok\n");
    TellPosition(connection);
  }
}

// ---- Replication: of a primary, then of a backup.

void ReplicatedStore::OnPosition(Connection& backup, uint64_t position) {
  backup.acknowledged = position;
  if (!std::exchange(backup.is_following, true)) backup.sent = position;
  Receive(backup);
  Forward(backup);
  Acknowledge();
}

// Sends what the backup lacks, from the log.
void ReplicatedStore::Forward(Connection& backup) {
  const bool lacks = backup.is_following && backup.sent < durable_.bytes;
  if (!lacks || std::exchange(backup.is_forwarding, true)) return;
  retries_.Prepare([this, &backup, bytes = durable_.bytes - backup.sent](Ring& on) {
    return on.PrepareSendFile(log_, backup.sent, bytes, backup.id,
                              MakeToken(Kind::kForward, backup.id));
  });
}

void ReplicatedStore::TakeRecords(Connection& primary) {
  std::string_view rest = primary.input;
  std::string_view text;
  Found found;
  while ((found = FirstRecord(rest, appended_.checksum, text)) == Found::kWhole) {
    Append(text);
    rest.remove_prefix(sizeof(Header) + text.size());
  }
  primary.is_owed_position = rest.size() < primary.input.size();
  primary.input.erase(0, primary.input.size() - rest.size());
  if (found == Found::kBad) return Close(primary);  // its log is another one
  if (!primary.is_owed_position) Receive(primary);
}

void ReplicatedStore::TellPosition(Connection& primary) {
  if (durable_.bytes < appended_.bytes || !std::exchange(primary.is_owed_position, false)) return;
  Send(primary, absl::StrCat("have ", durable_.bytes, "\n"));
}

}  // namespace ioring

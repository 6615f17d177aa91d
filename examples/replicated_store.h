// A store of keys and values on several hosts, in some 200 lines: an example of files and
// connections on one ring, and of a program that //ring_sim tests ("A store that loses what it
// acknowledged" in docs/simulation.md).
//
// A client sends lines, and gets a line for each, in order:
//
//   put KEY VALUE    "ok": it is on the disks of the primary and of all backups.
//                    "failed": nobody promises anything; it may be stored, now or later.
//   get KEY          "value VALUE", or "none". A value is on the disk of who says it, but not yet
//                    on those of all backups.
//
// A connection that ends without an answer has the meaning of "failed". A line has at most
// kLineBytesMax bytes, a key no space.
//
// How it works: each replica has a log, to which records are only added. The primary adds a put,
// syncs, and sends each backup the bytes of its log that the backup lacks. A backup adds them,
// syncs, and says how long its log is. So its log is always a beginning of the primary's, and a
// backup that was away catches up by itself. A record has its length and a checksum, which is of
// all records before it, too: a replica that starts reads its log up to the first record that is
// torn, and cuts off the rest. While a backup is away, puts fail; nobody takes the primary's place.
//
// Requires: the ring lives longer, and is the store's alone. It has max_operations of at least 4
// times max_connections. After a stop or a failure it is brought to rest (Drain) or, in a world,
// destroyed, before the store is.
// Memory: keys and values, which log_bytes_max bounds; about 10 KiB for each connection, which
// RingOptions::max_connections bounds.
// Threads: the ring's thread only. Replicas are on machines of one byte order.
#ifndef IORING_EXAMPLES_REPLICATED_STORE_H_
#define IORING_EXAMPLES_REPLICATED_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/acceptor.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/retries.h"
#include "ring/ring.h"

namespace ioring {

struct ReplicatedStoreOptions {
  Endpoint address;       // where it listens
  std::string directory;  // which exists: its log is the file "log" there
  // A backup takes what a primary sends it, and no puts. `backups` are a primary's.
  bool is_backup = false;
  std::vector<Endpoint> backups = {};
  uint64_t log_bytes_max = uint64_t{64} << 20;  // a put for which there is no room fails
  // False is a defect, for tests of tests: what is written counts as synced.
  bool sync_before_acknowledging = true;
};

class ReplicatedStore {
 public:
  static constexpr size_t kLineBytesMax = 1024;

  // Opens the log. The rest of the start is in TakeCompletions.
  static absl::StatusOr<std::unique_ptr<ReplicatedStore>> Open(Ring& ring,
                                                               ReplicatedStoreOptions options);

  // Takes all completions that the ring has. To be called whenever it has some.
  void TakeCompletions();
  // Where it listens; not set before it has read its log.
  const Endpoint& address() const { return address_; }
  // An error of the disk, or of the address. It has stopped then, and is to be started anew: what
  // its log holds shows at the next start.
  const absl::Status& status() const { return status_; }

 private:
  enum class Kind : uint8_t;
  // A place in the log: how many bytes are before it, and the checksum of their records.
  struct Position {
    uint64_t bytes = 0;
    uint32_t checksum = 0;
  };
  static constexpr uint32_t kNoBackup = ~uint32_t{0};
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

  ReplicatedStore(Ring& ring, ReplicatedStoreOptions options);

  void Handle(const Completion& done);

  void ReadLog();
  void OnRead(const Completion& done);
  void Sync(FileId file, Kind kind);
  void Listen();
  void Append(std::string_view text);
  void WriteLog();
  void OnWritten(const Completion& done);
  void MakeDurable();
  void Apply(std::string& records);

  Connection& Add(ConnectionId id);
  void Connect(uint32_t backup);
  void OnConnected(const Completion& done);
  void Reconnect(uint32_t backup);
  void HandleConnection(Connection& connection, const Completion& done);
  void Receive(Connection& connection);
  void Send(Connection& connection, std::string text);
  void Close(Connection& connection);
  void Serve(Connection& connection);
  void Put(Connection& client, std::string_view text);
  void Acknowledge();

  void OnPosition(Connection& backup, uint64_t position);
  void Forward(Connection& backup);
  void TakeRecords(Connection& primary);
  void TellPosition(Connection& primary);

  Ring& ring_;
  const ReplicatedStoreOptions options_;
  Retries retries_;
  Acceptor acceptor_;
  absl::Status status_;
  Endpoint address_;
  FileId directory_;
  FileId log_;
  std::map<uint32_t, Connection> connections_;  // by ConnectionId::index
  absl::flat_hash_map<std::string, std::string> values_;

  Position appended_;    // all records
  Position durable_;     // those that are synced
  std::string waiting_;  // records that are to be written next
  std::string writing_;  // those before, up to the end of their sync; the log's end at the start
  size_t written_ = 0;   // of `writing_`
  bool log_is_busy_ = false;
};

}  // namespace ioring

#endif  // IORING_EXAMPLES_REPLICATED_STORE_H_

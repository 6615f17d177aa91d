// A store of keys and values on several hosts, an example of files and
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
// backup that was away gets the rest. A record has its length and a checksum, which is of
// all records before it, too: a replica that starts reads its log up to the first record that is
// torn, and cuts off the rest. While a backup is away, puts fail; nobody takes the primary's place.
// That a backup has started again the primary sees when it sends it something: a put fails, too,
// and then the backup gets what it lacks.
//
// Requires: the ring lives longer, and is the store's alone. It has max_operations of at least 4
// times max_connections. After a stop or a failure it is brought to rest (Drain) or, in a world,
// destroyed, before the store is.
// Memory: keys and values, which log_bytes_max bounds; about 10 KiB for each connection, which
// RingOptions::max_connections bounds.
// Threads: the ring's thread only. Replicas are on machines of one byte order.
#ifndef IORING_EXAMPLES_REPLICATED_STORE_H_
#define IORING_EXAMPLES_REPLICATED_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
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
  virtual ~ReplicatedStore() = default;

  // Takes all completions that the ring has. To be called whenever it has some.
  virtual void TakeCompletions() = 0;
  // Where it listens; not set before it has read its log.
  virtual Endpoint address() const = 0;
  // An error of the disk, or of the address. It has stopped then, and is to be started anew: the
  // next start shows what the log holds.
  virtual absl::Status status() const = 0;
};

}  // namespace ioring

#endif  // IORING_EXAMPLES_REPLICATED_STORE_H_

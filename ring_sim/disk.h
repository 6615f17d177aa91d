// Disk: the files of one host, in memory, and what of them would outlive a loss of power.
#ifndef IORING_RING_SIM_DISK_H_
#define IORING_RING_SIM_DISK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_sim/engine.h"
#include "ring_sim/network.h"

namespace ioring::sim {

struct DiskFile {
  uint64_t number = 0;  // on its disk, for the log
  std::string bytes;
  std::string synced;      // as of the last sync
  bool is_synced = false;  // it was: there is such a file
  bool is_dirty = false;   // something was written since
};

class Disk {
 public:
  // The least that is written whole.
  static constexpr size_t kSectorBytes = 512;

  explicit Disk(Engine& engine) : engine_(engine) {}

  // Ring::OpenFile. There are folders for all paths; a path that ends with "/", or that another
  // file's goes on from, is one.
  absl::StatusOr<std::shared_ptr<DiskFile>> Open(const std::string& path,
                                                 const FileOptions& options);

  // At once: who calls sees to the time that it takes.
  CallResult Read(DiskFile& file, uint64_t offset, std::byte* data, size_t bytes);
  CallResult Write(DiskFile& file, uint64_t offset, const std::byte* data, size_t bytes);
  CallResult Sync(DiskFile& file);

  // Of what was not synced each sector is as it was, or as it was to be, by the dice; so is a
  // file's existence. Who has a file open goes on to see what was written.
  void LosePower();

  // What is there now; null where there is no such file.
  const DiskFile* Find(const std::string& path) const;

 private:
  bool IsFolder(const std::string& path) const;
  void Tear(DiskFile& file);
  // The error that the dice say, or kOk.
  Error Fault(const DiskFile& file, bool is_write);

  Engine& engine_;
  std::map<std::string, std::shared_ptr<DiskFile>> files_;
  uint64_t used_bytes_ = 0;
  uint64_t last_number_ = 0;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_DISK_H_

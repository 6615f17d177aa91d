// Content: the bytes of one file, with holes, and what of them would outlive a loss of power.
#ifndef IORING_RING_SIM_CONTENT_H_
#define IORING_RING_SIM_CONTENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "ring_sim/random.h"

namespace ioring::sim {

// Blocks are shared until one of their owners writes them: between files, and between what is
// there now and what was synced. One thread's.
class Content {
 public:
  // The least that is written whole.
  static constexpr size_t kSectorBytes = 512;

  // `used` counts the sectors of all files of a disk.
  explicit Content(std::shared_ptr<uint64_t> used) : used_(std::move(used)) {}
  // The same content on another disk.
  Content(const Content& other, std::shared_ptr<uint64_t> used);
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;
  ~Content() { *used_ -= sectors_.size(); }

  uint64_t size() const { return size_; }
  uint64_t allocated_bytes() const { return sectors_.size() * kSectorBytes; }
  // All of it, holes as zeros.
  std::string Text() const;

  // Requires: the range ends at `size` at the latest.
  void Read(uint64_t offset, std::byte* data, size_t bytes) const;
  // Makes the file longer where the range ends behind its end.
  void Write(uint64_t offset, const std::byte* data, size_t bytes);
  void Resize(uint64_t size);
  // Requires: `size` is not less. What was reserved behind the end stays.
  void Extend(uint64_t size) { size_ = size; }
  // Makes holes of the range's whole sectors, and zeros of the rest of it.
  void Punch(uint64_t offset, uint64_t end);
  // Fills the holes of the range with zeros.
  void Reserve(uint64_t offset, uint64_t end);
  // The sectors that Reserve would need.
  uint64_t CountMissing(uint64_t offset, uint64_t end) const;
  // The sectors that Share would need: holes need none.
  uint64_t CountNew(const Content& from, uint64_t from_offset, uint64_t offset,
                    uint64_t length) const;
  // Where the first `sectors` end that are missing in the range; `end` where there are no more.
  uint64_t EndOfMissing(uint64_t offset, uint64_t end, uint64_t sectors) const;
  // The first range of sectors that are stored, from `from` on and before `end`; empty where there
  // is none. Both offsets are within the two.
  void FindData(uint64_t from, uint64_t end, uint64_t* begin, uint64_t* finish) const;
  // Shares the sectors of a range of another file, or another range of this one. Both offsets are
  // multiples of a sector, and so is the length, unless the range ends with `from`.
  void Share(const Content& from, uint64_t from_offset, uint64_t offset, uint64_t length);

  void Sync();
  // A sync that fails. Each sector that was written since the last one becomes durable or does not,
  // by the dice, and later syncs pass over it until it is written again. The size may become
  // durable, and goes with the next sync.
  void FailSync(Random& random);
  // Also what syncs pass over.
  void MakeDurable();
  // Each sector that was written since the last sync, and the size, is as it was then or as it is
  // now, by the dice.
  void Tear(Random& random);

 private:
  using Sector = std::array<std::byte, kSectorBytes>;
  using SectorPointer = std::shared_ptr<Sector>;  // null: a hole
  using Sectors = std::map<uint64_t, SectorPointer>;

  static uint64_t SectorOf(uint64_t offset) { return offset / kSectorBytes; }
  static uint64_t SectorsTo(uint64_t end) { return (end + kSectorBytes - 1) / kSectorBytes; }
  SectorPointer Find(uint64_t index) const;
  // Puts it there, and keeps what was there at the last sync.
  void Set(uint64_t index, SectorPointer sector);
  void Place(uint64_t index, SectorPointer sector);
  Sector& Writable(uint64_t index);
  void Zero(uint64_t offset, uint64_t end);
  void Cut();

  std::shared_ptr<uint64_t> used_;
  uint64_t size_ = 0;
  Sectors sectors_;  // without the holes
  uint64_t synced_size_ = 0;
  Sectors before_;  // as of the last sync: those that were set since
  Sectors lost_;    // as they are durable: those that a failed sync lost; none of `before_`
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_CONTENT_H_

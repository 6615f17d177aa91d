#include "ring_sim/content.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ring_sim/random.h"

namespace ioring::sim {

Content::Content(const Content& other, std::shared_ptr<uint64_t> used)
    : used_(std::move(used)),
      size_(other.size_),
      sectors_(other.sectors_),
      synced_size_(other.synced_size_),
      before_(other.before_),
      lost_(other.lost_) {
  *used_ += sectors_.size();
}

Content::SectorPointer Content::Find(uint64_t index) const {
  const auto found = sectors_.find(index);
  return found == sectors_.end() ? nullptr : found->second;
}

void Content::Place(uint64_t index, SectorPointer sector) {
  *used_ -= sectors_.size();
  if (sector != nullptr) {
    sectors_[index] = std::move(sector);
  } else {
    sectors_.erase(index);
  }
  *used_ += sectors_.size();
}

void Content::Set(uint64_t index, SectorPointer sector) {
  const auto lost = lost_.extract(index);
  before_.try_emplace(index, lost.empty() ? Find(index) : lost.mapped());
  Place(index, std::move(sector));
}

Content::Sector& Content::Writable(uint64_t index) {
  const auto found = sectors_.find(index);
  const bool is_kept = before_.find(index) != before_.end();
  if (is_kept && found != sectors_.end() && found->second.use_count() == 1) return *found->second;
  SectorPointer copy = found != sectors_.end() ? std::make_shared<Sector>(*found->second)
                                               : std::make_shared<Sector>();
  Sector& sector = *copy;
  Set(index, std::move(copy));
  return sector;
}

std::string Content::Text() const {
  std::string text(size_, '\0');
  Read(0, reinterpret_cast<std::byte*>(text.data()), text.size());
  return text;
}

void Content::Read(uint64_t offset, std::byte* data, size_t bytes) const {
  while (bytes != 0) {
    const size_t begin = offset % kSectorBytes;
    const size_t part = std::min(bytes, kSectorBytes - begin);
    const auto found = sectors_.find(SectorOf(offset));
    if (found != sectors_.end()) {
      std::memcpy(data, found->second->data() + begin, part);
    } else {
      std::memset(data, 0, part);
    }
    offset += part;
    data += part;
    bytes -= part;
  }
}

void Content::Write(uint64_t offset, const std::byte* data, size_t bytes) {
  while (bytes != 0) {
    const size_t begin = offset % kSectorBytes;
    const size_t part = std::min(bytes, kSectorBytes - begin);
    std::memcpy(Writable(SectorOf(offset)).data() + begin, data, part);
    offset += part;
    data += part;
    bytes -= part;
    size_ = std::max(size_, offset);
  }
}

// Within one sector; a hole has zeros already.
void Content::Zero(uint64_t offset, uint64_t end) {
  if (offset >= end || Find(SectorOf(offset)) == nullptr) return;
  Sector& sector = Writable(SectorOf(offset));
  std::memset(sector.data() + offset % kSectorBytes, 0, end - offset);
}

void Content::Resize(uint64_t size) {
  if (size < size_) Punch(size, SectorsTo(size_) * kSectorBytes);
  // What was reserved behind the end goes, too.
  std::vector<uint64_t> behind;
  for (auto it = sectors_.lower_bound(SectorsTo(size)); it != sectors_.end(); ++it) {
    behind.push_back(it->first);
  }
  for (const uint64_t index : behind) Set(index, nullptr);
  size_ = size;
}

void Content::Punch(uint64_t offset, uint64_t end) {
  const uint64_t first = SectorsTo(offset);
  const uint64_t last = SectorOf(end);
  if (first > last) return Zero(offset, end);  // both in one sector
  Zero(offset, first * kSectorBytes);
  Zero(last * kSectorBytes, end);
  std::vector<uint64_t> punched;
  for (auto it = sectors_.lower_bound(first); it != sectors_.end() && it->first < last; ++it) {
    punched.push_back(it->first);
  }
  for (const uint64_t index : punched) Set(index, nullptr);
}

void Content::Reserve(uint64_t offset, uint64_t end) {
  if (CountMissing(offset, end) == 0) return;
  const auto zeros = std::make_shared<Sector>();
  for (uint64_t index = SectorOf(offset); index < SectorsTo(end); ++index) {
    if (Find(index) == nullptr) Set(index, zeros);
  }
}

uint64_t Content::CountMissing(uint64_t offset, uint64_t end) const {
  if (offset >= end) return 0;
  const auto first = sectors_.lower_bound(SectorOf(offset));
  const auto last = sectors_.lower_bound(SectorsTo(end));
  return SectorsTo(end) - SectorOf(offset) - static_cast<uint64_t>(std::distance(first, last));
}

uint64_t Content::CountNew(const Content& from, uint64_t from_offset, uint64_t offset,
                           uint64_t length) const {
  const uint64_t first = SectorOf(from_offset);
  uint64_t count = 0;
  for (auto it = from.sectors_.lower_bound(first);
       it != from.sectors_.end() && it->first < first + SectorsTo(length); ++it) {
    if (Find(SectorOf(offset) + it->first - first) == nullptr) ++count;
  }
  return count;
}

uint64_t Content::EndOfMissing(uint64_t offset, uint64_t end, uint64_t sectors) const {
  for (uint64_t index = SectorOf(offset); index < SectorsTo(end); ++index) {
    if (Find(index) != nullptr) continue;
    if (sectors == 0) return std::max(index * kSectorBytes, offset);
    --sectors;
  }
  return end;
}

void Content::FindData(uint64_t from, uint64_t end, uint64_t* begin, uint64_t* finish) const {
  *begin = *finish = end;
  if (from >= end) return;
  auto sector = sectors_.lower_bound(SectorOf(from));
  if (sector == sectors_.end() || sector->first * kSectorBytes >= end) return;
  *begin = std::max(sector->first * kSectorBytes, from);
  uint64_t next = sector->first;
  for (; sector != sectors_.end() && sector->first == next; ++sector) ++next;
  *finish = std::min(next * kSectorBytes, end);
}

void Content::Share(const Content& from, uint64_t from_offset, uint64_t offset, uint64_t length) {
  const uint64_t count = SectorsTo(length);
  const uint64_t first = SectorOf(from_offset);
  const uint64_t to = SectorOf(offset);
  // First all are found: the two may be one file. Of holes nothing is looked at.
  std::vector<std::pair<uint64_t, SectorPointer>> shared;
  for (auto it = from.sectors_.lower_bound(first);
       it != from.sectors_.end() && it->first < first + count; ++it) {
    shared.emplace_back(to + it->first - first, it->second);
  }
  std::vector<uint64_t> replaced;
  for (auto it = sectors_.lower_bound(to); it != sectors_.end() && it->first < to + count; ++it) {
    replaced.push_back(it->first);
  }
  for (const uint64_t index : replaced) Set(index, nullptr);
  for (auto& [index, sector] : shared) Set(index, std::move(sector));
  size_ = std::max(size_, offset + length);
}

void Content::Sync() {
  before_.clear();
  synced_size_ = size_;
}

void Content::FailSync(Random& random) {
  if (size_ != synced_size_ && random.Below(2) == 0) synced_size_ = size_;
  for (auto& [index, sector] : before_) {
    if (random.Below(2) == 0) lost_.emplace(index, std::move(sector));
  }
  before_.clear();
}

void Content::MakeDurable() {
  lost_.clear();
  Sync();
}

void Content::Tear(Random& random) {
  if (size_ != synced_size_ && random.Below(2) == 0) size_ = synced_size_;
  for (auto& [index, sector] : before_) {
    if (random.Below(2) == 0) Place(index, std::move(sector));
  }
  before_.clear();
  for (auto& [index, sector] : lost_) Place(index, std::move(sector));
  Cut();
  MakeDurable();
}

// Behind the end there are no bytes.
void Content::Cut() {
  const uint64_t size = size_;
  size_ = SectorsTo(size) * kSectorBytes;
  Resize(size);
}

}  // namespace ioring::sim

#include "ring_sim/disk.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ring/error.h"
#include "ring/options.h"

namespace ioring::sim {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

std::string Sentence(const std::string& path, std::string_view why) {
  return absl::StrCat("cannot open \"", absl::CHexEscape(path), "\": ", why);
}

absl::Status Check(const std::string& path, const FileOptions& options) {
  const auto refused = [&](std::string_view why) {
    return absl::InvalidArgumentError(Sentence(path, why));
  };
  if (path.empty()) return refused("the path is empty");
  if (path.find('\0') != std::string::npos) return refused("the path has a NUL in it");
  if (options.access == Access::kRead && options.create == Create::kTruncate) {
    return refused("a file opened for reading cannot be emptied; open it for writing too");
  }
  return absl::OkStatus();
}

}  // namespace

bool Disk::IsFolder(const std::string& path) const {
  if (path.back() == '/') return true;
  const std::string folder = absl::StrCat(path, "/");
  const auto after = files_.lower_bound(folder);
  return after != files_.end() && absl::StartsWith(after->first, folder);
}

absl::StatusOr<std::shared_ptr<DiskFile>> Disk::Open(const std::string& path,
                                                     const FileOptions& options) {
  if (absl::Status status = Check(path, options); !status.ok()) return status;
  if (IsFolder(path)) {
    return absl::InvalidArgumentError(Sentence(path, "it is a directory; choose a file"));
  }
  const auto found = files_.find(path);
  if (found == files_.end()) {
    if (options.create == Create::kNever) {
      return absl::NotFoundError(
          Sentence(path, "there is no such file; check the path, or open it for creating"));
    }
    auto file = std::make_shared<DiskFile>();
    file->number = ++last_number_;
    files_.emplace(path, file);
    return file;
  }
  if (options.create == Create::kNew) {
    return absl::AlreadyExistsError(
        Sentence(path, "the file exists already; remove it or choose another path"));
  }
  DiskFile& file = *found->second;
  if (options.create == Create::kTruncate && !file.bytes.empty()) {
    used_bytes_ -= file.bytes.size();
    file.bytes.clear();
    file.is_dirty = true;
  }
  return found->second;
}

Error Disk::Fault(const DiskFile& file, bool is_write) {
  const Faults& faults = engine_.faults();
  if (engine_.random().Chance(faults.disk_error)) {
    engine_.Log(Happened::kDiskError, file.number);
    return Error::kInputOutput;
  }
  if (is_write && engine_.random().Chance(faults.disk_full)) {
    engine_.Log(Happened::kDiskFull, file.number);
    return Error::kNoSpace;
  }
  return Error::kOk;
}

CallResult Disk::Read(DiskFile& file, uint64_t offset, std::byte* data, size_t bytes) {
  if (const Error error = Fault(file, /*is_write=*/false); error != Error::kOk) {
    return Failed(error);
  }
  if (offset >= file.bytes.size()) return 0;
  const size_t there = std::min<uint64_t>(bytes, file.bytes.size() - offset);
  const size_t count = engine_.Part(there, engine_.faults().short_file_transfer);
  std::memcpy(data, file.bytes.data() + offset, count);
  engine_.Log(Happened::kRead, file.number, count);
  return static_cast<CallResult>(count);
}

CallResult Disk::Write(DiskFile& file, uint64_t offset, const std::byte* data, size_t bytes) {
  if (const Error error = Fault(file, /*is_write=*/true); error != Error::kOk) {
    return Failed(error);
  }
  // As of a system's files: no offset is beyond what a signed number can say.
  if (offset > uint64_t{1} << 62) return Failed(Error::kFileTooLarge);
  const size_t count = engine_.Part(bytes, engine_.faults().short_file_transfer);
  const uint64_t end = offset + count;
  if (end > file.bytes.size()) {
    const uint64_t more = end - file.bytes.size();
    const uint64_t limit = engine_.options().disk_bytes;
    if (more > limit - std::min(used_bytes_, limit)) {
      engine_.Log(Happened::kDiskFull, file.number);
      return Failed(Error::kNoSpace);
    }
    used_bytes_ += more;
    file.bytes.resize(end);
  }
  std::memcpy(file.bytes.data() + offset, data, count);
  file.is_dirty = true;
  engine_.Log(Happened::kWritten, file.number, count);
  return static_cast<CallResult>(count);
}

CallResult Disk::Sync(DiskFile& file) {
  if (const Error error = Fault(file, /*is_write=*/false); error != Error::kOk) {
    return Failed(error);
  }
  if (file.is_dirty) file.synced = file.bytes;
  file.is_synced = true;
  file.is_dirty = false;
  engine_.Log(Happened::kSynced, file.number);
  return 0;
}

// The end of a file is a sector of its own, so that its length is one of the two.
void Disk::Tear(DiskFile& file) {
  std::string torn = file.synced;
  torn.resize(engine_.random().Below(2) == 0 ? file.synced.size() : file.bytes.size());
  for (size_t begin = 0; begin < torn.size(); begin += kSectorBytes) {
    const size_t end = std::min(begin + kSectorBytes, torn.size());
    const auto sector = [&](const std::string& of) {
      return std::string_view(of).substr(std::min(begin, of.size()), end - begin);
    };
    if (sector(file.synced) == sector(file.bytes) || engine_.random().Below(2) == 0) continue;
    const std::string_view written = sector(file.bytes);
    std::memcpy(torn.data() + begin, written.data(), written.size());
  }
  used_bytes_ += torn.size();
  used_bytes_ -= file.bytes.size();
  file.bytes = std::move(torn);
  file.synced = file.bytes;
  file.is_synced = true;
  file.is_dirty = false;
}

void Disk::LosePower() {
  for (auto it = files_.begin(); it != files_.end();) {
    DiskFile& file = *it->second;
    if (!file.is_synced && engine_.random().Below(2) == 0) {
      used_bytes_ -= file.bytes.size();
      it = files_.erase(it);
      continue;
    }
    // A copy, so that who has it open does not have it on the new disk.
    auto copy = std::make_shared<DiskFile>(file);
    if (file.is_dirty) Tear(*copy);
    it->second = std::move(copy);
    ++it;
  }
}

const DiskFile* Disk::Find(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : found->second.get();
}

}  // namespace ioring::sim

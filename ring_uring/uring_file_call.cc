#include "ring_uring/uring_file_call.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <variant>

#include "ring/file.h"
#include "ring/request.h"
#include "ring_core/posix/file_call.h"

namespace ioring::uring {
namespace {

int AllocateFlags(AllocateMode mode) {
  switch (mode) {
    case AllocateMode::kExtend:
      return 0;
    case AllocateMode::kKeepSize:
      return FALLOC_FL_KEEP_SIZE;
    case AllocateMode::kPunchHole:
      return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    case AllocateMode::kZero:
      return FALLOC_FL_ZERO_RANGE;
  }
  return 0;
}

int AdviceNumber(Advice advice) {
  switch (advice) {
    case Advice::kNormal:
      return POSIX_FADV_NORMAL;
    case Advice::kSequential:
      return POSIX_FADV_SEQUENTIAL;
    case Advice::kRandom:
      return POSIX_FADV_RANDOM;
    case Advice::kWillNeed:
      return POSIX_FADV_WILLNEED;
    case Advice::kDontNeed:
      return POSIX_FADV_DONTNEED;
  }
  return POSIX_FADV_NORMAL;
}

unsigned RenameFlags(RenameMode mode) {
  switch (mode) {
    case RenameMode::kReplace:
      return 0;
    case RenameMode::kNoReplace:
      return RENAME_NOREPLACE;
    case RenameMode::kExchange:
      return RENAME_EXCHANGE;
  }
  return 0;
}

struct statx* SystemPartOf(FileInfo& info) {
  return reinterpret_cast<struct statx*>(&info.system);
}

// One arm for each call.
class Filler {
 public:
  Filler(const posix::CallDescriptors& files, char (&source)[kSourcePathSize], io_uring_sqe* entry)
      : first_(files.first), second_(files.second), source_(source), entry_(entry) {}

  bool operator()(const request::Sync& call) const {
    const bool data_only = call.mode == SyncMode::kData;
    io_uring_prep_fsync(entry_, first_, data_only ? unsigned{IORING_FSYNC_DATASYNC} : 0u);
    return true;
  }
  bool operator()(const request::Stat& call) const {
    const int flags = call.follow == FollowLink::kNo ? AT_SYMLINK_NOFOLLOW : 0;
    io_uring_prep_statx(entry_, first_, call.path.path, flags, posix::StatxMask(),
                        SystemPartOf(*call.info));
    return true;
  }
  bool operator()(const request::StatFile& call) const {
    io_uring_prep_statx(entry_, first_, "", AT_EMPTY_PATH, posix::StatxMask(),
                        SystemPartOf(*call.info));
    return true;
  }
  bool operator()(const request::Truncate& call) const {
    io_uring_prep_ftruncate(entry_, first_, static_cast<loff_t>(call.size));
    return true;
  }
  bool operator()(const request::Allocate& call) const {
    io_uring_prep_fallocate(entry_, first_, AllocateFlags(call.mode), call.offset, call.length);
    return true;
  }
  // Before Linux 6.10 the entry has 32 bits for the length.
  bool operator()(const request::Advise& call) const {
    if (call.length > std::numeric_limits<uint32_t>::max()) return false;
    io_uring_prep_fadvise(entry_, first_, call.offset, static_cast<uint32_t>(call.length),
                          AdviceNumber(call.advice));
    return true;
  }
  bool operator()(const request::Rename& call) const {
    io_uring_prep_renameat(entry_, first_, call.from.path, second_, call.to.path,
                           RenameFlags(call.mode));
    return true;
  }
  bool operator()(const request::Link& call) const {
    io_uring_prep_linkat(entry_, first_, call.existing.path, second_, call.name.path, 0);
    return true;
  }
  bool operator()(const request::LinkFile& call) const {
    snprintf(source_, kSourcePathSize, "/proc/self/fd/%d", first_);
    io_uring_prep_linkat(entry_, AT_FDCWD, source_, second_, call.name.path, AT_SYMLINK_FOLLOW);
    return true;
  }
  bool operator()(const request::Symlink& call) const {
    io_uring_prep_symlinkat(entry_, call.target, first_, call.name.path);
    return true;
  }
  bool operator()(const request::ReadLink& /*call*/) const { return false; }
  bool operator()(const request::Unlink& call) const {
    io_uring_prep_unlinkat(entry_, first_, call.path.path, 0);
    return true;
  }
  bool operator()(const request::UnlinkDirectory& call) const {
    io_uring_prep_unlinkat(entry_, first_, call.path.path, AT_REMOVEDIR);
    return true;
  }
  bool operator()(const request::MakeDirectory& call) const {
    io_uring_prep_mkdirat(entry_, first_, call.path.path, call.permissions);
    return true;
  }
  bool operator()(const request::CopyRange& /*call*/) const { return false; }

 private:
  const int first_;
  const int second_;
  char* const source_;
  io_uring_sqe* const entry_;
};

}  // namespace

bool FillFileCall(const request::FileCall& call, const posix::CallDescriptors& files,
                  char (&source)[kSourcePathSize], io_uring_sqe* entry) {
  return std::visit(Filler(files, source, entry), call);
}

FileInfo* InfoOf(const request::FileCall& call) {
  if (const auto* stat = std::get_if<request::Stat>(&call)) return stat->info;
  if (const auto* stat = std::get_if<request::StatFile>(&call)) return stat->info;
  return nullptr;
}

}  // namespace ioring::uring

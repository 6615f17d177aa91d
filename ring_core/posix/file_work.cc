#include "ring_core/posix/file_work.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/sysmacros.h>
#endif
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <variant>

#include "absl/strings/str_format.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/posix/file_call.h"

namespace ioring::posix {
namespace {

static_assert(sizeof(MemoryPart) == sizeof(iovec) &&
              offsetof(MemoryPart, data) == offsetof(iovec, iov_base) &&
              offsetof(MemoryPart, size) == offsetof(iovec, iov_len));

FileTransferWork& TransferOf(WorkItem& item) { return static_cast<FileTransferWork&>(item); }

ssize_t TransferMemory(const FileTransferWork& work, std::byte* data, size_t length) {
  if (work.offset == kOwnPosition) {
    return work.is_write ? write(work.descriptor, data, length)
                         : read(work.descriptor, data, length);
  }
  const auto offset = static_cast<off_t>(work.offset);
  return work.is_write ? pwrite(work.descriptor, data, length, offset)
                       : pread(work.descriptor, data, length, offset);
}

ssize_t TransferParts(const FileTransferWork& work, const iovec* parts, int count) {
  if (work.offset == kOwnPosition) {
    return work.is_write ? writev(work.descriptor, parts, count)
                         : readv(work.descriptor, parts, count);
  }
  const auto offset = static_cast<off_t>(work.offset);
  return work.is_write ? pwritev(work.descriptor, parts, count, offset)
                       : preadv(work.descriptor, parts, count, offset);
}

// Parts of more bytes than one call takes are transferred in part.
ssize_t Try(const FileTransferWork& work) {
  if (work.parts == nullptr) return TransferMemory(work, work.data, work.length);
  size_t bytes = 0;
  uint32_t count = 0;
  while (count < work.length && work.parts[count].size <= kTransferBytesMax - bytes) {
    bytes += work.parts[count++].size;
  }
  if (bytes == 0 && count < work.length) {
    return TransferMemory(work, work.parts[count].data, kTransferBytesMax);
  }
  return TransferParts(work, reinterpret_cast<const iovec*>(work.parts), static_cast<int>(count));
}

int32_t ResultOf(ssize_t result) { return result < 0 ? -errno : static_cast<int32_t>(result); }

void RunTransfer(WorkItem& item) {
  FileTransferWork& work = TransferOf(item);
  ssize_t result;
  do {
    result = Try(work);
  } while (result < 0 && errno == EINTR);
  work.result = ResultOf(result);
}

// The first memory that has bytes.
iovec FirstMemory(const FileTransferWork& work) {
  if (work.parts == nullptr) return {work.data, work.length};
  const MemoryPart* part = work.parts;
  while (part->size == 0) ++part;
  return {part->data, std::min(part->size, kTransferBytesMax)};
}

// The call, where it can say by itself that it is not to block. -1 and EOPNOTSUPP elsewhere.
ssize_t TryNow([[maybe_unused]] const FileTransferWork& work,
               [[maybe_unused]] const iovec& memory) {
#if defined(__linux__) && defined(RWF_NOWAIT)
  return work.is_write ? pwritev2(work.descriptor, &memory, 1, -1, RWF_NOWAIT)
                       : preadv2(work.descriptor, &memory, 1, -1, RWF_NOWAIT);
#else
  errno = EOPNOTSUPP;
  return -1;
#endif
}

// Whether nobody was faster since the descriptor became ready. Not, if poll(2) cannot tell for want
// of memory: a transfer that is tried then could block.
bool IsReady(const FileTransferWork& work) {
  pollfd now{work.wait_descriptor, work.wait_events, 0};
  int result;
  do {
    result = poll(&now, 1, 0);
  } while (result < 0 && errno == EINTR);
  return result > 0;
}

ssize_t Transfer(int descriptor, bool is_write, const iovec& memory) {
  return is_write ? write(descriptor, memory.iov_base, memory.iov_len)
                  : read(descriptor, memory.iov_base, memory.iov_len);
}

// Opens a pipe or terminal once more, so that its calls do not block: the mode of the work's own
// descriptor belongs to all who share it. -1 where that cannot be.
int OpenNonBlocking(const FileTransferWork& work, bool is_terminal) {
  const int flags = (work.is_write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
#if defined(__linux__)
  struct stat status;
  // An open of this device makes another terminal (pts(4)).
  constexpr unsigned kMajor = 5;
  constexpr unsigned kMinor = 2;
  if (is_terminal &&
      (fstat(work.descriptor, &status) != 0 || status.st_rdev == makedev(kMajor, kMinor))) {
    return -1;
  }
  char path[32];
  absl::SNPrintF(path, sizeof(path), "/proc/self/fd/%d", work.descriptor);
  return open(path, flags);
#else
  char path[128];
  if (!is_terminal || ttyname_r(work.descriptor, path, sizeof(path)) != 0) return -1;
  return open(path, flags);
#endif
}

// A terminal that has room takes one byte without waiting, whatever its settings make of it; of
// more nobody knows. So each byte is asked for.
ssize_t WriteToTerminal(const FileTransferWork& work, const iovec& memory) {
  const size_t most = std::min<size_t>(memory.iov_len, PIPE_BUF);
  const auto* bytes = static_cast<const std::byte*>(memory.iov_base);
  ssize_t done = 0;
  while (static_cast<size_t>(done) < most && IsReady(work)) {
    const ssize_t result = write(work.descriptor, bytes + done, 1);
    if (result <= 0) return done != 0 ? done : result;
    ++done;
  }
  if (done == 0) errno = EAGAIN;
  return done != 0 ? done : -1;
}

// The transfer of a descriptor whose calls cannot say by themselves that they are not to block.
// poll(2) said that something can be transferred, unless somebody else was faster.
ssize_t TryWhenReady(FileTransferWork& work, iovec memory) {
  struct stat status;
  const bool is_terminal = isatty(work.descriptor) != 0;
  const bool is_pipe = fstat(work.descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
  const int own = is_terminal || is_pipe ? OpenNonBlocking(work, is_terminal) : -1;
  if (own >= 0) {
    const ssize_t result = Transfer(own, work.is_write, memory);
    const int code = errno;
    close(own);
    errno = code;
    return result;
  }
  if (work.is_write && is_terminal) return WriteToTerminal(work, memory);
  // Of a pipe that has room, at least PIPE_BUF bytes can be written (pipe(7)); a longer write could
  // block.
  if (work.is_write) memory.iov_len = std::min<size_t>(memory.iov_len, PIPE_BUF);
  if (!IsReady(work)) {
    errno = EAGAIN;
    return -1;
  }
  return Transfer(work.descriptor, work.is_write, memory);
}

void RunReadyTransfer(WorkItem& item) {
  FileTransferWork& work = TransferOf(item);
  const iovec memory = FirstMemory(work);
  ssize_t result;
  do {
    result = TryNow(work, memory);
    if (result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
      result = TryWhenReady(work, memory);
    }
  } while (result < 0 && errno == EINTR);
  work.wait_again = result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  work.result = ResultOf(result);
}

FileTransferWork NewTransfer(int descriptor, uint64_t offset, bool is_write) {
  FileTransferWork work{};
  work.run = &RunTransfer;
  work.descriptor = descriptor;
  work.offset = offset;
  work.is_write = is_write;
  return work;
}

// A close that was interrupted closed all the same on Linux and macOS; again, it could hit a
// descriptor that somebody else has opened in between.
int32_t RunClose(int descriptor) {
  const int32_t result = ResultOf(close(descriptor));
  return result == -EINTR ? 0 : result;
}

void RunWork(WorkItem& item) {
  auto& work = static_cast<FileWork&>(item);
  work.result = std::visit(
      [&](const auto& call) -> int32_t {
        using Call = std::decay_t<decltype(call)>;
        if constexpr (std::is_same_v<Call, request::Open>) {
          return RunOpen(call, work.descriptors.first);
        } else if constexpr (std::is_same_v<Call, request::Work>) {
          return call.function(call.argument);
        } else if constexpr (std::is_same_v<Call, request::CloseFile>) {
          return RunClose(work.descriptors.first);
        } else {
          return RunFileCall(call, work.descriptors);
        }
      },
      work.call);
}

}  // namespace

FileTransferWork MakeTransfer(int descriptor, const request::FileTransfer& transfer) {
  FileTransferWork work = NewTransfer(descriptor, transfer.offset, transfer.is_write);
  work.data = transfer.memory.data();
  work.length = static_cast<uint32_t>(transfer.memory.size());
  return work;
}

FileTransferWork MakeTransfer(int descriptor, const request::FileParts& transfer) {
  FileTransferWork work = NewTransfer(descriptor, transfer.offset, transfer.is_write);
  work.parts = transfer.parts.data();
  work.length = static_cast<uint32_t>(transfer.parts.size());
  return work;
}

void WaitFirst(FileTransferWork& work) {
  work.run = &RunReadyTransfer;
  work.wait_descriptor = work.descriptor;
  work.wait_events = work.is_write ? POLLOUT : POLLIN;
}

bool MayWait(int descriptor) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return false;
  return !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISBLK(status.st_mode);
}

FileWork* FileWorkPool::Take() {
  FileWork* work;
  if (free_ != nullptr) {
    work = static_cast<FileWork*>(free_);
    free_ = free_->next;
    *work = FileWork();
  } else {
    work = all_.emplace_back(std::make_unique<FileWork>()).get();
  }
  work->run = &RunWork;
  return work;
}

void FileWorkPool::Give(FileWork* work) {
  work->next = free_;
  free_ = work;
}

}  // namespace ioring::posix

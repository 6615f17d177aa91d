// The kqueue fake's filters on descriptors: what EVFILT_READ and EVFILT_WRITE say of one now.
//
// Free functions without state: any thread, async-signal-safe. Each makes a few system calls.
// Source: FreeBSD's kqueue(2); for what Linux says, poll(2), tcp(7), unix(7), pipe(7).
#ifndef IORING_RING_KQUEUE_TESTING_DESCRIPTOR_FILTERS_H_
#define IORING_RING_KQUEUE_TESTING_DESCRIPTOR_FILTERS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace ioring::kqueue_fake {

enum class FileKind : uint8_t { kTcp, kStream, kDatagram, kPipe, kRegular, kOther };

// Which file a descriptor stands for, so that closing it can be noticed.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  FileKind kind = FileKind::kOther;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// nullopt: it is not open.
std::optional<FileIdentity> IdentifyFile(int descriptor);

// errno's value where this system has no such filter for the file, else 0.
int CheckFilter(int filter, int descriptor, FileKind kind);

struct FilterState {
  bool active = false;  // to be reported
  bool eof = false;     // EV_EOF
  int error = 0;        // fflags of an EV_EOF
  int64_t data = 0;     // bytes to be read, room to write, connections to accept
};

// `low_water_mark`: NOTE_LOWAT's, else the socket's own holds.
FilterState RunReadFilter(int descriptor, FileKind kind, std::optional<int64_t> low_water_mark);
FilterState RunWriteFilter(int descriptor, FileKind kind, std::optional<int64_t> low_water_mark);

}  // namespace ioring::kqueue_fake

#endif  // IORING_RING_KQUEUE_TESTING_DESCRIPTOR_FILTERS_H_

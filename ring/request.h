// Request: the value of one operation that a caller prepares, as a backend takes it.
//
// This header is for authors of backends. Callers use Ring's Prepare functions, which make these
// values and check them first: a backend sees no unknown poll event, no negative delay, no null
// pointer, no empty path, and no empty span of a read, write or RecvFrom. Ids may be stale.
//
// A further operation costs one type here, its place in `Request`, and in each backend one
// overload of Begin, without which the backend does not compile. Receives, sends and managed
// receives are not among these: they have functions of their own in RingBackend, whose arguments
// fit into registers.
//
// Lifetime: an Endpoint that is pointed to is read before Start returns, unless it says otherwise.
#ifndef IORING_RING_REQUEST_H_
#define IORING_RING_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "ring/endpoint.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {

// The manner of a transfer. It has eight bytes, so that it fits into one register.
class TransferTraits {
 public:
  // `in_kernel`: the system has the memory registered. `unit`: the registered memory, see
  // BufferTable; kNoUnit where it is not.
  explicit constexpr TransferTraits(TransferFlags flags = TransferFlags::kNone,
                                    bool in_kernel = false, uint32_t unit = 0)
      : bits_(uint64_t{unit} << 32 | uint64_t{in_kernel} << 8 | static_cast<uint8_t>(flags)) {}

  constexpr TransferFlags flags() const { return TransferFlags{static_cast<uint8_t>(bits_)}; }
  constexpr bool in_kernel() const { return (bits_ & 0x100) != 0; }
  constexpr uint32_t unit() const { return static_cast<uint32_t>(bits_ >> 32); }

 private:
  // One number, and taken apart where a part is used: a struct would be taken apart at once, and
  // need as many registers.
  uint64_t bits_;
};
static_assert(sizeof(TransferTraits) == 8);

namespace request {

// Completes with `result`. Ring uses it with an error for a request whose values are wrong.
struct Nop {
  int32_t result = 0;
};
struct Accept {
  ListenerId listener;
  Shots shots;
};
struct Connect {
  const Endpoint* endpoint;
};
struct RecvFrom {
  ConnectionId socket;
  std::span<std::byte> memory;
  Endpoint* source;  // written before the completion
};
struct SendTo {
  ConnectionId socket;
  std::span<const std::byte> memory;
  const Endpoint* destination;
};
struct Shutdown {
  ConnectionId connection;
  Direction direction;
};
struct Close {
  ConnectionId connection;
  CloseMode mode;
};
struct Poll {
  ConnectionId connection;
  PollEvents events;
  Shots shots;
};
struct Timer {
  int64_t delay_ns;  // from the submit on; also the period
  Shots shots;
};
struct TimerAt {
  int64_t due_ns;  // on the steady clock
};
// The operation that a deadline or a cancel applies to.
struct Target {
  enum class Kind : uint8_t {
    kToken,      // one that has `token`
    kPoll,       // a poll that has `token`
    kDirection,  // the receive or the send of `connection`; a cancel may say both
  };
  Kind kind;
  Direction direction;
  Token token;
  ConnectionId connection;
};
struct Deadline {
  Target target;
  int64_t delay_ns;  // from the submit on
};
struct Cancel {
  Target target;
};
struct CancelAll {};
struct FileTransfer {
  FileId file;
  uint64_t offset;              // or kOwnPosition
  std::span<std::byte> memory;  // at most kTransferBytesMax; a write only reads it
  // Where they name a unit, the backend adds a use of it for as long as the operation is in flight.
  TransferTraits traits;
  bool is_write;
};
struct FileParts {
  FileId file;
  uint64_t offset;
  std::span<const MemoryPart> parts;  // 1 to kMemoryPartsMax, which have a byte; a write only reads
  bool is_write;
};
struct ReadManaged {
  FileId file;
  uint64_t offset;
  BufferGroupId group;
};
struct Open {
  PathAt path;
  FileOptions options;
};
struct CloseFile {
  FileId file;
};
struct Work {
  WorkFunction* function;
  void* argument;
};
struct SendFile {
  FileId file;
  uint64_t offset;
  ConnectionId connection;
  uint32_t length;  // 1 to kTransferBytesMax
};

// ---- The calls of a file system: each uses up to two files, and completes with 0 or a count. They
// are one alternative of Request, because an engine does the same with all: it finds the files,
// keeps the call, and has it made. A further one costs a type here, and an arm where a system makes
// it (ring_core/posix/file_call.h, ring_uring/uring_file_call.cc, ring_rio/file_call.cc,
// ring_sim/disk_call.cc).

struct Sync {
  FileId file;
  SyncMode mode;
};
struct Stat {
  PathAt path;
  FollowLink follow;
  FileInfo* info;
};
struct StatFile {
  FileId file;
  FileInfo* info;
};
struct Truncate {
  FileId file;
  uint64_t size;
};
struct Allocate {
  FileId file;
  AllocateMode mode;
  uint64_t offset;
  uint64_t length;
};
struct Advise {
  FileId file;
  Advice advice;
  uint64_t offset;
  uint64_t length;
};
struct Rename {
  PathAt from;
  PathAt to;
  RenameMode mode;
};
struct Link {
  PathAt existing;
  PathAt name;
};
struct LinkFile {
  FileId file;
  PathAt name;
};
struct Symlink {
  const char* target;
  PathAt name;
};
struct ReadLink {
  PathAt path;
  std::span<char> target;
};
struct Unlink {
  PathAt path;
};
struct UnlinkDirectory {
  PathAt path;
};
struct MakeDirectory {
  PathAt path;
  uint32_t permissions;
};
struct CopyRange {
  FileId from;
  uint64_t from_offset;
  FileId to;
  uint64_t to_offset;
  uint64_t length;
  CopyMode mode;
};

using FileCall =
    std::variant<Sync, Stat, StatFile, Truncate, Allocate, Advise, Rename, Link, LinkFile, Symlink,
                 ReadLink, Unlink, UnlinkDirectory, MakeDirectory, CopyRange>;

// The files that a call uses, where they are set.
struct FilesOfCall {
  FileId first;   // the file, or the directory of the first path
  FileId second;  // the other file, or the directory of the other path
  // It is a file, which must be set. A directory need not be.
  bool first_is_file = false;
  bool second_is_file = false;
};
inline FilesOfCall FilesOf(const Sync& call) { return {call.file, {}, true}; }
inline FilesOfCall FilesOf(const Stat& call) { return {call.path.directory, {}}; }
inline FilesOfCall FilesOf(const StatFile& call) { return {call.file, {}, true}; }
inline FilesOfCall FilesOf(const Truncate& call) { return {call.file, {}, true}; }
inline FilesOfCall FilesOf(const Allocate& call) { return {call.file, {}, true}; }
inline FilesOfCall FilesOf(const Advise& call) { return {call.file, {}, true}; }
inline FilesOfCall FilesOf(const Rename& call) { return {call.from.directory, call.to.directory}; }
inline FilesOfCall FilesOf(const Link& call) {
  return {call.existing.directory, call.name.directory};
}
inline FilesOfCall FilesOf(const LinkFile& call) { return {call.file, call.name.directory, true}; }
inline FilesOfCall FilesOf(const Symlink& call) { return {call.name.directory, {}}; }
inline FilesOfCall FilesOf(const ReadLink& call) { return {call.path.directory, {}}; }
inline FilesOfCall FilesOf(const Unlink& call) { return {call.path.directory, {}}; }
inline FilesOfCall FilesOf(const UnlinkDirectory& call) { return {call.path.directory, {}}; }
inline FilesOfCall FilesOf(const MakeDirectory& call) { return {call.path.directory, {}}; }
inline FilesOfCall FilesOf(const CopyRange& call) { return {call.from, call.to, true, true}; }
inline FilesOfCall FilesOf(const FileCall& call) {
  return std::visit([](const auto& one) { return FilesOf(one); }, call);
}

}  // namespace request

using Request =
    std::variant<request::Nop, request::Accept, request::Connect, request::RecvFrom,
                 request::SendTo, request::Shutdown, request::Close, request::Poll, request::Timer,
                 request::TimerAt, request::Deadline, request::Cancel, request::CancelAll,
                 request::FileTransfer, request::FileParts, request::ReadManaged, request::Open,
                 request::CloseFile, request::Work, request::SendFile, request::FileCall>;

// One cache line, which each Prepare but those of a connection's receives and sends fills. With
// libc++, whose variants have an index of four bytes, FileCall's makes it eight bytes more.
static_assert(sizeof(Request) <= 72);

// As std::visit, but by a switch, so that the arms can be inlined.
template <typename Function>
auto VisitRequest(const Request& request, Function function) {
  static_assert(std::variant_size_v<Request> == 21, "each alternative has an arm below");
  switch (request.index()) {
    case 0:
      return function(*std::get_if<0>(&request));
    case 1:
      return function(*std::get_if<1>(&request));
    case 2:
      return function(*std::get_if<2>(&request));
    case 3:
      return function(*std::get_if<3>(&request));
    case 4:
      return function(*std::get_if<4>(&request));
    case 5:
      return function(*std::get_if<5>(&request));
    case 6:
      return function(*std::get_if<6>(&request));
    case 7:
      return function(*std::get_if<7>(&request));
    case 8:
      return function(*std::get_if<8>(&request));
    case 9:
      return function(*std::get_if<9>(&request));
    case 10:
      return function(*std::get_if<10>(&request));
    case 11:
      return function(*std::get_if<11>(&request));
    case 12:
      return function(*std::get_if<12>(&request));
    case 13:
      return function(*std::get_if<13>(&request));
    case 14:
      return function(*std::get_if<14>(&request));
    case 15:
      return function(*std::get_if<15>(&request));
    case 16:
      return function(*std::get_if<16>(&request));
    case 17:
      return function(*std::get_if<17>(&request));
    case 18:
      return function(*std::get_if<18>(&request));
    case 19:
      return function(*std::get_if<19>(&request));
    default:
      return function(*std::get_if<20>(&request));
  }
}

// The argument of RingBackend::AddSocket: an open descriptor, or a datagram socket
// that is to be opened and bound to `local`.
struct SocketSource {
  NativeHandle handle = kNoNativeHandle;
  const Endpoint* local = nullptr;
};

// The argument of RingBackend::AddFile: an open descriptor, or a path that is to be opened.
struct FileSource {
  NativeHandle handle = kNoNativeHandle;
  const char* path = nullptr;
  FileOptions options;
};

// What RingBackend::FindFile does with a file besides finding it.
enum class FileUse : uint8_t {
  kLook,   // nothing
  kClose,  // closes it; FailedPrecondition while operations use it
};

// Selects an address: a listener's, or one of the two of a connection.
struct AddressOf {
  ListenerId listener;
  ConnectionId connection;
  bool peer = false;
};

// The work of one Enter.
enum class EnterMode : uint8_t {
  kSubmit,         // hand over what is prepared; take what has completed; do not sleep
  kSubmitAndWait,  // the same, and wait
  kWait,           // wait without handing over
  kLook,           // take what has completed, without a system call if that is possible
};

}  // namespace ioring

#endif  // IORING_RING_REQUEST_H_

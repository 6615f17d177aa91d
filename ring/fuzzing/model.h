// Model: what a program did with a ring, and whether the ring answers as ring/ring.h says.
//
// Holds everything that the program's operations use. A breach of the contract is kept as the
// failure, the first one counts. Whoever runs a program stops then.
#ifndef IORING_RING_FUZZING_MODEL_H_
#define IORING_RING_FUZZING_MODEL_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ring/completion.h"
#include "ring/conformance/ledger.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/fuzzing/content.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::fuzzing {

inline constexpr int kNone = -1;

enum class Kind : uint8_t {
  kAccept,
  kConnect,
  kRecv,
  kManaged,
  kRecvFrom,
  kSend,
  kSendTo,
  kSendFile,
  kShutdown,
  kClose,
  kPoll,
  kPollRemove,
  kTimeout,
  kDeadline,
  kCancel,
  kCancelConnection,
  kCancelAll,
  kRead,
  kWrite,
  kSync,
  kReadManaged,
  kTruncate,
  kStatFile,
  kAllocate,
  kAdvise,
  kCopyRange,
  kReflink,
  kOpen,
  kCloseFile,
  kStat,
  kMakeFolder,
  kRemoveFolder,
  kUnlink,
  kRename,
  kLink,
  kSymlink,
  kReadLink,
  kPipeRead,
  kPipeWrite,
  kWork,
  kNop,
};
std::string_view KindName(Kind kind);
// Whether it is about names of files: these change what others of the same names find.
bool IsAboutNames(Kind kind);
// Whether it uses the one file that is read and written.
bool IsOnFile(Kind kind);
// Whether it writes to its memory.
bool FillsMemory(Kind kind);
// Whether it takes the connection's receive (kRecv) or send (kSend), or one of them (kBoth).
bool IsTransfer(Kind kind, Direction direction);

// An operation that was accepted and has had no final completion yet.
struct Operation {
  Kind kind = Kind::kNop;
  bool many = false;
  bool all = false;
  // Indices of what it works on.
  int connection = kNone;
  int listener = kNone;
  int group = kNone;
  int buffer = kNone;
  int message = kNone;
  // Names, and one of the files that operations opened.
  int name = kNone;
  int new_name = kNone;
  int opened = kNone;
  int pipe = kNone;
  size_t end = 0;  // of the pipe
  std::optional<BufferSlice> slice;
  // Others read the slice's memory too, so that it stays as it is.
  bool shares_slice = false;
  // Errors that have a cause: the id is stale, the argument is wrong, an operation of that
  // direction or a deadline of that operation was there already, something cancels it.
  bool bad_id = false;
  bool bad_argument = false;
  bool too_large = false;
  bool perhaps_busy = false;
  bool perhaps_canceled = false;
  // Deadlines: what they meet may be past stopping, or is nothing that stops.
  bool perhaps_not_found = false;
  // It was asked to stop, with success.
  bool must_end = false;
  // A send whose bytes are out, and whose memory is still in use.
  bool sent = false;
  // Transfers. `start`: a send's place in its stream, or a place in the file.
  std::span<std::byte> memory;
  uint64_t start = 0;
  std::unique_ptr<std::byte[]> own_memory;
  bool in_parts = false;
  std::vector<MemoryPart> parts;
  // Of the file: the position, which it moves, is its place. Ranges, and where a copy goes.
  bool at_position = false;
  uint64_t length = 0;
  uint64_t to = 0;
  AllocateMode allocate = AllocateMode::kExtend;
  std::unique_ptr<FileInfo> info;
  FileOptions options;
  RenameMode rename = RenameMode::kReplace;
  FollowLink follow = FollowLink::kNo;
  // Another operation had one of its names at the same time; another had any name.
  bool raced = false;
  bool alone = true;
  std::unique_ptr<Endpoint> source;
  // Connects: where nobody listens any more, or never did.
  bool refused = false;
  Direction direction = Direction::kBoth;
  CloseMode mode = CloseMode::kGraceful;
  PollEvents events = kPollNone;
  std::chrono::steady_clock::time_point prepared;
  std::chrono::nanoseconds delay{0};
  // Multishot operations: when the last completion was seen.
  std::chrono::steady_clock::time_point heard;
  // Cancels and deadlines: what they meet, by token. A deadline meets one of these.
  std::vector<uint64_t> targets;
};

// A socket. Kept after its end, for what it says of its peer.
struct Connection {
  enum class Sort : uint8_t { kStream, kDatagram };
  enum class State : uint8_t { kOpen, kClosing, kClosed };

  ConnectionId id;
  Sort sort = Sort::kStream;
  State state = State::kOpen;
  CloseMode mode = CloseMode::kGraceful;
  // The other end; kNone while it is not known.
  int peer = kNone;
  int listener = kNone;
  // By the program.
  bool recv_shut = false;
  bool send_shut = false;
  bool send_shut_done = false;
  // The number of what it sends.
  uint64_t stream = 0;
  uint64_t sent = 0;
  uint64_t received = 0;
  // Two sends may have been under way at once, so that the order of their bytes is not known.
  bool order_unknown = false;
  // The first bytes of what it receives, until they name the peer.
  std::array<std::byte, kNameBytes> name{};
  // The end of the stream or an error came.
  bool ended = false;
  // An operation on it was told of a reset. A system tells of it once: a receive then sees an end.
  bool reset_told = false;
  // Datagrams: its address (kNone for one of a pair), and what came.
  Endpoint local;
  uint64_t messages_sent = 0;
  uint64_t messages_taken = 0;
};

struct Listener {
  ListenerId id;
  Endpoint endpoint;
  bool open = true;
};

struct Group {
  BufferGroupId id;
  ExhaustionPolicy policy = ExhaustionPolicy::kWait;
  uint32_t buffer_bytes = 0;
  uint32_t buffers = 0;
  uint32_t buffers_max = 0;
  bool registered = true;
  std::deque<std::unique_ptr<std::byte[]>> memory;
};

struct Buffer {
  BufferId id;
  uint32_t unit_bytes = 0;
  bool registered = true;
  std::unique_ptr<std::byte[]> memory;
  uint32_t bytes = 0;
};

struct Message {
  int from = kNone;
  int to = kNone;
  size_t bytes = 0;
  bool failed = false;
  bool received = false;
};

// The file, and what it holds.
struct File {
  FileId id;
  bool open = false;
  std::string path;
  std::vector<std::byte> bytes;
  uint64_t position = 0;
};

// A pipe. The end that reads is the first.
struct Pipe {
  struct End {
    FileId id;
    // Until its close was prepared, and until that completed.
    bool open = true;
    bool closed = false;
  };
  std::array<End, 2> ends;
  // The number of what is written to it.
  uint64_t stream = 0;
  uint64_t written = 0;
  uint64_t read = 0;
};

// What has a name.
struct Named {
  // All symbolic links lead nowhere, by way of a directory that does not exist.
  enum class State : uint8_t { kMissing, kFile, kFolder, kLink, kUnknown };
  State state = State::kMissing;
  // Two names are of one file if this is the same; 0: not known.
  uint64_t number = 0;
  // Of a link; empty: not known.
  std::string target;
};

// A name that operations make, change and remove.
struct Name {
  std::string path;
  Named has;
};

// A file that an operation opened. Kept after its close, for its stale id.
struct OpenedFile {
  FileId id;
  bool open = true;
  bool is_folder = false;
};

class Model {
 public:
  static constexpr uint64_t kFirstToken = 1000;

  Model(std::unique_ptr<Ring> ring, const RingOptions& options, bool trace);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model();

  LedgerRing& ring() { return ring_; }
  const RingOptions& options() const { return options_; }
  const std::string& failure() const { return failure_; }
  bool failed() const { return !failure_.empty(); }
  const std::vector<std::string>& log() const { return log_; }

  // One thing that happened, for whoever reads a failure.
  void Log(std::string text);
  void Fail(const std::string& what);

  // ---- Operations.

  using Operations = std::map<uint64_t, Operation>;
  const Operations& operations() const { return operations_; }
  Token NextToken() const { return Token{kFirstToken + made_}; }
  uint64_t tokens_made() const { return made_; }
  // The operation with NextToken() was accepted.
  Operation& Accepted(Operation operation);
  // What stops whom: called when the cancel has been accepted.
  void MarkCanceled(Operation& cancel, uint64_t target);
  template <typename Predicate>
  void MarkCanceledIf(Operation& cancel, Predicate predicate) {
    for (auto& [token, operation] : operations_) {
      if (&operation != &cancel && predicate(operation)) MarkCanceled(cancel, token);
    }
  }
  // The same of a deadline, and of the operations one of which it is on.
  void MarkDeadline(Operation& deadline, const std::vector<uint64_t>& targets);
  // How many of that direction the connection has.
  bool HasTransfer(int connection, Direction direction) const;
  bool HasOperations(int connection) const;

  // Takes at most `count` completions that are ready, and checks them.
  void Take(size_t count);
  void TakeAll() { Take(~size_t{0}); }
  // What holds between any two steps.
  void CheckFigures();

  // The operation with these names was accepted: it and others of them race.
  void MarkRaces(Operation& operation);
  // Whether the pipe has an operation of that kind.
  bool HasPipeTransfer(int pipe, Kind kind) const;
  // Files that may be open: those that are being opened and closed, too.
  size_t FilesPerhapsOpen() const;

  // Managed buffers that are held, oldest first.
  size_t held() const { return held_.size(); }
  void ReturnBuffer(size_t which);
  void HoldBuffers(bool hold) { hold_buffers_ = hold; }

  // ---- Things.

  int AddConnection(ConnectionId id, Connection::Sort sort);
  // Empty where nothing has to happen without anybody's doing; else what has to.
  std::string Expected() const;

  std::deque<Connection> connections;
  std::vector<ConnectionId> stale_connections;
  std::vector<Listener> listeners;
  std::deque<Group> groups;
  std::deque<Buffer> buffers;
  std::vector<Message> messages;
  File file;
  std::vector<Name> names;
  // What stats have told of a Named::number: the numbers of the device and of the file.
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> file_numbers;
  std::vector<OpenedFile> opened;
  std::vector<Pipe> pipes;

 private:
  void Complete(const Completion& completion);
  void CompleteFailed(const Operation& operation, const Completion& completion);
  void CompleteWell(Operation& operation, const Completion& completion);
  void CompleteTransfer(Operation& operation, const Completion& completion);
  void CompleteRecv(Operation& operation, const Completion& completion);
  void CompleteSend(Operation& operation, const Completion& completion);
  void CompleteStreamEnd(const Operation& operation);
  void CompleteDatagram(const Operation& operation, const Completion& completion,
                        std::span<const std::byte> bytes);
  void CompleteFile(const Operation& operation, const Completion& completion);
  void CompleteFileRead(const Operation& operation, const Completion& completion);
  void CompleteFileWrite(const Operation& operation, const Completion& completion);
  void CompleteAllocate(const Operation& operation);
  void CompleteCopy(const Operation& operation, const Completion& completion);
  void WriteFile(uint64_t place, std::span<const std::byte> bytes);
  // How many of `most` bytes the file holds from `place` on.
  uint64_t CountInFile(uint64_t place, uint64_t most) const;
  void CompletePipeRead(const Operation& operation, const Completion& completion);
  void CompletePipeWrite(const Operation& operation, const Completion& completion);
  // Why the read or write of a pipe, or a close, does not wait for anything; empty: it does.
  std::string ExpectedOfPipe(const Operation& operation) const;
  void CompleteWork(const Operation& operation, const Completion& completion);
  // Of operations about names: whether the end is one that the names' states allow, and what they
  // are from then on.
  void CompleteNames(const Operation& operation, const Completion& completion);
  void CompleteOpened(const Operation& operation, const Completion& completion);
  bool NamesAllow(const Operation& operation, Error error) const;
  bool OpenAllows(const Operation& operation, Named::State state, Error error) const;
  bool RenameAllows(const Operation& operation, Error error) const;
  bool LinkAllows(const Operation& operation, Error error) const;
  bool ReadLinkAllows(const Operation& operation, Error error) const;
  void CompleteStat(const Operation& operation, const Completion& completion);
  void CompleteReadLink(const Operation& operation, const Completion& completion);
  bool IsKnown(int name) const;
  void SetNames(const Operation& operation, const Completion& completion);
  void CompleteConnection(const Operation& operation, const Completion& completion);
  void CompleteCancel(const Operation& operation);
  void CompleteDeadline(const Operation& deadline, const Completion& completion);
  void Finish(uint64_t token, const Completion& completion);
  void Deliver(int connection, std::span<const std::byte> bytes);
  void Link(int connection, uint64_t name);
  void Breach(const Completion& completion, const Operation& operation, std::string_view what);

  // Whether an error of a connection, of `operation`, has a cause.
  bool HasCause(const Operation& operation, Error error) const;
  bool PeerMayBeGone(const Connection& connection) const;
  bool MayEnd(const Connection& connection) const;
  bool MayBeShort(const Operation& operation) const;
  // Bytes that sends under way may have sent.
  uint64_t UnderWay(int connection) const;
  std::string ExpectedOf(const Operation& operation) const;
  bool ExpectsBytes(const Operation& operation) const;
  bool Elapsed(const Operation& operation) const;
  // By a cancel, a close, or a deadline that may have struck.
  bool MayBeCanceled(const Operation& operation) const;
  // Whether a deadline on it, prepared now, finds it, unless it has completed.
  bool CanBeStopped(const Operation& operation) const;
  // Whether an operation with this token has not ended, as far as deadlines go.
  bool GoesOn(uint64_t token) const;
  bool HasEndedTarget(const Operation& deadline) const;
  bool MayFindNothing(const Operation& deadline) const;
  bool MustDeadlineEnd(const Operation& deadline) const;
  // Whether another deadline, which was there first, keeps this one out.
  bool IsKeptOut(const Operation& deadline) const;

  const RingOptions options_;
  const bool trace_;
  LedgerRing ring_;
  Operations operations_;
  std::deque<ManagedBuffer> held_;
  bool hold_buffers_ = true;
  uint64_t made_ = 0;
  uint64_t completions_ = 0;
  std::string failure_;
  std::vector<std::string> log_;
};

}  // namespace ioring::fuzzing

#endif  // IORING_RING_FUZZING_MODEL_H_

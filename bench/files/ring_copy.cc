#include "bench/files/ring_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/files/open_files.h"
#include "bench/files/techniques.h"
#include "buffer/map_status.h"
#include "buffer/memory_region.h"
#include "pool/buffer_group.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

// What one piece at a time goes through: it is read, and then written. The slot's number is the
// token of both.
struct Slot {
  uint64_t offset = 0;  // in the files, of what is read or written next
  uint32_t left = 0;    // of the piece, from there on
  uint32_t held = 0;    // that were read and not written yet; 0 while it reads
  uint32_t start = 0;   // of these, in the slot's own memory
  ManagedLease lease;   // kManaged
};

class RingCopy {
 public:
  RingCopy(const TechniqueOptions& options, uint64_t bytes, Ring& ring)
      : options_(options), bytes_(bytes), ring_(ring), slots_(options.depth) {}
  RingCopy(const RingCopy&) = delete;
  RingCopy& operator=(const RingCopy&) = delete;
  ~RingCopy();

  absl::Status Begin(const OpenFiles& files);
  // Until all is copied, or something failed.
  absl::Status Run();

 private:
  bool is_managed() const { return options_.technique != Technique::kFixed; }
  absl::Status MakeMemory();
  std::span<std::byte> Own(const Slot& slot) const {
    const auto number = static_cast<size_t>(&slot - slots_.data());
    return memory_->memory().subspan(number * options_.chunk_bytes, options_.chunk_bytes);
  }
  BufferSlice OwnSlice(const Slot& slot, uint32_t start, uint32_t length) const {
    const auto number = static_cast<uint32_t>(&slot - slots_.data());
    return {buffer_, number * options_.chunk_bytes + start, length};
  }
  void BeginPiece(Slot& slot);
  void Read(Slot& slot);
  void Write(Slot& slot);
  void Handle(const Completion& completion);
  void OnRead(Slot& slot, const Completion& completion);
  void OnWritten(Slot& slot, uint32_t count);
  void Accept(Prepared prepared) {
    // There is a place for each slot's operation.
    CHECK(prepared == Prepared::kAccepted);
    ++in_flight_;
  }

  const TechniqueOptions options_;
  const uint64_t bytes_;
  Ring& ring_;
  FileId from_;
  FileId to_;
  std::unique_ptr<BufferGroup> group_;  // kManaged, kManagedCopied
  std::optional<MemoryRegion> memory_;  // kFixed, kManagedCopied
  BufferId buffer_;                     // kFixed: of memory_
  std::vector<Slot> slots_;
  uint64_t begun_ = 0;  // bytes, from the beginning on
  uint32_t in_flight_ = 0;
  absl::Status status_;
};

RingCopy::~RingCopy() {
  for (Slot& slot : slots_) slot.lease = {};
  if (buffer_.is_set()) CHECK_OK(ring_.UnregisterBuffer(buffer_));
}

absl::StatusOr<FileId> Register(Ring& ring, int descriptor) {
  const int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return SystemError("dup");
  absl::StatusOr<FileId> file = ring.RegisterFile(copy);
  if (!file.ok()) close(copy);
  return file;
}

absl::Status RingCopy::Begin(const OpenFiles& files) {
  const absl::StatusOr<FileId> from = Register(ring_, files.from());
  if (!from.ok()) return from.status();
  const absl::StatusOr<FileId> to = Register(ring_, files.to());
  if (!to.ok()) return to.status();
  from_ = *from;
  to_ = *to;
  return MakeMemory();
}

absl::Status RingCopy::MakeMemory() {
  if (is_managed()) {
    absl::StatusOr<std::unique_ptr<BufferGroup>> group =
        BufferGroup::Create(ring_, {.buffer_bytes = options_.chunk_bytes,
                                    .initial_buffers = options_.depth,
                                    .when_empty = BufferGroup::WhenEmpty::kWait});
    if (!group.ok()) return group.status();
    group_ = *std::move(group);
    if (options_.technique == Technique::kManaged) return absl::OkStatus();
  }
  absl::StatusOr<MemoryRegion> memory =
      ToStatusOr(MemoryRegion::Create(size_t{options_.depth} * options_.chunk_bytes));
  if (!memory.ok()) return memory.status();
  memory_ = *std::move(memory);
  if (is_managed()) return absl::OkStatus();
  const absl::StatusOr<BufferId> buffer =
      ring_.RegisterBuffer({.memory = memory_->memory(), .unit_bytes = options_.chunk_bytes});
  if (!buffer.ok()) return buffer.status();
  buffer_ = *buffer;
  return absl::OkStatus();
}

absl::Status RingCopy::Run() {
  for (Slot& slot : slots_) BeginPiece(slot);
  while (in_flight_ != 0) {
    ring_.SubmitAndWait();
    for (const Completion& completion : ring_.Completions()) Handle(completion);
  }
  return status_;
}

void RingCopy::BeginPiece(Slot& slot) {
  if (begun_ == bytes_ || !status_.ok()) return;
  slot.offset = begun_;
  slot.left = static_cast<uint32_t>(std::min<uint64_t>(options_.chunk_bytes, bytes_ - begun_));
  begun_ += slot.left;
  Read(slot);
}

void RingCopy::Read(Slot& slot) {
  const Token token{static_cast<uint64_t>(&slot - slots_.data())};
  Accept(is_managed()
             ? ring_.PrepareReadManaged(from_, slot.offset, group_->id(), token)
             : ring_.PrepareReadBuffer(from_, slot.offset, OwnSlice(slot, 0, slot.left), token));
}

void RingCopy::Write(Slot& slot) {
  const Token token{static_cast<uint64_t>(&slot - slots_.data())};
  switch (options_.technique) {
    case Technique::kManaged: {
      BufferSlice slice = slot.lease.Slice();
      slice.length = slot.held;
      return Accept(ring_.PrepareWriteBuffer(to_, slot.offset, slice, token));
    }
    case Technique::kManagedCopied:
      return Accept(
          ring_.PrepareWrite(to_, slot.offset, Own(slot).subspan(slot.start, slot.held), token));
    default:
      return Accept(
          ring_.PrepareWriteBuffer(to_, slot.offset, OwnSlice(slot, slot.start, slot.held), token));
  }
}

void RingCopy::Handle(const Completion& completion) {
  if (completion.token == kDefaultWakeToken) return;
  --in_flight_;
  Slot& slot = slots_[completion.token.value];
  const bool is_read = slot.held == 0;
  if (!completion.ok()) {
    status_.Update(
        absl::UnknownError(absl::StrCat(is_read ? "it cannot be read: " : "it cannot be written: ",
                                        ErrorText(completion.error()))));
  } else if (completion.result == 0) {
    status_.Update(absl::UnavailableError(is_read ? "the source became shorter"
                                                  : "the system takes no more bytes"));
  } else if (is_read) {
    OnRead(slot, completion);
  } else {
    OnWritten(slot, static_cast<uint32_t>(completion.result));
  }
}

void RingCopy::OnRead(Slot& slot, const Completion& completion) {
  // A buffer of a group is filled as far as the file goes, also with what lies behind the piece.
  slot.held = std::min(static_cast<uint32_t>(completion.result), slot.left);
  slot.start = 0;
  if (is_managed()) slot.lease = group_->Take(completion);
  if (options_.technique == Technique::kManagedCopied) {
    std::memcpy(Own(slot).data(), slot.lease.data(), slot.held);
    slot.lease.Release();
  }
  Write(slot);
}

void RingCopy::OnWritten(Slot& slot, uint32_t count) {
  slot.offset += count;
  slot.left -= count;
  slot.held -= count;
  slot.start += count;
  if (slot.lease.is_held()) slot.lease.TrimFront(count);
  if (slot.held != 0) return Write(slot);
  if (slot.lease.is_held()) slot.lease.Release();
  if (slot.left != 0) return Read(slot);
  BeginPiece(slot);
}

}  // namespace

absl::StatusOr<uint64_t> CopyByRing(const TechniqueOptions& options, const OpenFiles& files) {
  const absl::StatusOr<CreatedRing> created = CreateRing({.submission_entries = 2 * options.depth,
                                                          .max_connections = 8,
                                                          .max_operations = 2 * options.depth},
                                                         BackendKind::kIoUring);
  if (!created.ok()) return created.status();
  Ring& ring = *created->ring;
  RingCopy copy(options, files.bytes(), ring);
  absl::Status status = copy.Begin(files);
  if (!status.ok()) return status;
  const uint64_t before = ring.GetStatistics().kernel_entries;
  status = copy.Run();
  if (!status.ok()) return status;
  return ring.GetStatistics().kernel_entries - before;
}

}  // namespace ioring

// What a simulated ring has in its tables: connections, operations, listeners, files.
#ifndef IORING_RING_SIM_TABLES_H_
#define IORING_RING_SIM_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/emulated/connection_table.h"
#include "ring_core/emulated/operation.h"
#include "ring_core/table/file_slots.h"
#include "ring_core/table/slot_list.h"
#include "ring_sim/descriptors.h"
#include "ring_sim/inode.h"
#include "ring_sim/socket.h"

namespace ioring::sim {

using emulated::BegunFlag;
using emulated::CancelledFlag;
using emulated::ConnectionState;
using emulated::Half;
using emulated::OperationKind;
using emulated::Transfer;
using enum emulated::ConnectionFlags;
using enum emulated::OperationFlags;

enum OwnFlags : uint16_t {
  kDatagrams = emulated::kFirstOwnFlag << 0,
};

struct Connection {
  Half recv;
  Half send;
  uint64_t close_token;
  SocketId socket;
  uint32_t next_ready;  // links are an index plus 1; the free list when it is free
  uint32_t next_stalled;
  uint32_t first_poll;
  uint32_t recv_deadline;  // operations, as links
  uint32_t send_deadline;
  uint32_t other_operations;  // neither receive nor send: polls, shutdowns
  uint16_t flags;
  uint16_t generation;
  ConnectionState state;
  Transfer recv_kind;
  Transfer send_kind;
  uint8_t poll_edges;  // Edges that the polls are to look at
  bool peer_ended;     // a receive told of it
  bool recv_shut;      // here

  void Begin(uint32_t /*index*/) {}
  Half& half(bool is_send) { return is_send ? send : recv; }
  Transfer& kind(bool is_send) { return is_send ? send_kind : recv_kind; }
  uint32_t& deadline(bool is_send) { return is_send ? send_deadline : recv_deadline; }
  bool has(uint16_t flag) const { return (flags & flag) != 0; }
  void set(uint16_t flag) { flags = static_cast<uint16_t>(flags | flag); }
  void clear(uint16_t flag) { flags = static_cast<uint16_t>(flags & ~flag); }
  bool has_messages() const { return has(kDatagrams); }
  // After a shutdown of receiving 0 bytes are an end.
  bool is_datagram() const { return has(kDatagrams) && !recv_shut; }
  bool idle() const {
    return recv_kind == Transfer::kIdle && send_kind == Transfer::kIdle && other_operations == 0;
  }
};

struct FileSlot {
  uint16_t generation = 0;
  uint32_t operations = 0;             // in flight
  std::shared_ptr<OpenedFile> opened;  // null: it is not open
  // Where somebody has asked for its number.
  Descriptors* descriptors = nullptr;
  int descriptor = -1;

  bool is_open() const { return opened != nullptr; }
  void Close() {
    opened = nullptr;
    if (descriptors != nullptr) std::exchange(descriptors, nullptr)->CloseOfRing(descriptor);
  }
};

// Not in a union: memory is not what a simulation is short of.
struct Operation : emulated::OperationHead {
  struct TransferState {
    std::byte* data;
    uint32_t length;
    uint32_t done;
  };
  struct Message {
    std::byte* data;
    size_t length;
    Endpoint* source;
    Endpoint address;
  };
  struct PollState {
    PollEvents events;
    bool due;  // is to look
  };
  struct FileState {
    FileSlot* first = nullptr;  // the operation counts as one of theirs
    FileSlot* second = nullptr;
    MemoryPart memory;  // of a transfer without `parts`
    std::span<const MemoryPart> parts;
    uint64_t offset = 0;
    std::variant<std::monostate, request::FileCall, request::Open, request::Work> call;
    FileId opened;
    bool is_opened = false;  // it waits for room to complete with `opened`
  };

  TransferState transfer;
  Message message;
  PollState poll;
  FileState file;
  Watch watch;                   // kDeadline
  Cancel cancel;                 // kCancel and its like
  Direction how;                 // kShutdown
  uint32_t listener_generation;  // kAccept
  Endpoint address;              // kConnect
};

struct Listener {
  SocketId socket = 0;
  uint16_t generation = 0;
  bool due = false;  // to be run in this turn or the next
  SlotList<Operation, &Operation::next> accepts;

  bool is_open() const { return socket != 0; }
};

class FileTable : public FileSlots<FileSlot> {
 public:
  using FileSlots::FileSlots;

  // Nothing where no slot is free.
  std::optional<FileId> Adopt(std::shared_ptr<OpenedFile> file) {
    const absl::StatusOr<FileId> id = FreeId();
    if (!id.ok()) return std::nullopt;
    (*this)[id->index].opened = std::move(file);
    return *id;
  }
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_TABLES_H_

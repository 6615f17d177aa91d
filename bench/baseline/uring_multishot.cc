// An echo server on io_uring whose receives stay armed: the kernel puts what arrives into a
// buffer of a provided ring, the buffer is sent from as it is, and goes back when the send
// is done. With --incremental few large buffers are each consumed bit by bit.
//
// A peer that sends but never reads can hold on to all buffers: no limit per connection.

#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <vector>

#include "bench/baseline/baseline.h"

namespace {

enum Kind : uint64_t { kAccept, kRecv, kSend, kShutdown, kClose, kStop };

constexpr int kGroup = 0;

// Received bytes that are to be sent.
struct Piece {
  uint32_t buffer;
  uint32_t offset;
  uint32_t length;
};

struct Connection {
  std::vector<Piece> pieces;
  size_t first_unsent = 0;  // in `pieces`; it is being sent
  bool receiving = false;
  bool ended = false;  // no more bytes will come
  bool broken = false;

  bool Idle() const { return first_unsent == pieces.size(); }
};

struct Buffer {
  uint32_t consumed = 0;  // bytes that receives have filled
  uint32_t pieces = 0;    // not sent yet
  bool filling = false;   // the kernel will put more into it
};

// Few buffers, so that those in use stay in the processor's caches: 4096 of these cost a
// quarter more per message of 16 KiB than 256.
struct Options {
  uint32_t buffer_size = 16384;
  uint32_t buffers = 256;
  uint32_t connections = 16384;
  bool incremental = false;
};

class Server {
 public:
  Server(int listener, int stop, const Options& options)
      : listener_(listener),
        options_(options),
        connections_(options.connections),
        buffers_(options.buffers) {
    CreateRing();
    io_uring_register_ring_fd(&ring_);
    const int table = io_uring_register_files_sparse(&ring_, options.connections);
    if (table < 0) baseline::Die("io_uring_register_files_sparse", -table);
    ProvideBuffers();
    io_uring_prep_poll_add(NewEntry(kStop, 0), stop, POLLIN);
    PrepareAccept();
  }

  void Run() {
    while (!stopped_) {
      io_uring_submit_and_wait(&ring_, 1);
      unsigned head = 0;
      unsigned count = 0;
      io_uring_cqe* completion = nullptr;
      io_uring_for_each_cqe(&ring_, head, completion) {
        Handle(*completion);
        ++count;
      }
      io_uring_cq_advance(&ring_, count);
      PublishReturned();
    }
  }

 private:
  // Where locked memory is short, a ring with fewer entries will do.
  void CreateRing() {
    int created = -ENOMEM;
    for (unsigned entries = 4096; created == -ENOMEM && entries >= 64; entries /= 2) {
      io_uring_params params = {};
      params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
      params.cq_entries = 4 * entries;
      created = io_uring_queue_init_params(entries, &ring_, &params);
    }
    if (created < 0) baseline::Die("io_uring_queue_init", -created);
  }

  void ProvideBuffers() {
    const size_t bytes = size_t{options_.buffers} * options_.buffer_size;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) baseline::Die("mmap", errno);
    memory_ = static_cast<char*>(memory);
    int error = 0;
    group_ = io_uring_setup_buf_ring(&ring_, options_.buffers, kGroup,
                                     options_.incremental ? IOU_PBUF_RING_INC : 0, &error);
    if (group_ == nullptr) baseline::Die("io_uring_setup_buf_ring", -error);
    for (uint32_t buffer = 0; buffer < options_.buffers; ++buffer) Return(buffer);
    PublishReturned();
  }

  void Return(uint32_t buffer) {
    buffers_[buffer] = {.consumed = 0, .pieces = 0, .filling = true};
    io_uring_buf_ring_add(group_, Address(buffer), options_.buffer_size,
                          static_cast<unsigned short>(buffer),
                          io_uring_buf_ring_mask(options_.buffers), returned_++);
  }

  // Gives the buffers of the last batch to the kernel, and receives that found none another
  // try.
  void PublishReturned() {
    if (returned_ == 0) return;
    io_uring_buf_ring_advance(group_, returned_);
    returned_ = 0;
    for (const uint32_t slot : starved_) PrepareRecv(slot);
    starved_.clear();
  }

  char* Address(uint32_t buffer) { return memory_ + size_t{buffer} * options_.buffer_size; }

  io_uring_sqe* NewEntry(Kind kind, uint32_t slot) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    while (entry == nullptr) {
      io_uring_submit(&ring_);
      entry = io_uring_get_sqe(&ring_);
    }
    // The preparing functions leave user_data alone.
    io_uring_sqe_set_data64(entry, kind << 32 | slot);
    return entry;
  }

  void PrepareAccept() {
    io_uring_prep_multishot_accept_direct(NewEntry(kAccept, 0), listener_, nullptr, nullptr, 0);
  }

  void PrepareRecv(uint32_t slot) {
    io_uring_sqe* entry = NewEntry(kRecv, slot);
    io_uring_prep_recv_multishot(entry, static_cast<int>(slot), nullptr, 0, 0);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    entry->buf_group = kGroup;
    connections_[slot].receiving = true;
  }

  void PrepareSend(uint32_t slot) {
    const Connection& connection = connections_[slot];
    const Piece& piece = connection.pieces[connection.first_unsent];
    io_uring_sqe* entry = NewEntry(kSend, slot);
    io_uring_prep_send(entry, static_cast<int>(slot), Address(piece.buffer) + piece.offset,
                       piece.length, MSG_NOSIGNAL | MSG_WAITALL);
    entry->flags |= IOSQE_FIXED_FILE;
  }

  void Handle(const io_uring_cqe& completion) {
    const uint32_t slot = static_cast<uint32_t>(completion.user_data);
    switch (static_cast<Kind>(completion.user_data >> 32)) {
      case kAccept:
        return HandleAccept(completion);
      case kRecv:
        return HandleRecv(slot, completion);
      case kSend:
        return HandleSend(slot, completion.res);
      case kShutdown:
      case kClose:
        return;
      case kStop:
        stopped_ = true;
    }
  }

  void HandleAccept(const io_uring_cqe& completion) {
    if (completion.res >= 0) {
      connections_[completion.res] = {};
      PrepareRecv(static_cast<uint32_t>(completion.res));
    }
    if ((completion.flags & IORING_CQE_F_MORE) != 0) return;
    // A full table is tried again when a connection has gone.
    accepting_ = completion.res != -ENFILE && completion.res != -EMFILE;
    if (accepting_) PrepareAccept();
  }

  void HandleRecv(uint32_t slot, const io_uring_cqe& completion) {
    Connection& connection = connections_[slot];
    if ((completion.flags & IORING_CQE_F_BUFFER) != 0) TakePiece(slot, completion);
    if ((completion.flags & IORING_CQE_F_MORE) != 0) return;
    connection.receiving = false;
    if (completion.res == -ENOBUFS) {
      starved_.push_back(slot);
    } else if (completion.res > 0 || completion.res == -EINTR || completion.res == -EAGAIN) {
      PrepareRecv(slot);
    } else {
      connection.ended = true;
      CloseIfDone(slot);
    }
  }

  void TakePiece(uint32_t slot, const io_uring_cqe& completion) {
    Connection& connection = connections_[slot];
    const uint32_t number = completion.flags >> IORING_CQE_BUFFER_SHIFT;
    Buffer& buffer = buffers_[number];
    buffer.filling = (completion.flags & IORING_CQE_F_BUF_MORE) != 0;
    const uint32_t offset = buffer.consumed;
    const uint32_t length = static_cast<uint32_t>(std::max(completion.res, 0));
    buffer.consumed += length;
    if (length == 0 || connection.broken) return ReturnIfUnused(number);
    const bool idle = connection.Idle();
    connection.pieces.push_back({number, offset, length});
    ++buffer.pieces;
    if (idle) PrepareSend(slot);
  }

  void ReturnIfUnused(uint32_t buffer) {
    if (buffers_[buffer].pieces == 0 && !buffers_[buffer].filling) Return(buffer);
  }

  void HandleSend(uint32_t slot, int result) {
    Connection& connection = connections_[slot];
    if (result == -EINTR || result == -EAGAIN) return PrepareSend(slot);
    if (result <= 0) return Break(slot);
    Piece& piece = connection.pieces[connection.first_unsent];
    piece.offset += static_cast<uint32_t>(result);
    piece.length -= static_cast<uint32_t>(result);
    if (piece.length > 0) return PrepareSend(slot);
    DropFirst(connection);
    if (!connection.Idle()) return PrepareSend(slot);
    CloseIfDone(slot);
  }

  void DropFirst(Connection& connection) {
    const uint32_t buffer = connection.pieces[connection.first_unsent++].buffer;
    if (connection.Idle() || connection.first_unsent == 256) {
      connection.pieces.erase(connection.pieces.begin(),
                              connection.pieces.begin() + connection.first_unsent);
      connection.first_unsent = 0;
    }
    --buffers_[buffer].pieces;
    ReturnIfUnused(buffer);
  }

  // The peer takes nothing any more: forgets what is unsent and ends the receive.
  void Break(uint32_t slot) {
    Connection& connection = connections_[slot];
    connection.broken = true;
    while (!connection.Idle()) DropFirst(connection);
    if (connection.receiving) {
      io_uring_sqe* entry = NewEntry(kShutdown, slot);
      io_uring_prep_shutdown(entry, static_cast<int>(slot), SHUT_RDWR);
      entry->flags |= IOSQE_FIXED_FILE;
    }
    CloseIfDone(slot);
  }

  // A starved connection has not ended: it receives again, and so learns of its end.
  void CloseIfDone(uint32_t slot) {
    const Connection& connection = connections_[slot];
    if (!connection.ended || !connection.Idle()) return;
    io_uring_sqe* entry = NewEntry(kClose, slot);
    io_uring_prep_close_direct(entry, slot);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    if (accepting_) return;
    PrepareAccept();
    accepting_ = true;
  }

  io_uring ring_ = {};
  const int listener_;
  const Options options_;
  bool stopped_ = false;
  bool accepting_ = true;
  char* memory_ = nullptr;
  io_uring_buf_ring* group_ = nullptr;
  int returned_ = 0;                     // buffers added to the group but not published
  std::vector<uint32_t> starved_;        // connections whose receive found no buffer
  std::vector<Connection> connections_;  // by slot in the table of direct descriptors
  std::vector<Buffer> buffers_;
};

}  // namespace

int main(int argc, char** argv) {
  baseline::Flags flags(argc, argv);
  Options options;
  const uint32_t port = flags.Take("--listen", 0, 0, baseline::kPortMax);
  options.incremental = flags.Take("--incremental", 0, 0, 1) != 0;
  if (options.incremental) options = {.buffer_size = 256 << 10, .buffers = 8, .incremental = true};
  options.buffer_size =
      flags.Take("--buffer_size", options.buffer_size, 1, baseline::kBufferSizeMax);
  // io_uring_register_buf_ring(3): a power of two.
  options.buffers = flags.Take("--buffers", options.buffers, 1, 32768);
  if (!std::has_single_bit(options.buffers)) baseline::Die("--buffers: no power of two", EINVAL);
  options.connections =
      flags.Take("--connections", options.connections, 1, baseline::kConnectionsMax);
  flags.RefuseUnknown(
      "uring_multishot [--listen=PORT] [--buffer_size=BYTES] [--buffers=N] [--connections=N] "
      "[--incremental]");

  const int stop = baseline::StopDescriptor();
  options.connections = std::min(options.connections, baseline::RaiseDescriptorLimit());
  const int listener = baseline::Listen(port);
  Server server(listener, stop, options);
  baseline::Announce(listener);
  server.Run();
  baseline::PrintCpuTime();
  return 0;
}

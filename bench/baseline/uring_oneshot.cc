// An echo server on io_uring with a buffer per connection: receive once, send that, receive
// again. With --fixed the buffers are registered and READ_FIXED and WRITE_FIXED move them.
// Connections are direct descriptors, so an accept costs no system call.

#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>

#include <vector>

#include "bench/baseline/baseline.h"

namespace {

enum Kind : uint64_t { kAccept, kRecv, kSend, kClose, kStop };

// Receiving and sending take turns, so one pair of numbers says it all.
struct Connection {
  uint32_t received = 0;
  uint32_t sent = 0;
};

struct Options {
  uint32_t buffer_size = 16384;
  uint32_t connections = 8192;
  bool fixed = false;
};

class Server {
 public:
  Server(int listener, int stop, const Options& options) : listener_(listener), options_(options) {
    CreateRing();
    io_uring_register_ring_fd(&ring_);
    MapBuffers();
    connections_.resize(options_.connections);
    const int table = io_uring_register_files_sparse(&ring_, options_.connections);
    if (table < 0) baseline::Die("io_uring_register_files_sparse", -table);
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

  void MapBuffers() {
    if (!options_.fixed) return Map();
    if (!MapAndRegister()) ServeFewer();
  }

  void Map() {
    bytes_ = size_t{options_.connections} * options_.buffer_size;
    void* memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) baseline::Die("mmap", errno);
    buffers_ = static_cast<char*>(memory);
  }

  // False where there is not as much memory to be locked.
  bool MapAndRegister() {
    Map();
    const iovec all = {buffers_, bytes_};
    const int registered = io_uring_register_buffers(&ring_, &all, 1);
    if (registered >= 0) return true;
    if (registered != -ENOMEM) baseline::Die("io_uring_register_buffers", -registered);
    munmap(buffers_, bytes_);
    return false;
  }

  // Registered memory is locked, and the system lets a user lock some only: of that, what other
  // processes of the user have left.
  void ServeFewer() {
    const uint32_t wanted = options_.connections;
    rlimit limit = {};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    const rlim_t allowed = limit.rlim_cur / options_.buffer_size;
    if (allowed < wanted) options_.connections = static_cast<uint32_t>(allowed);
    while (options_.connections > 0 && !MapAndRegister()) options_.connections /= 2;
    if (options_.connections == 0) baseline::Die("io_uring_register_buffers", ENOMEM);
    std::fprintf(stderr, "--fixed: locked memory is short: %u connections in place of %u\n",
                 options_.connections, wanted);
  }

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
    char* buffer = buffers_ + size_t{slot} * options_.buffer_size;
    const int fd = static_cast<int>(slot);
    if (options_.fixed) {
      io_uring_prep_read_fixed(entry, fd, buffer, options_.buffer_size, 0, 0);
    } else {
      io_uring_prep_recv(entry, fd, buffer, options_.buffer_size, 0);
    }
    entry->flags |= IOSQE_FIXED_FILE;
  }

  void PrepareSend(uint32_t slot) {
    io_uring_sqe* entry = NewEntry(kSend, slot);
    const Connection& connection = connections_[slot];
    const char* from = buffers_ + size_t{slot} * options_.buffer_size + connection.sent;
    const uint32_t length = connection.received - connection.sent;
    const int fd = static_cast<int>(slot);
    if (options_.fixed) {
      io_uring_prep_write_fixed(entry, fd, from, length, 0, 0);
    } else {
      io_uring_prep_send(entry, fd, from, length, MSG_NOSIGNAL | MSG_WAITALL);
    }
    entry->flags |= IOSQE_FIXED_FILE;
  }

  void Close(uint32_t slot) {
    io_uring_sqe* entry = NewEntry(kClose, slot);
    io_uring_prep_close_direct(entry, slot);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    if (accepting_) return;
    PrepareAccept();
    accepting_ = true;
  }

  void Handle(const io_uring_cqe& completion) {
    const uint32_t slot = static_cast<uint32_t>(completion.user_data);
    const int result = completion.res;
    switch (static_cast<Kind>(completion.user_data >> 32)) {
      case kAccept:
        return HandleAccept(result, (completion.flags & IORING_CQE_F_MORE) != 0);
      case kRecv:
        if (result <= 0) return Retry(result) ? PrepareRecv(slot) : Close(slot);
        connections_[slot] = {.received = static_cast<uint32_t>(result), .sent = 0};
        return PrepareSend(slot);
      case kSend:
        return HandleSend(slot, result);
      case kClose:
        return;
      case kStop:
        stopped_ = true;
    }
  }

  void HandleAccept(int result, bool more) {
    if (result >= 0) PrepareRecv(static_cast<uint32_t>(result));
    if (more) return;
    // A full table is tried again when a connection has gone.
    accepting_ = result != -ENFILE && result != -EMFILE;
    if (accepting_) PrepareAccept();
  }

  void HandleSend(uint32_t slot, int result) {
    if (result <= 0) return Retry(result) ? PrepareSend(slot) : Close(slot);
    Connection& connection = connections_[slot];
    connection.sent += static_cast<uint32_t>(result);
    return connection.sent < connection.received ? PrepareSend(slot) : PrepareRecv(slot);
  }

  static bool Retry(int result) { return result == -EINTR || result == -EAGAIN; }

  io_uring ring_ = {};
  const int listener_;
  Options options_;
  bool stopped_ = false;
  bool accepting_ = true;
  char* buffers_ = nullptr;
  size_t bytes_ = 0;
  std::vector<Connection> connections_;  // by slot in the table of direct descriptors
};

}  // namespace

int main(int argc, char** argv) {
  baseline::Flags flags(argc, argv);
  Options options;
  const uint32_t port = flags.Take("--listen", 0, 0, baseline::kPortMax);
  options.buffer_size =
      flags.Take("--buffer_size", options.buffer_size, 1, baseline::kBufferSizeMax);
  options.connections =
      flags.Take("--connections", options.connections, 1, baseline::kConnectionsMax);
  options.fixed = flags.Take("--fixed", 0, 0, 1) != 0;
  flags.RefuseUnknown(
      "uring_oneshot [--listen=PORT] [--buffer_size=BYTES] [--connections=N] [--fixed]");

  const int stop = baseline::StopDescriptor();
  options.connections = std::min(options.connections, baseline::RaiseDescriptorLimit());
  const int listener = baseline::Listen(port);
  Server server(listener, stop, options);
  baseline::Announce(listener);
  server.Run();
  baseline::PrintCpuTime();
  return 0;
}

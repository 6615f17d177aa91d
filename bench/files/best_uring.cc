// Copies a file by hand, with all that io_uring has for it: the yardstick of //copy. Registered
// files and buffers, many pieces on their way, each read and then written from the same memory, in
// huge pages where they can be had. Through the page cache in pieces of 64 KiB, 32 at a time; past
// it (--direct) of 1 MiB, 8 at a time, into space that is reserved in one step. It uses nothing of
// the library. (Whether it copies bytes in memory is counted all the same.)

#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "bench/baseline/baseline.h"
#include "process/testing/copy_counter.h"

namespace {

constexpr uint32_t kBlockBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr char kUsage[] = "best_uring [--direct] [--chunk=BYTES] [--depth=N] FROM TO";

struct Options {
  bool direct = false;
  uint32_t chunk_bytes = 0;
  uint32_t depth = 0;
};

// A piece of the file, which is read, then written, then made room for the next.
struct Piece {
  uint64_t offset = 0;  // of what is read or written next
  uint32_t left = 0;    // to be copied from there on
  uint32_t held = 0;    // that were read and not written yet; 0 while it reads
  uint32_t start = 0;   // of these, in the piece's memory
};

class Copier {
 public:
  Copier(int from, int to, uint64_t bytes, const Options& options)
      : bytes_(bytes), options_(options), pieces_(options.depth) {
    CreateRing();
    io_uring_register_ring_fd(&ring_);
    const int files[] = {from, to};
    const int registered = io_uring_register_files(&ring_, files, 2);
    if (registered < 0) baseline::Die("io_uring_register_files", -registered);
    MapBuffers();
  }
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;
  ~Copier() { io_uring_queue_exit(&ring_); }

  // Returns how often it entered the kernel.
  uint64_t Run() {
    for (Piece& piece : pieces_) Begin(piece);
    uint64_t entries = 0;
    while (in_flight_ != 0) {
      const int submitted = io_uring_submit_and_wait(&ring_, 1);
      if (submitted < 0 && submitted != -EINTR) baseline::Die("io_uring_enter", -submitted);
      ++entries;
      unsigned head = 0;
      unsigned count = 0;
      io_uring_cqe* completion = nullptr;
      io_uring_for_each_cqe(&ring_, head, completion) {
        Handle(*completion);
        ++count;
      }
      io_uring_cq_advance(&ring_, count);
    }
    return entries;
  }

 private:
  enum File { kFrom, kTo };

  // Before Linux 6.1 without what that brought.
  void CreateRing() {
    constexpr unsigned kFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    int created = io_uring_queue_init(options_.depth, &ring_, kFlags);
    if (created == -EINVAL) created = io_uring_queue_init(options_.depth, &ring_, 0);
    if (created < 0) baseline::Die("io_uring_queue_init", -created);
  }

  // Huge pages that somebody set aside, or those that the kernel makes where it can.
  void MapBuffers() {
    const size_t asked = size_t{options_.depth} * options_.chunk_bytes;
    const size_t bytes = (asked + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
    constexpr int kKind = MAP_PRIVATE | MAP_ANONYMOUS;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kKind | MAP_HUGETLB, -1, 0);
    if (memory != MAP_FAILED) {
      memory_ = static_cast<char*>(memory);
    } else {
      memory = mmap(nullptr, bytes + kHugePageBytes, PROT_READ | PROT_WRITE, kKind, -1, 0);
      if (memory == MAP_FAILED) baseline::Die("mmap", errno);
      const size_t past = reinterpret_cast<uintptr_t>(memory) % kHugePageBytes;
      memory_ = static_cast<char*>(memory) + (kHugePageBytes - past);
      madvise(memory_, bytes, MADV_HUGEPAGE);
    }
    const iovec all = {memory_, asked};
    const int registered = io_uring_register_buffers(&ring_, &all, 1);
    if (registered < 0) baseline::Die("io_uring_register_buffers", -registered);
  }

  char* MemoryOf(const Piece& piece) const {
    return memory_ + static_cast<size_t>(&piece - pieces_.data()) * options_.chunk_bytes;
  }

  // There is an entry for each piece.
  io_uring_sqe* NewEntry(const Piece& piece) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    io_uring_sqe_set_data64(entry, static_cast<uint64_t>(&piece - pieces_.data()));
    ++in_flight_;
    return entry;
  }

  void Begin(Piece& piece) {
    if (begun_ == bytes_) return;
    piece.offset = begun_;
    piece.left = static_cast<uint32_t>(std::min<uint64_t>(options_.chunk_bytes, bytes_ - begun_));
    begun_ += piece.left;
    Read(piece);
  }

  void Read(Piece& piece) {
    io_uring_sqe* entry = NewEntry(piece);
    io_uring_prep_read_fixed(entry, kFrom, MemoryOf(piece), piece.left, piece.offset, 0);
    entry->flags |= IOSQE_FIXED_FILE;
  }

  void Write(Piece& piece) {
    io_uring_sqe* entry = NewEntry(piece);
    io_uring_prep_write_fixed(entry, kTo, MemoryOf(piece) + piece.start, piece.held, piece.offset,
                              0);
    entry->flags |= IOSQE_FIXED_FILE;
  }

  void Handle(const io_uring_cqe& completion) {
    --in_flight_;
    Piece& piece = pieces_[completion.user_data];
    const bool is_read = piece.held == 0;
    if (completion.res == -EINTR || completion.res == -EAGAIN) {
      return is_read ? Read(piece) : Write(piece);
    }
    if (completion.res < 0) baseline::Die(is_read ? "read" : "write", -completion.res);
    if (completion.res == 0) baseline::Die("the source became shorter, or the disk is full", EIO);
    const auto count = static_cast<uint32_t>(completion.res);
    if (is_read) {
      piece.held = count;
      piece.start = 0;
      return Write(piece);
    }
    piece.offset += count;
    piece.left -= count;
    piece.held -= count;
    piece.start += count;
    if (piece.held != 0) return Write(piece);
    return piece.left != 0 ? Read(piece) : Begin(piece);
  }

  io_uring ring_ = {};
  const uint64_t bytes_;
  const Options options_;
  char* memory_ = nullptr;
  std::vector<Piece> pieces_;
  uint64_t begun_ = 0;
  uint32_t in_flight_ = 0;
};

// The options, without the two words that come last.
Options TakeOptions(int argc, char** argv) {
  baseline::Flags flags(argc, argv);
  Options options;
  options.direct = flags.Take("--direct", 0, 0, 1) != 0;
  options.chunk_bytes = flags.Take("--chunk", options.direct ? 1 << 20 : 64 << 10, 1, 64 << 20);
  options.depth = flags.Take("--depth", options.direct ? 8 : 32, 1, 1024);
  flags.RefuseUnknown(kUsage);
  if (options.chunk_bytes % kBlockBytes != 0) {
    std::fprintf(stderr, "--chunk: it takes a multiple of %u\n", kBlockBytes);
    std::exit(1);
  }
  return options;
}

int Open(const char* path, int flags) {
  const int file = open(path, flags | O_CLOEXEC, 0666);
  if (file < 0) baseline::Die(path, errno);
  return file;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s\n", kUsage);
    return 1;
  }
  Options options = TakeOptions(argc - 2, argv);
  // Else a file would take its place.
  if (fcntl(STDOUT_FILENO, F_GETFD) < 0) baseline::Die("standard output", errno);
  const int direct = options.direct ? O_DIRECT : 0;
  const int from = Open(argv[argc - 2], O_RDONLY | direct);
  struct stat info = {};
  if (fstat(from, &info) < 0) baseline::Die(argv[argc - 2], errno);
  if (options.direct && info.st_size % kBlockBytes != 0) {
    std::fprintf(stderr, "%s: direct I/O copies whole blocks\n", argv[argc - 2]);
    return 1;
  }
  const int to = Open(argv[argc - 1], O_WRONLY | O_CREAT | O_TRUNC | direct);
  // Where nothing can be reserved it only takes longer.
  if (options.direct && info.st_size > 0) static_cast<void>(fallocate(to, 0, 0, info.st_size));
  const auto bytes = static_cast<uint64_t>(info.st_size);
  // A small file needs no more memory, of which little may be locked, than it has pieces.
  const uint64_t pieces = (bytes + options.chunk_bytes - 1) / options.chunk_bytes;
  options.depth = static_cast<uint32_t>(std::clamp<uint64_t>(pieces, 1, options.depth));
  const ioring::CopyCounter copies;
  const uint64_t entries = Copier(from, to, bytes, options).Run();
  std::printf("bytes=%" PRIu64 " copied_bytes=%" PRIu64 " kernel_entries=%" PRIu64 "\n", bytes,
              copies.bytes(), entries);
  if (std::fflush(stdout) != 0) baseline::Die("standard output", errno);
  return 0;
}

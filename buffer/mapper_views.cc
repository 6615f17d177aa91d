#include "buffer/mapper_views.h"

#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <system_error>

#include "buffer/concat.h"
#include "buffer/mapper_error.h"
#include "process/standard_error.h"

namespace ioring::mapper {
namespace {

// Address space that nothing else is put into. Needs no memory.
void* Reserve(size_t bytes) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  // Where the system counts memory that is promised, this is not.
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;
#endif
  return mmap(nullptr, bytes, PROT_NONE, flags, -1, 0);
}

// Replaces the reservation. MAP_FIXED swaps each part in one step.
bool ReplaceWithViews(int object, std::byte* base, size_t size_bytes, size_t count) {
  for (size_t i = 0; i <= count; ++i) {
    const size_t first_half = i == 0 ? 0 : 2 * i - 1;
    const size_t halves = i == 0 || i == count ? 1 : 2;
    const size_t buffer = i == 0 ? 0 : i - 1;
    void* const view =
        mmap(base + first_half * size_bytes, halves * size_bytes, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED, object, static_cast<off_t>(buffer * size_bytes));
    if (view == MAP_FAILED) return false;
  }
  return true;
}

}  // namespace

Descriptor::~Descriptor() {
  if (descriptor_ < 0) return;
  const int code = errno;
  close(descriptor_);
  errno = code;
}

bool SetSize(int object, size_t bytes) {
  if (FileBytesMax() >= bytes) return ftruncate(object, static_cast<off_t>(bytes)) == 0;
  errno = EFBIG;
  return false;
}

std::byte* MapViews(int object, size_t size_bytes, size_t count) {
  const size_t bytes = 2 * size_bytes * count;
  void* const reservation = Reserve(bytes);
  if (reservation == MAP_FAILED) return nullptr;
  std::byte* const base = static_cast<std::byte*>(reservation);
  if (ReplaceWithViews(object, base, size_bytes, count)) return base;
  const int code = errno;
  Unmap(base, bytes);
  errno = code;
  return nullptr;
}

void Unmap(std::byte* base, size_t bytes) {
  if (munmap(base, bytes) == 0) return;
  const int error = errno;
  process::Complain(buffer_internal::Concat(
      "munmap of ", bytes, " bytes: ", std::generic_category().message(error), " [", error, "]"));
}

}  // namespace ioring::mapper

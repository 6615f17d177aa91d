#include "process/testing/copy_counter.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

// By --wrap=memcpy the linker gives every call of memcpy to __wrap_memcpy, and the C library's own
// the name __real_memcpy (ld(1)).
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
void* __real_memcpy(void* to, const void* from, size_t bytes);
void* __real_memmove(void* to, const void* from, size_t bytes);
void* __wrap_memcpy(void* to, const void* from, size_t bytes);
void* __wrap_memmove(void* to, const void* from, size_t bytes);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

std::atomic<uint64_t> copied_bytes{0};

void Count(size_t bytes) {
  if (bytes < ioring::kCountedCopyBytes) return;
  copied_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

}  // namespace

// NOLINTNEXTLINE(bugprone-reserved-identifier)
void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  Count(bytes);
  return __real_memcpy(to, from, bytes);
}

// NOLINTNEXTLINE(bugprone-reserved-identifier)
void* __wrap_memmove(void* to, const void* from, size_t bytes) {
  Count(bytes);
  return __real_memmove(to, from, bytes);
}

namespace ioring {

CopyCounter::CopyCounter() : before_(copied_bytes.load(std::memory_order_relaxed)) {}

uint64_t CopyCounter::bytes() const {
  return copied_bytes.load(std::memory_order_relaxed) - before_;
}

}  // namespace ioring

#include "process/testing/allocation_counter.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(_WIN32)
#include <malloc.h>
#endif

namespace {

std::atomic<uint64_t> allocations{0};

void* Allocate(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void* AllocateAligned(size_t bytes, std::align_val_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const size_t multiple = static_cast<size_t>(alignment);
#if defined(_WIN32)
  return _aligned_malloc(bytes == 0 ? 1 : bytes, multiple);
#else
  // The size must be a multiple of the alignment.
  return std::aligned_alloc(multiple, (bytes + multiple) / multiple * multiple);
#endif
}

void FreeAligned(void* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

void* OrAbort(void* memory) {
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return OrAbort(Allocate(bytes)); }
void* operator new[](size_t bytes) { return OrAbort(Allocate(bytes)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return OrAbort(AllocateAligned(bytes, alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return OrAbort(AllocateAligned(bytes, alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { FreeAligned(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { FreeAligned(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { FreeAligned(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { FreeAligned(memory); }

namespace ioring {

AllocationCounter::AllocationCounter() : before_(allocations.load(std::memory_order_relaxed)) {}

uint64_t AllocationCounter::count() const {
  return allocations.load(std::memory_order_relaxed) - before_;
}

}  // namespace ioring

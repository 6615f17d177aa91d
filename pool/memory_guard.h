// With AddressSanitizer, makes access to a buffer that is not leased an error, like access to freed
// memory. Without it, these functions do nothing.
#ifndef IORING_POOL_MEMORY_GUARD_H_
#define IORING_POOL_MEMORY_GUARD_H_

#include <cstddef>
#include <span>

#include "absl/base/config.h"

#if defined(ABSL_HAVE_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace ioring::pool_internal {

#if defined(ABSL_HAVE_ADDRESS_SANITIZER)
inline void ForbidUse(std::span<const std::byte> memory) {
  __asan_poison_memory_region(memory.data(), memory.size());
}
inline void AllowUse(std::span<const std::byte> memory) {
  __asan_unpoison_memory_region(memory.data(), memory.size());
}
#else
inline void ForbidUse(std::span<const std::byte>) {}
inline void AllowUse(std::span<const std::byte>) {}
#endif

}  // namespace ioring::pool_internal

#endif  // IORING_POOL_MEMORY_GUARD_H_

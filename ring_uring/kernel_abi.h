// Constants of newer kernels that the pinned liburing's headers lack. Values are the
// kernel's ABI (include/uapi/linux/io_uring.h, linux/fs.h).
#ifndef IORING_RING_URING_KERNEL_ABI_H_
#define IORING_RING_URING_KERNEL_ABI_H_

#if !defined(__linux__)
#error "ring_uring is Linux only: depend on //ring_native, which chooses a backend."
#endif

#include <cstdint>

namespace ioring::uring {

inline constexpr unsigned kEnterNoIoWait = 1u << 7;     // 6.15
inline constexpr unsigned kFeatureNoIoWait = 1u << 17;  // 6.15
inline constexpr int kRwfNoSignal = 0x100;              // 6.17
inline constexpr unsigned kSocketUnacknowledged = 1;    // SOCKET_URING_OP_SIOCOUTQ, 6.6
inline constexpr unsigned kSocketSetOption = 3;         // SOCKET_URING_OP_SETSOCKOPT, 6.7

// The ring's groups of provided buffers have numbers from here on. In older kernels (5.19, 6.1) the
// lists of the numbers below 64 are never freed, and registering a ring under a number that was in
// use before does not reset the position in it (io_register_pbuf_ring in io_uring/kbuf.c): the
// kernel would begin in the middle of the new ring, with buffers that it has given out already. The
// lists of higher numbers are freed.
inline constexpr uint16_t kFirstBufferGroup = 64;

}  // namespace ioring::uring

#endif  // IORING_RING_URING_KERNEL_ABI_H_

/* SPDX-License-Identifier: MIT */
#ifndef LIBURING_COMPAT_H
#define LIBURING_COMPAT_H

/*
 * What liburing.h needs beside its own io_uring.h. Each part is decided when it is compiled, not by
 * a script that looks at the building machine first.
 */

#include <stdint.h>

#if __has_include(<linux/time_types.h>)
#include <linux/time_types.h>
#else
struct __kernel_timespec {
  int64_t tv_sec;
  long long tv_nsec;
};
#endif
/* io_uring.h is not to look for it again. */
#define UAPI_LINUX_IO_URING_H_SKIP_LINUX_TIME_TYPES_H 1

#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#else
struct open_how {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};
#endif

#include <linux/ioctl.h>
#if __has_include(<linux/blkdev.h>)
#include <linux/blkdev.h>
#endif
#ifndef BLOCK_URING_CMD_DISCARD
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0)
#endif

/* Only ever passed by pointer. */
struct futex_waitv;

#endif

// Runs a program that is denied io_uring: without_io_uring EPERM|ENOSYS PROGRAM [ARGUMENT...]
// Tests only.

#include <errno.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "ring_uring/testing/deny_io_uring.h"

int main(int argc, char** argv) {
  if (argc < 3 || (std::strcmp(argv[1], "EPERM") != 0 && std::strcmp(argv[1], "ENOSYS") != 0)) {
    std::fprintf(stderr, "usage: without_io_uring EPERM|ENOSYS PROGRAM [ARGUMENT...]\n");
    return 1;
  }
  ioring::DenyIoUring(std::strcmp(argv[1], "EPERM") == 0 ? EPERM : ENOSYS);
  execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 1;
}

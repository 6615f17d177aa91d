// Where something was measured, and by what it was compiled. Linux.
#ifndef IORING_BENCH_MACHINE_H_
#define IORING_BENCH_MACHINE_H_

#include <cstdint>
#include <string>

namespace ioring {

struct Machine {
  std::string processor;  // "AMD EPYC 9654"
  int processors = 0;
  uint64_t memory_bytes = 0;
  std::string kernel;    // "Linux 6.18.44"
  std::string compiler;  // of this program
  std::string flags;     // what of the compiler's flags a program can tell by itself

  // "AMD EPYC 9654, 2 processors, 24 GiB, Linux 6.18.44".
  std::string ToString() const;
};

Machine ThisMachine();

}  // namespace ioring

#endif  // IORING_BENCH_MACHINE_H_

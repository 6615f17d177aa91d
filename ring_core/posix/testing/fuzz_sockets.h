// Pairs of sockets and pipes for the fuzzer.
#ifndef IORING_RING_CORE_POSIX_TESTING_FUZZ_SOCKETS_H_
#define IORING_RING_CORE_POSIX_TESTING_FUZZ_SOCKETS_H_

#include "ring/fuzzing/fuzz.h"

namespace ioring::posix {

// Unix-domain pairs of streams and of datagrams, and pipes.
FuzzSockets SocketsForFuzzing();

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_TESTING_FUZZ_SOCKETS_H_

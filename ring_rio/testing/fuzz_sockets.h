// Pairs of sockets for the fuzzer.
#ifndef IORING_RING_RIO_TESTING_FUZZ_SOCKETS_H_
#define IORING_RING_RIO_TESTING_FUZZ_SOCKETS_H_

#include "ring/fuzzing/fuzz.h"

namespace ioring::rio {

// Streams over the loopback. Winsock has no pairs of datagrams that lose none.
FuzzSockets SocketsForFuzzing();

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_TESTING_FUZZ_SOCKETS_H_

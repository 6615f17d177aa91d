// An option of sockets that the conformance suite needs.
#ifndef IORING_RING_RIO_TESTING_SET_LINGER_H_
#define IORING_RING_RIO_TESTING_SET_LINGER_H_

#include <chrono>

#include "ring/options.h"

namespace ioring::rio {

// Sets SO_LINGER.
void SetLinger(NativeHandle socket, std::chrono::seconds time);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_TESTING_SET_LINGER_H_

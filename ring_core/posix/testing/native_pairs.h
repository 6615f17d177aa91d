// What the conformance suite needs of POSIX systems: kinds of message sockets, and an option.
#ifndef IORING_RING_CORE_POSIX_TESTING_NATIVE_PAIRS_H_
#define IORING_RING_CORE_POSIX_TESTING_NATIVE_PAIRS_H_

#include <chrono>
#include <vector>

#include "ring/conformance/native_sockets.h"
#include "ring/options.h"

namespace ioring::posix {

// UDP over IPv4 and IPv6, Unix-domain datagrams, and Unix-domain sequenced packets.
std::vector<NativeKind> NativeKinds();

// Sets SO_LINGER.
void SetLinger(NativeHandle socket, std::chrono::seconds time);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_TESTING_NATIVE_PAIRS_H_

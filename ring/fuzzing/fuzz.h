// The fuzzer: random programs over the whole interface of a ring, against a model of ring/ring.h.
//
// A backend's test links //ring/fuzzing and names the backend once for each mask
// (ring/conformance/masks.h):
//
//   INSTANTIATE_TEST_SUITE_P(Uring, RingFuzz, testing::ValuesIn(Backends()), FuzzName);
//
// A seed makes a program: a ring with its limits, and steps that prepare, submit, wait, take and
// give back. The model knows what was accepted, and says of each completion whether the contract
// allows it: one final completion for each operation, errors that have a cause, bytes of a stream
// once and in order and from the right peer, datagrams whole, cancelled operations that end,
// nothing left after a drain. What is to go on and does not is a failure as well. Programs stay the
// same on every system; what a ring does in its own time does not, so that a failure of a rare
// order may need several runs.
//
// Environment, all of it optional:
//   IORING_FUZZ_SEED       the first seed (1)
//   IORING_FUZZ_PROGRAMS   how many programs, with the seeds that follow (FuzzBackend::programs)
//   IORING_FUZZ_STEPS      only so many first steps of each program, to find what a failure needs
//   IORING_FUZZ_WITHOUT    names of steps that are left out, as "deadline,open a datagram socket"
//   IORING_FUZZ_FAILURES   after how many failed programs a test ends (1)
//   IORING_FUZZ_TRACE      1: says what happens while it happens, for a program that ends the
//   process
#ifndef IORING_RING_FUZZING_FUZZ_H_
#define IORING_RING_FUZZING_FUZZ_H_

#include <array>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

// Pairs of connected sockets that the system makes, for Ring::RegisterSocket, and pipes for
// Ring::RegisterFile: the end that reads and the one that writes.
struct FuzzSockets {
  enum class Kind { kStream, kDatagram, kPipe };
  std::function<absl::StatusOr<std::array<NativeHandle, 2>>(Kind kind)> make_pair;
  std::function<void(NativeHandle socket)> close;
};

// A backend under one mask.
struct FuzzBackend {
  // Of the mask; letters and digits.
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Ring>>(const RingOptions&)> create;
  CapabilitySet disabled;
  // Further options, applied to every ring; may be empty.
  std::function<void(RingOptions&)> adjust;
  // Empty where no sockets are registered.
  FuzzSockets sockets;
  // Programs of a run where the environment does not say.
  int programs = 40;
};

// The last part of a test's name.
std::string FuzzName(const testing::TestParamInfo<FuzzBackend>& info);
void PrintTo(const FuzzBackend& backend, std::ostream* out);

class RingFuzz : public testing::TestWithParam<FuzzBackend> {};

}  // namespace ioring

#endif  // IORING_RING_FUZZING_FUZZ_H_

// Mutate: a text that is like others, but not quite.
#ifndef IORING_RING_FUZZING_TESTING_MUTATION_H_
#define IORING_RING_FUZZING_TESTING_MUTATION_H_

#include <span>
#include <string>

#include "ring/fuzzing/random.h"

namespace ioring::fuzzing {

// One of `corpus`, which is not empty, changed in a few places: bytes, parts of it, numbers, and
// parts of another one.
std::string Mutate(Random& random, std::span<const std::string> corpus);

}  // namespace ioring::fuzzing

#endif  // IORING_RING_FUZZING_TESTING_MUTATION_H_

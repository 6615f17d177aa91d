// The parsers of what comes from outside, as functions over any bytes.
#ifndef IORING_RING_FUZZING_TESTING_PARSERS_H_
#define IORING_RING_FUZZING_TESTING_PARSERS_H_

#include <span>
#include <string>
#include <string_view>

namespace ioring::fuzzing {

struct Parsed {
  bool accepted = false;
  // What breaks the parser's promises; empty: nothing. An error must be InvalidArgument with a
  // sentence that can be printed. A value that is written again and read again must be the same.
  std::string problem;
};

struct FuzzedParser {
  std::string_view name;  // also of its folder in corpus/
  Parsed (*parse)(std::string_view text);
};

// endpoint: addresses. json: reports that programs of this repository write. limit, shape: values
// of flags.
std::span<const FuzzedParser> FuzzedParsers();

}  // namespace ioring::fuzzing

#endif  // IORING_RING_FUZZING_TESTING_PARSERS_H_

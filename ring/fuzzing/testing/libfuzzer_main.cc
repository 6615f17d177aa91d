// The parsers for libFuzzer, which has the main(); fuzz_parsers builds and runs it. The parser is
// named by IORING_FUZZ_PARSER.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ring/fuzzing/testing/parsers.h"

// Names that libFuzzer looks for.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

const ioring::fuzzing::FuzzedParser* the_parser = nullptr;

}  // namespace

int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  const char* const name = std::getenv("IORING_FUZZ_PARSER");
  for (const ioring::fuzzing::FuzzedParser& parser : ioring::fuzzing::FuzzedParsers()) {
    if (name != nullptr && parser.name == name) the_parser = &parser;
  }
  if (the_parser != nullptr) return 0;
  std::fprintf(stderr, "IORING_FUZZ_PARSER has to name a parser:");
  for (const ioring::fuzzing::FuzzedParser& parser : ioring::fuzzing::FuzzedParsers()) {
    std::fprintf(stderr, " %s", std::string(parser.name).c_str());
  }
  std::fprintf(stderr, "\n");
  std::exit(1);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Bytes as characters: no other view of them exists.
  const auto* const text = reinterpret_cast<const char*>(data);
  const std::string problem = the_parser->parse(std::string_view(text, size)).problem;
  if (problem.empty()) return 0;
  std::fprintf(stderr, "%s\n", problem.c_str());
  std::abort();
}

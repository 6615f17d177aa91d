// The parsers over the texts in corpus/, and over texts that are made of these by a seed.
// Environment, all of it optional:
//   IORING_FUZZ_SEED   the first seed (1)
//   IORING_FUZZ_TEXTS  how many texts of each parser, with the seeds that follow (20,000)
#include "ring/fuzzing/testing/parsers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/fuzzing/at_death.h"
#include "ring/fuzzing/random.h"
#include "ring/fuzzing/testing/mutation.h"

namespace ioring::fuzzing {
namespace {

// What runs, for a text that ends the process.
std::string running;

void Tell() { std::fprintf(stderr, "The text that ended the process: %s\n", running.c_str()); }

// In memory that has no byte more than the text, so that AddressSanitizer sees who reads on.
Parsed Try(const FuzzedParser& parser, std::string_view text, std::string_view of) {
  running = absl::StrCat(parser.name, ", ", of, ": \"", absl::CHexEscape(text), "\"");
  TellAtDeath(&Tell);
  const std::vector<char> bytes(text.begin(), text.end());
  return parser.parse(std::string_view(bytes.data(), bytes.size()));
}

// The files of its corpus, in the order of their names. Tests begin in the root of the repository.
std::vector<std::string> CorpusOf(const FuzzedParser& parser) {
  const std::string folder = absl::StrCat("ring/fuzzing/testing/corpus/", parser.name);
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.is_open()) << path;
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return texts;
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = 0;
  if (text == nullptr) return otherwise;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << name << " is no number: " << text;
  return value;
}

TEST(Parsers, KeepTheirPromisesForTheCorpus) {
  for (const FuzzedParser& parser : FuzzedParsers()) {
    size_t accepted = 0;
    const std::vector<std::string> corpus = CorpusOf(parser);
    for (const std::string& text : corpus) {
      const Parsed parsed = Try(parser, text, "corpus");
      EXPECT_EQ(parsed.problem, "") << running;
      accepted += parsed.accepted ? 1 : 0;
    }
    EXPECT_GE(accepted, 1u) << parser.name << " refuses its whole corpus";
    EXPECT_LT(accepted, corpus.size()) << parser.name << " accepts its whole corpus";
  }
}

TEST(Parsers, KeepTheirPromisesForWhatIsLikeTheCorpus) {
  const uint64_t first = FromEnvironment("IORING_FUZZ_SEED", 1);
  const uint64_t texts = FromEnvironment("IORING_FUZZ_TEXTS", 20'000);
  for (const FuzzedParser& parser : FuzzedParsers()) {
    const std::vector<std::string> corpus = CorpusOf(parser);
    ASSERT_FALSE(corpus.empty()) << parser.name;
    uint64_t accepted = 0;
    for (uint64_t seed = first; seed < first + texts; ++seed) {
      Random random(seed);
      const Parsed parsed = Try(parser, Mutate(random, corpus), absl::StrCat("seed ", seed));
      ASSERT_EQ(parsed.problem, "") << running;
      accepted += parsed.accepted ? 1 : 0;
    }
    // So that what comes after the first look is tried, too.
    EXPECT_GT(accepted, texts / 200) << parser.name << " refuses nearly everything";
    EXPECT_LT(accepted, texts) << parser.name << " refuses nothing";
  }
}

}  // namespace
}  // namespace ioring::fuzzing

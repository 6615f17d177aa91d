#include "ring/fuzzing/fuzz.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"
#include "ring/fuzzing/at_death.h"
#include "ring/fuzzing/program.h"

namespace ioring {
namespace {

using fuzzing::Program;

constexpr size_t kLinesShown = 60;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = 0;
  if (text == nullptr) return otherwise;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << name << " is no number: " << text;
  return value;
}

// What runs, for a program that ends the process.
const Program* running = nullptr;
const FuzzBackend* running_on = nullptr;
uint64_t running_seed = 0;

void Tell() {
  if (running == nullptr) return;
  std::fprintf(stderr, "The fuzzer's program with seed %llu on %s ended the process:\n",
               static_cast<unsigned long long>(running_seed), running_on->name.c_str());
  const std::vector<std::string>& log = running->log();
  const size_t from = log.size() > kLinesShown ? log.size() - kLinesShown : 0;
  for (size_t i = from; i < log.size(); ++i) std::fprintf(stderr, "%s\n", log[i].c_str());
  std::fflush(stderr);
  running = nullptr;
}

// What was wrong, and the steps that it took. `program` is left to whatever is still in flight.
struct Verdict {
  std::string failure;
  uint32_t steps = 0;
  std::vector<std::string> log;
};

Verdict RunOne(const FuzzBackend& backend, uint64_t seed, const Program::Limits& limits) {
  // What the books of the ring find is a failure of the program, not yet of the test.
  testing::TestPartResultArray breaches;
  Verdict verdict;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &breaches);
    auto program = std::make_unique<Program>(backend, seed, limits);
    running = program.get();
    running_on = &backend;
    running_seed = seed;
    verdict.failure = program->Run();
    for (int i = 0; i < breaches.size(); ++i) {
      absl::StrAppend(&verdict.failure, verdict.failure.empty() ? "" : "\n",
                      breaches.GetTestPartResult(i).message());
    }
    verdict.steps = program->steps();
    if (!verdict.failure.empty()) {
      verdict.log = program->log();
      if (program->alive()) static_cast<void>(program.release());
    }
    program.reset();
    running = nullptr;
  }
  return verdict;
}

// The fewest first steps that fail, as far as halving finds them.
Verdict Shorten(const FuzzBackend& backend, uint64_t seed, Program::Limits limits,
                Verdict verdict) {
  uint32_t fails = verdict.steps;
  uint32_t passes = 0;
  while (passes + 1 < fails) {
    const uint32_t middle = passes + (fails - passes) / 2;
    limits.steps = middle;
    Verdict shorter = RunOne(backend, seed, limits);
    if (shorter.failure.empty()) {
      passes = middle;
    } else {
      fails = middle;
      verdict = std::move(shorter);
    }
  }
  return verdict;
}

std::string Describe(const FuzzBackend& backend, uint64_t seed, const Verdict& verdict) {
  std::string text =
      absl::StrCat("IORING_FUZZ_SEED=", seed, " IORING_FUZZ_PROGRAMS=1, ", backend.name, ", ",
                   verdict.steps, " steps: ", verdict.failure, "\n");
  const size_t from = verdict.log.size() > kLinesShown ? verdict.log.size() - kLinesShown : 0;
  for (size_t i = from; i < verdict.log.size(); ++i) absl::StrAppend(&text, verdict.log[i], "\n");
  return text;
}

TEST_P(RingFuzz, RandomPrograms) {
  const FuzzBackend& backend = GetParam();
  const uint64_t first = FromEnvironment("IORING_FUZZ_SEED", 1);
  const uint64_t programs =
      FromEnvironment("IORING_FUZZ_PROGRAMS", static_cast<uint64_t>(backend.programs));
  Program::Limits limits;
  limits.steps = static_cast<uint32_t>(FromEnvironment("IORING_FUZZ_STEPS", limits.steps));
  if (const char* const without = std::getenv("IORING_FUZZ_WITHOUT")) limits.without = without;
  limits.trace = FromEnvironment("IORING_FUZZ_TRACE", 0) != 0;
  uint64_t failures_left = FromEnvironment("IORING_FUZZ_FAILURES", 1);
  const bool shorten = failures_left == 1;
  TellAtDeath(&Tell);
  for (uint64_t seed = first; seed < first + programs && failures_left > 0; ++seed) {
    Verdict verdict = RunOne(backend, seed, limits);
    if (verdict.failure.empty()) continue;
    --failures_left;
    if (shorten) verdict = Shorten(backend, seed, limits, std::move(verdict));
    ADD_FAILURE() << Describe(backend, seed, verdict);
  }
}

}  // namespace

std::string FuzzName(const testing::TestParamInfo<FuzzBackend>& info) { return info.param.name; }

void PrintTo(const FuzzBackend& backend, std::ostream* out) { *out << backend.name; }

}  // namespace ioring

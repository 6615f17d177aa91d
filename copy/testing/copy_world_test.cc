// The engine, as it is, in a simulated world: random trees, faults of the disk, and an end at any
// change of it, with or without a loss of power. What must hold:
//  - Each file of the destination is the source's, with its permissions and times, or what was
//    there before; also after a loss of power, with --sync.
//  - A run that tells no problem has copied all; with --sync, a loss of power then takes nothing,
//    and after a stop nothing that counts as copied.
//  - A run with --resume makes all of it complete, hard links and holes too, and leaves no
//    temporary name.
//  - The source is as it was, and no descriptor is left.
// And the same where one call fails, which may be any: a copy that is not complete is told.
// Environment:
//   IORING_COPY_WORLD_SEED   the first seed (1)
//   IORING_COPY_WORLD_SEEDS  how many (3000)
//   IORING_COPY_WORLD_TREES  of how many trees each call fails, and each change is the last (5)
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "copy/engine.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/testing/system_simulated.h"
#include "copy/testing/trees.h"
#include "gtest/gtest.h"
#include "ring/file.h"
#include "ring/fuzzing/at_death.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"
#include "ring_sim/network.h"
#include "ring_sim/options.h"
#include "ring_sim/random.h"
#include "ring_sim/simulated_world.h"

namespace ioring::copy {
namespace {

using sim::Random;

// Of which a copy has few directories open at once.
constexpr size_t kFewDescriptors = 64;

// ---- What a seed makes.

// What is given as sources.
enum class Form : uint8_t { kDirectory, kContent, kEntries };

// How a run ends.
enum class End : uint8_t { kByItself, kStopped, kKilled };

struct Ending {
  End end = End::kByItself;
  uint64_t changes = 0;      // until it is killed
  int64_t stop_ns = 0;       // until it is stopped
  bool loses_power = false;  // then
};

struct Plan {
  Form form = Form::kDirectory;
  Options options;
  sim::Faults faults;
  bool has_errors = false;      // faults that are told as problems
  std::vector<Ending> endings;  // of the runs before the last one, which nothing goes wrong with
  bool begins_dry = false;      // with a dry run
  std::optional<uint64_t> failing_call;
};

Options DrawOptions(Random& random) {
  static constexpr std::array kMethods = {Method::kAuto,   Method::kAuto,    Method::kAuto,
                                          Method::kFixed,  Method::kManaged, Method::kPlain,
                                          Method::kKernel, Method::kReflink};
  Options options;
  options.rings = 1;
  options.method = kMethods[random.Below(kMethods.size())];
  const bool shares = options.method == Method::kKernel || options.method == Method::kReflink;
  options.reflink = shares || random.Below(2) == 0;
  options.depth = options.direct_depth = static_cast<uint32_t>(1 + random.Below(4));
  options.chunk_bytes = options.direct_chunk_bytes =
      static_cast<uint32_t>(4'096 * (1 + random.Below(8)));
  const bool may_be_direct = !shares && options.method != Method::kManaged;
  if (may_be_direct && random.Below(5) == 0) options.direct = Direct::kAlways;
  options.verify = random.Below(4) == 0;
  options.sync = random.Below(2) == 0;
  return options;
}

Ending DrawEnding(Random& random, size_t entries, bool has_errors) {
  Ending ending;
  const uint64_t end = random.Below(has_errors ? 3 : 6);
  ending.end = end == 0 ? End::kByItself : end == 1 ? End::kStopped : End::kKilled;
  ending.changes = random.Below(6 * entries + 4);
  ending.stop_ns = random.Between(0, 500'000);
  ending.loses_power = random.Below(2) == 0;
  return ending;
}

Plan Draw(Random& random, size_t entries) {
  Plan plan;
  if (entries != 0 && random.Below(3) == 0) {
    plan.form = random.Below(2) == 0 ? Form::kContent : Form::kEntries;
  }
  plan.options = DrawOptions(random);
  plan.faults.disk_delay_max_ns = 100'000;
  if (random.Below(2) == 0) plan.faults.short_file_transfer = 300'000;
  plan.has_errors = random.Below(3) == 0;
  if (plan.has_errors) {
    const auto chance = static_cast<uint32_t>(uint64_t{200} << random.Below(7));
    if (random.Below(2) == 0) plan.faults.disk_error = chance;
    if (random.Below(2) == 0) plan.faults.disk_full = chance;
    if (random.Below(2) == 0) plan.faults.no_descriptor = chance;
  }
  for (uint64_t runs = 1 + random.Below(2); runs > 0; --runs) {
    plan.endings.push_back(DrawEnding(random, entries, plan.has_errors));
  }
  plan.begins_dry = random.Below(8) == 0;
  return plan;
}

std::string Describe(const Plan& plan) {
  std::string text = absl::StrCat("form ", static_cast<int>(plan.form), ", method ",
                                  MethodName(plan.options.method), ", direct ",
                                  DirectName(plan.options.direct), ", verify ", plan.options.verify,
                                  ", sync ", plan.options.sync, ", errors ", plan.has_errors);
  for (const Ending& ending : plan.endings) {
    absl::StrAppend(&text, "; ends by ", static_cast<int>(ending.end), " after ", ending.changes,
                    " changes, loses power ", ending.loses_power);
  }
  if (plan.failing_call.has_value())
    absl::StrAppend(&text, "; call ", *plan.failing_call, " fails");
  return text;
}

// ---- Runs.

struct Counts {
  uint64_t seeds = 0;
  uint64_t entries = 0;
  uint64_t whole = 0;   // runs before the last one that told no problem
  uint64_t broken = 0;  // that were killed
  uint64_t torn = 0;    // that lost power without --sync
  uint64_t left = 0;    // temporary names that there were before the last one
};

class CopyWorld {
 public:
  explicit CopyWorld(uint64_t seed, const std::optional<Plan>& plan = std::nullopt)
      : seed_(seed),
        random_(~seed),
        world_(seed, {.unnamed_files = seed % 3 != 0}),
        host_(world_.AddHost("host")),
        disk_(world_.disk(host_)),
        system_(world_, host_, IsDeep() ? kFewDescriptors : SimulatedSystem::kDescriptorsMax) {
    if (!IsDeep()) TreeMaker(disk_, random_).Make("/from");
    if (IsDeep()) TreeMaker(disk_, random_).Make("/from", /*levels=*/8);
    from_ = LookAt(disk_, "/from");
    plan_ = plan.has_value() ? *plan : Draw(random_, from_.size());
    disk_.MakeDirectories("/to");
    if (random_.Below(2) == 0) {
      TreeMaker(disk_, random_).MakeOlder("/to/from", from_);
    } else if (plan_.form != Form::kDirectory) {
      disk_.MakeDirectories("/to/from");
    }
    before_ = LookAt(disk_, "/to/from");
    disk_.SyncAll();
    current = this;
  }
  CopyWorld(const CopyWorld&) = delete;
  CopyWorld& operator=(const CopyWorld&) = delete;
  ~CopyWorld() { current = nullptr; }

  // In which world the process ends.
  static void Tell() {
    if (current == nullptr) return;
    const std::string text =
        absl::StrCat("in the world of seed ", current->seed_, ": ", Describe(current->plan_),
                     ", run ", current->run_, "\n", current->LogText());
    std::fputs(text.c_str(), stderr);
  }

  // What is wrong; empty where nothing is.
  std::string Run(Counts& counts) {
    ++counts.seeds;
    counts.entries += from_.size();
    std::string wrong = plan_.begins_dry ? RunDry() : "";
    for (size_t i = 0; i < plan_.endings.size() && wrong.empty(); ++i) {
      wrong = RunToItsEnd(plan_.endings[i], /*resume=*/i != 0, counts);
    }
    if (wrong.empty()) wrong = RunLast(counts);
    return wrong.empty() ? wrong : absl::StrCat(wrong, " (", Describe(plan_), ")");
  }
  // Whether Plan::failing_call was made.
  bool has_failed() const { return has_failed_; }
  uint64_t digest() const { return world_.digest(); }
  std::string LogText() const { return world_.LogText(); }

 private:
  // Of some seeds the tree is deeper than what a copy may have open at once.
  bool IsDeep() const { return seed_ % 7 == 0; }
  // Whether it told no problem.
  bool Copy(const Options& options) {
    Engine engine([&](const RingOptions& wanted) { return world_.CreateRing(host_, wanted); },
                  options);
    std::vector<std::string> sources;
    if (plan_.form == Form::kDirectory) sources = {"/from"};
    if (plan_.form == Form::kContent) sources = {"/from/."};
    if (plan_.form == Form::kEntries) {
      for (const auto& [name, inode] : disk_.Find("/from")->entries) {
        sources.push_back(absl::StrCat("/from/", name));
      }
    }
    running_ = &engine;
    const absl::Status status =
        engine.Run(sources, plan_.form == Form::kDirectory ? "/to" : "/to/from");
    running_ = nullptr;
    ++run_;
    told_ = std::string(status.message());
    for (const Problem& problem : engine.report().problems) {
      absl::StrAppend(&told_, "\n", problem.path, ": ", problem.reason);
    }
    const Counters& counters = engine.report().counters;
    copied_ = counters.files + counters.hard_links + counters.symbolic_links;
    return status.ok() && counters.problems == 0 && !engine.report().is_stopped;
  }

  std::string RunDry() {
    Options options = plan_.options;
    options.dry_run = true;
    const uint64_t changes = disk_.changes();
    if (!Copy(options)) return absl::StrCat("the dry run failed: ", told_);
    return disk_.changes() == changes ? "" : "the dry run changed something";
  }

  Options OptionsOf(bool resume) const {
    Options options = plan_.options;
    options.resume = resume;
    // Files that were torn look complete otherwise.
    if (is_torn_) options.verify = true;
    return options;
  }

  std::string RunToItsEnd(const Ending& ending, bool resume, Counts& counts) {
    world_.faults() = plan_.faults;
    bool is_broken = false;
    if (ending.end == End::kKilled) {
      disk_.BreakAfter(ending.changes, [&] {
        is_broken = true;
        running_->Stop();
      });
    } else if (ending.end == End::kStopped) {
      world_.After(std::chrono::nanoseconds(ending.stop_ns), [this, run = run_] {
        if (running_ != nullptr && run == run_) running_->Stop();
      });
    }
    const uint64_t calls = disk_.calls();
    if (plan_.failing_call.has_value()) disk_.FailOnceAfter(*plan_.failing_call);
    const bool is_whole = Copy(OptionsOf(resume)) && !is_broken;
    if (disk_.calls() - calls > plan_.failing_call.value_or(disk_.calls())) has_failed_ = true;
    world_.faults() = {};
    if (is_whole) is_torn_ = false;
    if (ending.loses_power && !plan_.options.sync) is_torn_ = true;
    if (ending.loses_power) world_.LosePower(host_);
    disk_.Repair();
    counts.whole += is_whole ? 1 : 0;
    counts.broken += is_broken ? 1 : 0;
    counts.torn += is_torn_ ? 1 : 0;
    const bool may_fail = plan_.has_errors || ending.end != End::kByItself;
    if (!is_whole && !may_fail) return absl::StrCat("a run failed: ", told_);
    const Tree to = LookAt(disk_, "/to/from");
    if (plan_.options.sync && !plan_.has_errors && !is_broken && CountCopies(from_, to) < copied_) {
      return absl::StrCat("of ", copied_, " that count as copied, ", CountCopies(from_, to),
                          " last");
    }
    if (!is_whole || is_torn_) return CheckEach(from_, before_, to, is_torn_);
    const bool may_be_left = resume && plan_.has_errors;
    return CheckWhole(from_, to, may_be_left ? Temporary::kAnywhere : Temporary::kNowhere);
  }

  std::string RunLast(Counts& counts) {
    for (const auto& [path, seen] : LookAt(disk_, "/to/from")) {
      counts.left += IsTemporary(path) ? 1 : 0;
    }
    world_.faults() = {.short_file_transfer = plan_.faults.short_file_transfer};
    if (!Copy(OptionsOf(/*resume=*/true))) return absl::StrCat("the last run failed: ", told_);
    std::string wrong = CheckWhole(from_, LookAt(disk_, "/to/from"), Temporary::kNowhere);
    if (!wrong.empty()) return absl::StrCat("after the last run: ", wrong);
    wrong = CheckWhole(LookAt(disk_, "/from"), from_, Temporary::kNowhere);
    if (!wrong.empty()) return absl::StrCat("the source: ", wrong);
    const size_t open = world_.descriptors(host_).size();
    return open == 0 ? "" : absl::StrCat(open, " descriptors are left");
  }

  static inline const CopyWorld* current = nullptr;

  const uint64_t seed_;
  Random random_;
  SimulatedWorld world_;
  const sim::HostId host_;
  sim::Disk& disk_;
  SimulatedSystem system_;
  Tree from_;
  Tree before_;
  Plan plan_;
  bool is_torn_ = false;
  bool has_failed_ = false;
  Engine* running_ = nullptr;
  int run_ = 0;
  std::string told_;     // by the last run
  uint64_t copied_ = 0;  // that counted so in it, but for directories
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = otherwise;
  CHECK(text == nullptr || absl::SimpleAtoi(text, &value)) << name << " is no number: " << text;
  return value;
}

TEST(CopyWorld, EachFileIsCompleteOrAsItWas) {
  const uint64_t first = FromEnvironment("IORING_COPY_WORLD_SEED", 1);
  const uint64_t seeds = FromEnvironment("IORING_COPY_WORLD_SEEDS", 3'000);
  TellAtDeath(&CopyWorld::Tell);
  Counts counts;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    CopyWorld world(seed);
    const std::string wrong = world.Run(counts);
    ASSERT_EQ(wrong, "") << "seed " << seed << ", after " << seed - first
                         << " others; again by IORING_COPY_WORLD_SEED=" << seed
                         << " IORING_COPY_WORLD_SEEDS=1\n"
                         << (seeds == 1 ? world.LogText() : "");
  }
  std::printf(
      "%llu seeds ran, from %llu on, with %llu entries: %llu runs were whole, %llu "
      "were killed, %llu lost power without --sync; %llu temporary names were left\n",
      static_cast<unsigned long long>(counts.seeds), static_cast<unsigned long long>(first),
      static_cast<unsigned long long>(counts.entries),
      static_cast<unsigned long long>(counts.whole), static_cast<unsigned long long>(counts.broken),
      static_cast<unsigned long long>(counts.torn), static_cast<unsigned long long>(counts.left));
  if (seeds < 100) return;
  EXPECT_GT(counts.entries, 5 * seeds) << "too little for a test";
  EXPECT_GT(counts.whole, seeds / 20);
  EXPECT_GT(counts.broken, seeds / 5);
  EXPECT_GT(counts.torn, seeds / 10);
  EXPECT_GT(counts.left, 0u);
}

// For the tests that try every place of a fault. The last one is a deep tree.
std::span<const uint64_t> Trees() {
  static constexpr std::array<uint64_t, 5> kTrees = {1, 2, 3, 4, 7};
  const uint64_t count = FromEnvironment("IORING_COPY_WORLD_TREES", kTrees.size());
  CHECK(count >= 1 && count <= kTrees.size()) << "IORING_COPY_WORLD_TREES=" << count;
  return std::span(kTrees).last(count);
}
std::vector<Options> Cases() {
  return {{.rings = 1},
          {.rings = 1, .sync = true},
          {.reflink = false, .rings = 1},
          {.method = Method::kReflink, .rings = 1, .sync = true},
          {.method = Method::kKernel, .rings = 1},
          {.method = Method::kFixed, .rings = 1, .verify = true},
          {.method = Method::kManaged, .chunk_bytes = 8'192, .rings = 1, .sync = true},
          {.method = Method::kPlain, .direct = Direct::kAlways, .rings = 1}};
}

// Each call in turn fails, of a copy of each of some trees.
TEST(CopyWorld, NoFailureIsLost) {
  TellAtDeath(&CopyWorld::Tell);
  uint64_t calls = 0;
  for (const Options& options : Cases()) {
    for (const uint64_t seed : Trees()) {
      // Also of the one that follows, with --resume.
      Plan plan{.options = options, .has_errors = true, .endings = {Ending{}, Ending{}}};
      bool has_failed = true;
      for (uint64_t call = 0; has_failed; ++call, ++calls) {
        plan.failing_call = call;
        CopyWorld world(seed, plan);
        Counts counts;
        ASSERT_EQ(world.Run(counts), "") << "tree " << seed << ", where call " << call << " fails";
        has_failed = world.has_failed();
      }
    }
  }
  std::printf("%llu calls failed\n", static_cast<unsigned long long>(calls));
  EXPECT_GT(calls, 40 * Trees().size() * Cases().size());
}

// Each change in turn is not made, and none after it.
TEST(CopyWorld, AnyChangeMayBeTheLast) {
  TellAtDeath(&CopyWorld::Tell);
  uint64_t ends = 0;
  for (const Options& options : Cases()) {
    for (const uint64_t seed : Trees()) {
      Counts counts;
      for (uint64_t change = 0; counts.broken == change; ++change, ++ends) {
        Ending ending{.end = End::kKilled, .changes = change, .loses_power = options.sync};
        CopyWorld world(seed, Plan{.options = options, .endings = {ending}});
        ASSERT_EQ(world.Run(counts), "") << "tree " << seed << ", ended at change " << change;
      }
    }
  }
  EXPECT_GT(ends, 10 * Trees().size() * Cases().size());
}

// ---- Directories that are let go of while those in them are copied.

class DeepCopy {
 public:
  static constexpr int kLevels = 60;
  // Let go of when the lowest one is copied.
  static constexpr int kMoved = 40;

  DeepCopy()
      : random_(1),
        world_(1, {}),
        host_(world_.AddHost("host")),
        disk_(world_.disk(host_)),
        system_(world_, host_, kFewDescriptors) {
    TreeMaker(disk_, random_).MakeChain("/from", kLevels);
    TreeMaker(disk_, random_).MakeChain("/aside", 1);
    CHECK_EQ(disk_.Call(request::UnlinkDirectory{"/aside/d"}, nullptr, nullptr), 0);
    disk_.MakeDirectories("/to");
    // Of each call, so that there is time between them.
    world_.faults().disk_delay_max_ns = 100'000;
  }

  static std::string Level(std::string_view top, int level) {
    std::string path(top);
    for (int i = 0; i < level; ++i) absl::StrAppend(&path, "/d");
    return path;
  }
  // What the copy tells; nothing: it is whole.
  std::string Copy(const Options& options) {
    Engine engine([&](const RingOptions& wanted) { return world_.CreateRing(host_, wanted); },
                  options);
    is_running_ = true;
    std::string told(engine.Run({"/from"}, "/to").message());
    is_running_ = false;
    for (const Problem& problem : engine.report().problems) {
      absl::StrAppend(&told, problem.path, ": ", problem.reason, "\n");
    }
    return told;
  }
  // Once the copy has reached the lowest level.
  void RenameAtLowest(const std::string& from, const std::string& to) {
    world_.After(std::chrono::microseconds(1), [=, this] {
      if (!is_running_) return;
      if (disk_.Find(Level("/to/from", kLevels)) != nullptr) return Rename(from, to);
      RenameAtLowest(from, to);
    });
  }
  void Rename(const std::string& from, const std::string& to) {
    const request::Rename call{from.c_str(), to.c_str(), RenameMode::kReplace};
    CHECK_EQ(disk_.Call(call, nullptr, nullptr), 0);
  }
  Tree Look(const std::string& path) const { return LookAt(disk_, path); }

 private:
  Random random_;
  SimulatedWorld world_;
  const sim::HostId host_;
  sim::Disk& disk_;
  SimulatedSystem system_;
  bool is_running_ = false;
};

TEST(DeepCopyWorld, NeedsFewDescriptors) {
  for (const Options& options : Cases()) {
    DeepCopy world;
    EXPECT_EQ(world.Copy(options), "");
    EXPECT_EQ(CheckWhole(world.Look("/from"), world.Look("/to/from"), Temporary::kNowhere), "");
  }
}

// Of the source or of the copy; then what is missing is copied by another run.
TEST(DeepCopyWorld, WhatIsMovedMeanwhileLeadsNowhereElse) {
  for (const std::string top : {"/from", "/to/from"}) {
    DeepCopy world;
    const Tree from = world.Look("/from");
    const Tree aside = world.Look("/aside");
    const std::string moved = DeepCopy::Level(top, DeepCopy::kMoved);
    world.RenameAtLowest(moved, "/aside/d");
    const std::string told = world.Copy({.rings = 1});
    const std::string path = DeepCopy::Level("from", DeepCopy::kMoved - 1);
    EXPECT_TRUE(absl::StrContains(told, absl::StrCat(path, ": "))) << told;
    EXPECT_TRUE(absl::StrContains(told, "which was moved")) << told;
    world.Rename("/aside/d", moved);
    // Neither was anything put there, nor taken from there.
    EXPECT_EQ(CheckWhole(world.Look("/aside"), aside, Temporary::kNowhere), "") << top;
    EXPECT_EQ(CheckEach(from, {}, world.Look("/to/from"), /*is_torn=*/false), "") << top;
    EXPECT_FALSE(world.Look("/to/from").contains(path.substr(sizeof("from")) + "/z")) << top;
    EXPECT_TRUE(world.Look("/to/from").contains("z/file")) << "above those that were let go of";
    EXPECT_EQ(world.Copy({.rings = 1, .resume = true}), "") << top;
    // Renames have changed times of directories.
    EXPECT_EQ(CheckWhole(world.Look("/from"), world.Look("/to/from"), Temporary::kNowhere), "")
        << top;
  }
}

TEST(CopyWorld, ARunCanBeHadAgain) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    uint64_t digests[2];
    for (uint64_t& digest : digests) {
      CopyWorld world(seed);
      Counts counts;
      EXPECT_EQ(world.Run(counts), "");
      digest = world.digest();
    }
    EXPECT_EQ(digests[0], digests[1]) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ioring::copy

#include "ring_rio/testing/nothing_left.h"

#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "process/testing/handle_counter.h"
#include "ring/conformance/test_ring.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

using MakeRing = std::function<absl::StatusOr<std::unique_ptr<Ring>>(const RingOptions&)>;

constexpr RingOptions kOptions{
    .submission_entries = 64, .max_connections = 64, .max_operations = 64};

// Files are synced by a thread.
void WarmUpFiles(TestRing& ring) {
  const std::string path = absl::StrCat(testing::TempDir(), "/nothing_left");
  const absl::StatusOr<FileId> file = ring.OpenFile(
      path, {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
  ASSERT_TRUE(file.ok()) << file.status();
  const auto write = [&](Token token) {
    return ring.PrepareWrite(*file, 0, ring.Text("x"), token);
  };
  EXPECT_EQ(ring.Run(write).result(), 1);
  const auto sync = [&](Token token) {
    return ring.PrepareSync(*file, SyncMode::kDataAndMeta, token);
  };
  EXPECT_EQ(ring.Run(sync).result(), 0);
  EXPECT_TRUE(ring.CloseFile(*file).ok());
  std::remove(path.c_str());
}

class WarmUp : public testing::Environment {
 public:
  explicit WarmUp(MakeRing make_ring) : make_ring_(std::move(make_ring)) {}

  void SetUp() override {
    SCOPED_TRACE("GoogleTest has an eye on threads that trace");
    OutputDebugStringA("the log's channel\n");
    absl::StatusOr<std::unique_ptr<Ring>> made = make_ring_(kOptions);
    ASSERT_TRUE(made.ok()) << made.status();
    TestRing ring(*std::move(made), kOptions);
    ring.ExpectAlive(ring.MakePair());
    ring.Datagram();
    WarmUpFiles(ring);
    ring.Finish();
  }

 private:
  const MakeRing make_ring_;
};

class Listener : public testing::EmptyTestEventListener {
 public:
  explicit Listener(std::function<bool()> is_empty) : is_empty_(std::move(is_empty)) {}

  void OnTestStart(const testing::TestInfo& /*info*/) override { handles_ = Handles(); }
  void OnTestEnd(const testing::TestInfo& /*info*/) override {
    EXPECT_EQ(SettledHandles(), handles_) << "handles were left open";
    if (is_empty_) {
      EXPECT_TRUE(is_empty_()) << "Registered I/O has something left";
    }
  }

 private:
  static size_t Handles() { return OpenHandles(CountedHandles::kWithoutLocks); }

  // Threads that the case has ended may still be giving back theirs.
  size_t SettledHandles() const {
    const absl::Time deadline = absl::Now() + absl::Seconds(5);
    size_t now = Handles();
    while (now != handles_ && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(1));
      now = Handles();
    }
    return now;
  }

  const std::function<bool()> is_empty_;
  size_t handles_ = 0;  // at the start of the case
};

}  // namespace

bool ExpectNothingLeft(MakeRing make_ring, std::function<bool()> is_empty) {
  testing::AddGlobalTestEnvironment(new WarmUp(std::move(make_ring)));
  testing::UnitTest::GetInstance()->listeners().Append(new Listener(std::move(is_empty)));
  return true;
}

}  // namespace ioring::rio

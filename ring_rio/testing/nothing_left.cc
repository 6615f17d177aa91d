#include "ring_rio/testing/nothing_left.h"

#include <cstddef>
#include <functional>
#include <utility>

#include "buffer/handle_counter.h"
#include "gtest/gtest.h"

namespace ioring::rio {
namespace {

class Listener : public testing::EmptyTestEventListener {
 public:
  explicit Listener(std::function<bool()> is_empty) : is_empty_(std::move(is_empty)) {}

  void OnTestStart(const testing::TestInfo& /*info*/) override {
    if (handles_ == 0) handles_ = OpenHandles();
  }
  void OnTestEnd(const testing::TestInfo& /*info*/) override {
    // Winsock's, the heap's, and the system's pool of threads, which syncs files: all together,
    // so that what each case leaves adds up.
    constexpr size_t kOfLibraries = 16;
    EXPECT_LE(OpenHandles(), handles_ + kOfLibraries) << "handles were left open";
    if (is_empty_) {
      EXPECT_TRUE(is_empty_()) << "Registered I/O has something left";
    }
  }

 private:
  const std::function<bool()> is_empty_;
  size_t handles_ = 0;  // at the start of the first case
};

}  // namespace

bool ExpectNothingLeft(std::function<bool()> is_empty) {
  testing::UnitTest::GetInstance()->listeners().Append(new Listener(std::move(is_empty)));
  return true;
}

}  // namespace ioring::rio

// The bytes of a simulated file, and what a loss of power leaves of them.
#include "ring_sim/content.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "ring_sim/random.h"

namespace ioring::sim {
namespace {

// Against a string; and after a loss of power each sector is as at one of the last syncs, or new.
class Checked {
 public:
  Checked(uint64_t seed, bool syncs_fail) : random_(seed), syncs_fail_(syncs_fail) {}

  void Step() {
    switch (random_.Below(syncs_fail_ ? 7 : 6)) {
      case 0:
        return Resize(random_.Below(kBytesMax));
      case 1: {
        const uint64_t begin = random_.Below(kBytesMax);
        const uint64_t end = std::min<uint64_t>(text_.size(), begin + random_.Below(kBytesMax));
        if (begin >= end) return;
        content_.Punch(begin, end);
        std::fill(text_.begin() + static_cast<ptrdiff_t>(begin),
                  text_.begin() + static_cast<ptrdiff_t>(end), '\0');
        return;
      }
      case 2:
        return content_.Reserve(random_.Below(kBytesMax), kBytesMax);
      case 3:
        content_.Sync();
        if (!has_failed_) durable_.clear();
        return durable_.push_back(text_);
      case 6:
        content_.FailSync(random_);
        has_failed_ = true;
        return durable_.push_back(text_);
      default:
        return Write(random_.Below(kBytesMax), 1 + random_.Below(kBytesMax / 4));
    }
  }
  void Check() const {
    ASSERT_EQ(content_.Text(), text_);
    ASSERT_EQ(*used_ * Content::kSectorBytes, content_.allocated_bytes());
  }
  void CheckTorn() {
    content_.Tear(random_);
    const std::string torn = content_.Text();
    durable_.push_back(text_);
    EXPECT_TRUE(std::any_of(durable_.begin(), durable_.end(),
                            [&](const auto& text) { return text.size() == torn.size(); }));
    for (std::string& text : durable_) text.resize(kEnd);
    for (size_t begin = 0; begin < torn.size(); begin += Content::kSectorBytes) {
      const std::string_view sector = std::string_view(torn).substr(begin, Content::kSectorBytes);
      ASSERT_TRUE(std::any_of(durable_.begin(), durable_.end(), [&](std::string_view text) {
        return text.substr(begin, sector.size()) == sector;
      })) << begin;
    }
  }

 private:
  static constexpr uint64_t kBytesMax = 5'000;
  static constexpr uint64_t kEnd = 13 * Content::kSectorBytes;  // no file is longer

  void Resize(uint64_t size) {
    content_.Resize(size);
    text_.resize(size);
  }
  void Write(uint64_t offset, uint64_t bytes) {
    const std::string written(bytes, static_cast<char>('a' + random_.Below(26)));
    content_.Write(offset, reinterpret_cast<const std::byte*>(written.data()), bytes);
    text_.resize(std::max<size_t>(text_.size(), offset + bytes));
    text_.replace(offset, bytes, written);
  }

  Random random_;
  const bool syncs_fail_;
  bool has_failed_ = false;
  std::shared_ptr<uint64_t> used_ = std::make_shared<uint64_t>(0);
  Content content_{used_};
  std::string text_;
  std::vector<std::string> durable_ = {""};  // what may be so, but for the newest
};

TEST(Content, IsThatOfAString) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Checked checked(seed, /*syncs_fail=*/seed > 50);
    for (int step = 0; step < 60; ++step) {
      checked.Step();
      ASSERT_NO_FATAL_FAILURE(checked.Check());
    }
    ASSERT_NO_FATAL_FAILURE(checked.CheckTorn());
  }
}

}  // namespace
}  // namespace ioring::sim

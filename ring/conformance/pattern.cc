#include "ring/conformance/pattern.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "gtest/gtest.h"

namespace ioring {
namespace {

constexpr size_t kPeriodBytes = 65521;  // a prime: no size of a buffer divides it
using Table = std::array<std::byte, kPeriodBytes>;

const Table& Bytes() {
  static const Table table = [] {
    Table bytes;
    uint32_t state = 2463534242;  // xorshift32
    for (std::byte& value : bytes) {
      state ^= state << 13;
      state ^= state >> 17;
      state ^= state << 5;
      value = static_cast<std::byte>(state >> 24);
    }
    return bytes;
  }();
  return table;
}

// Calls `use` for each part of `memory` with the table's bytes that belong there.
template <typename Part, typename Use>
void ForEachPart(std::span<Part> memory, uint64_t place, Use use) {
  size_t done = 0;
  while (done < memory.size()) {
    const auto at = static_cast<size_t>((place + done) % kPeriodBytes);
    const size_t size = std::min(memory.size() - done, kPeriodBytes - at);
    use(memory.subspan(done, size), &Bytes()[at]);
    done += size;
  }
}

}  // namespace

Pattern::Pattern(uint32_t stream) : start_(stream * 7919u) {}

void Pattern::Fill(std::span<std::byte> memory, uint64_t offset) const {
  ForEachPart(memory, start_ + offset, [](std::span<std::byte> part, const std::byte* bytes) {
    std::memcpy(part.data(), bytes, part.size());
  });
}

testing::AssertionResult Pattern::Matches(std::span<const std::byte> memory,
                                          uint64_t offset) const {
  const std::byte* wrong = nullptr;
  ForEachPart(memory, start_ + offset,
              [&](std::span<const std::byte> part, const std::byte* bytes) {
                if (wrong != nullptr || std::memcmp(part.data(), bytes, part.size()) == 0) return;
                wrong = std::mismatch(part.data(), part.data() + part.size(), bytes).first;
              });
  if (wrong == nullptr) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "byte " << offset + static_cast<uint64_t>(wrong - memory.data())
         << " of the stream is wrong, which is byte " << wrong - memory.data() << " of "
         << memory.size();
}

}  // namespace ioring

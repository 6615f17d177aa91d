#include "ring/fuzzing/testing/mutation.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ring/fuzzing/random.h"

namespace ioring::fuzzing {
namespace {

constexpr size_t kBytesMax = 4096;
constexpr uint32_t kChangesMax = 6;

// At the edges of what numbers can be.
constexpr std::array<std::string_view, 14> kNumbers = {"0",
                                                       "-1",
                                                       "00",
                                                       "255",
                                                       "256",
                                                       "65535",
                                                       "65536",
                                                       "4294967295",
                                                       "4294967296",
                                                       "18446744073709551615",
                                                       "18446744073709551616",
                                                       "1e308",
                                                       "1e309",
                                                       "0.1"};

size_t Place(Random& random, const std::string& text) {
  return random.Below(static_cast<uint32_t>(text.size()) + 1);
}

// A part of it, which may be empty.
std::string_view Part(Random& random, const std::string& text) {
  const size_t begin = Place(random, text);
  const auto rest = static_cast<uint32_t>(text.size() - begin);
  return std::string_view(text).substr(begin, random.Below(std::min(rest, uint32_t{32}) + 1));
}

// Where there is no digit, the number goes between.
void SetNumber(Random& random, std::string& text) {
  constexpr std::string_view kDigits = "0123456789";
  const size_t begin = std::min(text.find_first_of(kDigits, Place(random, text)), text.size());
  const size_t end = std::min(text.find_first_not_of(kDigits, begin), text.size());
  text.replace(begin, end - begin, random.Of(kNumbers));
}

void Change(Random& random, std::string& text, const std::string& other) {
  const size_t place = Place(random, text);
  const auto any_byte = static_cast<char>(random.Below(256));
  switch (random.Below(9)) {
    case 0:
      text.insert(place, 1, any_byte);
      return;
    case 1:
      if (place < text.size()) text[place] = any_byte;
      return;
    case 2:
      if (place < text.size())
        text[place] = static_cast<char>(text[place] ^ (1 << random.Below(8)));
      return;
    case 3:
      text.erase(place, 1 + random.Below(8));
      return;
    case 4:
      text.resize(place);
      return;
    case 5:
      text.insert(place, std::string(Part(random, text)));
      return;
    case 6:
      text.insert(place, Part(random, other));
      return;
    case 7:
      return SetNumber(random, text);
    default:
      // Its own bytes, so that what has a meaning comes again.
      if (!text.empty())
        text.insert(place, 1, text[random.Below(static_cast<uint32_t>(text.size()))]);
      return;
  }
}

}  // namespace

std::string Mutate(Random& random, std::span<const std::string> corpus) {
  const auto any = [&]() -> const std::string& {
    return corpus[random.Below(static_cast<uint32_t>(corpus.size()))];
  };
  std::string text = any();
  const uint32_t changes = random.Between(1, kChangesMax);
  for (uint32_t i = 0; i < changes; ++i) Change(random, text, any());
  if (text.size() > kBytesMax) text.resize(kBytesMax);
  return text;
}

}  // namespace ioring::fuzzing

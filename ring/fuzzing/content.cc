#include "ring/fuzzing/content.h"

#include <cstddef>
#include <cstdint>
#include <span>

#include "ring/fuzzing/random.h"

namespace ioring::fuzzing {
namespace {

// Eight bytes from eight times `word` on.
uint64_t Word(uint64_t number, uint64_t word) {
  return word == 0 ? NameOf(number) : Mix(number * 0x9e3779b97f4a7c15 + word);
}

std::byte ByteAt(uint64_t word, uint64_t place) {
  return static_cast<std::byte>(word >> (place % sizeof(word) * 8));
}

}  // namespace

uint64_t NameOf(uint64_t number) { return Mix(number); }

uint64_t ReadName(std::span<const std::byte> bytes) {
  uint64_t name = 0;
  for (size_t i = 0; i < kNameBytes; ++i) name |= static_cast<uint64_t>(bytes[i]) << (i * 8);
  return name;
}

void FillContent(uint64_t number, uint64_t offset, std::span<std::byte> memory) {
  uint64_t word = Word(number, offset / 8);
  for (size_t i = 0; i < memory.size(); ++i) {
    const uint64_t place = offset + i;
    if (place % 8 == 0) word = Word(number, place / 8);
    memory[i] = ByteAt(word, place);
  }
}

size_t FirstWrong(uint64_t number, uint64_t offset, std::span<const std::byte> bytes) {
  uint64_t word = Word(number, offset / 8);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const uint64_t place = offset + i;
    if (place % 8 == 0) word = Word(number, place / 8);
    if (bytes[i] != ByteAt(word, place)) return i;
  }
  return bytes.size();
}

}  // namespace ioring::fuzzing

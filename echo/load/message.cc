#include "echo/load/message.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ioring {
namespace {

constexpr size_t kWordBytes = sizeof(uint64_t);
// Words compared before looking whether they differed: enough for the widest vectors.
constexpr size_t kBlockWords = 8;
constexpr size_t kBlockBytes = kBlockWords * kWordBytes;
// Odd, so that multiples of it repeat only after 2^64; close to 2^64 divided by the golden
// ratio, so that every byte of a word changes from one to the next.
constexpr uint64_t kStep = 0x9E3779B97F4A7C15;

// Spreads the number over all bits: the finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
uint64_t Mix(uint64_t number) {
  number += kStep;
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EB;
  return number ^ (number >> 31);
}

// Bytes from `position` to the next word.
size_t HeadBytes(uint64_t position) {
  return static_cast<size_t>((kWordBytes - position % kWordBytes) % kWordBytes);
}

uint64_t Load(const std::byte* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, kWordBytes);
  return word;
}

void Store(std::byte* bytes, uint64_t word) { std::memcpy(bytes, &word, kWordBytes); }

}  // namespace

StreamPattern::StreamPattern(uint64_t stream_number) : key_(Mix(stream_number)) {}

uint64_t StreamPattern::WordAt(uint64_t position) const {
  return (position / kWordBytes * kStep) ^ key_;
}

std::byte StreamPattern::At(uint64_t position) const {
  const auto bytes = std::bit_cast<std::array<std::byte, kWordBytes>>(WordAt(position));
  return bytes[position % kWordBytes];
}

void StreamPattern::Fill(uint64_t position, std::span<std::byte> memory) const {
  size_t done = std::min(memory.size(), HeadBytes(position));
  for (size_t i = 0; i < done; ++i) memory[i] = At(position + i);
  uint64_t counter = (position + done) / kWordBytes * kStep;
  for (; memory.size() - done >= kBlockBytes; done += kBlockBytes) {
    for (size_t i = 0; i < kBlockWords; ++i) {
      Store(&memory[done + i * kWordBytes], (counter + i * kStep) ^ key_);
    }
    counter += kBlockWords * kStep;
  }
  for (; memory.size() - done >= kWordBytes; done += kWordBytes, counter += kStep) {
    Store(&memory[done], counter ^ key_);
  }
  for (; done < memory.size(); ++done) memory[done] = At(position + done);
}

std::optional<size_t> StreamPattern::FirstMismatch(uint64_t position,
                                                   std::span<const std::byte> bytes) const {
  size_t done = std::min(bytes.size(), HeadBytes(position));
  if (done > 0) {
    const std::optional<size_t> mismatch = FirstMismatchByByte(position, bytes.first(done));
    if (mismatch.has_value()) return mismatch;
  }
  uint64_t counter = (position + done) / kWordBytes * kStep;
  for (; bytes.size() - done >= kBlockBytes; done += kBlockBytes) {
    uint64_t difference = 0;
    for (size_t i = 0; i < kBlockWords; ++i) {
      difference |= Load(&bytes[done + i * kWordBytes]) ^ (counter + i * kStep) ^ key_;
    }
    if (difference != 0) break;
    counter += kBlockWords * kStep;
  }
  for (; bytes.size() - done >= kWordBytes; done += kWordBytes, counter += kStep) {
    if (Load(&bytes[done]) != (counter ^ key_)) break;
  }
  // The last few bytes, or from the word that differs on.
  const std::optional<size_t> rest = FirstMismatchByByte(position + done, bytes.subspan(done));
  if (!rest.has_value()) return std::nullopt;
  return done + *rest;
}

std::optional<size_t> StreamPattern::FirstMismatchByByte(uint64_t position,
                                                         std::span<const std::byte> bytes) const {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != At(position + i)) return i;
  }
  return std::nullopt;
}

}  // namespace ioring

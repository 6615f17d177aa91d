// What a mirror costs to make, and what it saves: a stream through a circular buffer whose reader
// needs each message in one piece, over a mirror, over a circular buffer that is in two parts at
// its end, and over a linear buffer that is moved to its front.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "benchmark/benchmark.h"
#include "buffer/circular_positions.h"
#include "buffer/map_result.h"
#include "buffer/mirrored_buffer.h"

namespace ioring {
namespace {

constexpr size_t kCapacityBytes = 64 << 10;
// What is buffered all the while, so that the positions go round out of step with the messages.
constexpr size_t kBacklogBytes = 20'000;

class Mirror {
 public:
  Mirror() {
    MapResult<MirroredBuffer> made = MirroredBuffer::Create(kCapacityBytes);
    CHECK(made.ok()) << made.error().message();
    buffer_.push_back(*std::move(made));
  }
  void Write(std::span<const std::byte> bytes) {
    std::memcpy(buffer_[0].WriteSpan().data(), bytes.data(), bytes.size());
    buffer_[0].CommitWrite(bytes.size());
  }
  const std::byte* Message(size_t) const { return buffer_[0].ReadSpan().data(); }
  void Drop(size_t count) { buffer_[0].CommitRead(count); }

 private:
  std::vector<MirroredBuffer> buffer_;
};

class TwoParts {
 public:
  void Write(std::span<const std::byte> bytes) {
    const size_t offset = written_ % kCapacityBytes;
    const size_t first = std::min(bytes.size(), kCapacityBytes - offset);
    std::memcpy(memory_.data() + offset, bytes.data(), first);
    std::memcpy(memory_.data(), bytes.data() + first, bytes.size() - first);
    written_ += bytes.size();
  }
  // Put together where it is in two parts.
  const std::byte* Message(size_t count) {
    const size_t offset = read_ % kCapacityBytes;
    const size_t first = std::min(count, kCapacityBytes - offset);
    if (first == count) return memory_.data() + offset;
    std::memcpy(whole_.data(), memory_.data() + offset, first);
    std::memcpy(whole_.data() + first, memory_.data(), count - first);
    return whole_.data();
  }
  void Drop(size_t count) { read_ += count; }

 private:
  std::vector<std::byte> memory_ = std::vector<std::byte>(kCapacityBytes);
  std::vector<std::byte> whole_ = std::vector<std::byte>(kCapacityBytes);
  size_t written_ = 0;
  size_t read_ = 0;
};

class Moved {
 public:
  void Write(std::span<const std::byte> bytes) {
    if (bytes.size() > kCapacityBytes - end_) {
      std::memmove(memory_.data(), memory_.data() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    std::memcpy(memory_.data() + end_, bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  const std::byte* Message(size_t) const { return memory_.data() + begin_; }
  void Drop(size_t count) { begin_ += count; }

 private:
  std::vector<std::byte> memory_ = std::vector<std::byte>(kCapacityBytes);
  size_t begin_ = 0;
  size_t end_ = 0;
};

// A message in, a message out, with a backlog in between.
template <typename Buffer>
void Stream(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const std::vector<std::byte> in(bytes, std::byte{1});
  std::vector<std::byte> out(bytes);
  Buffer buffer;
  for (size_t i = 0; i < kBacklogBytes; i += bytes) buffer.Write(in);
  while (state.KeepRunning()) {
    buffer.Write(in);
    std::memcpy(out.data(), buffer.Message(bytes), bytes);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
    buffer.Drop(bytes);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
// 1,000 and 3,000: sizes that do not divide the capacity, as in life.
BENCHMARK(Stream<Mirror>)->Name("Stream/mirror")->Arg(64)->Arg(1000)->Arg(3000)->Arg(16384);
BENCHMARK(Stream<TwoParts>)->Name("Stream/two_parts")->Arg(64)->Arg(1000)->Arg(3000)->Arg(16384);
BENCHMARK(Stream<Moved>)->Name("Stream/memmove")->Arg(64)->Arg(1000)->Arg(3000)->Arg(16384);

// Positions only, no bytes: what the arithmetic costs.
void Positions(benchmark::State& state) {
  CircularPositions positions(kCapacityBytes);
  while (state.KeepRunning()) {
    positions.CommitWrite(1000);
    benchmark::DoNotOptimize(positions.read_offset());
    benchmark::DoNotOptimize(positions.write_offset());
    positions.CommitRead(1000);
  }
}
BENCHMARK(Positions)->Name("Positions");

// Made, its first page touched through the mirror, and given back.
void CreateDestroy(benchmark::State& state) {
  const auto bytes = static_cast<size_t>(state.range(0));
  while (state.KeepRunning()) {
    MapResult<MirroredBuffer> buffer = MirroredBuffer::Create(bytes);
    CHECK(buffer.ok()) << buffer.error().message();
    buffer->WriteSpan().front() = std::byte{1};
  }
}
BENCHMARK(CreateDestroy)->Name("CreateDestroy/bytes")->Arg(64 << 10)->Arg(1 << 20)->Arg(16 << 20);

}  // namespace
}  // namespace ioring

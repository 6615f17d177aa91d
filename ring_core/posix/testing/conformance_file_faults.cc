// Files of a device that fails.
#ifdef __linux__

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_calls.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;

// The memory of this process as a file. Nothing is mapped at its begin: who reads or writes there
// is told EIO, as by a disk that fails.
FileId OpenFailing(FileCalls& calls) {
  const Arrival opened = calls.TryOpen("/proc/self/mem", {.access = Access::kReadWrite});
  EXPECT_EQ(opened.error(), Error::kOk);
  return opened.ok() ? opened.completion.file() : FileId{};
}

// Every sort of transfer ends with the error. No buffer and no use is lost, and what is not at the
// bad place goes on.
TEST_P(RingConformance, FileOfFailingDevice) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const FileId file = OpenFailing(calls);
  ASSERT_TRUE(file.is_set());
  const TestGroup group = ring.MakeGroup(2, 64);
  const TestBuffer buffer = ring.MakeBuffer(64);
  const std::span<std::byte> memory = ring.Memory(64);
  const std::array<MemoryPart, 2> parts = {MemoryPart{memory.data(), 8},
                                           MemoryPart{memory.data() + 8, 8}};
  const auto error_of = [&](auto prepare) { return ring.Run(prepare).error(); };
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(calls.ReadError(file, 0), Error::kInputOutput);
    EXPECT_EQ(calls.Write(file, 0, "x").error(), Error::kInputOutput);
    EXPECT_EQ(error_of([&](Token token) { return ring.PrepareReadVector(file, 0, parts, token); }),
              Error::kInputOutput);
    EXPECT_EQ(error_of([&](Token token) { return ring.PrepareWriteVector(file, 0, parts, token); }),
              Error::kInputOutput);
    const BufferSlice slice = buffer.Slice(16, 16);
    EXPECT_EQ(error_of([&](Token token) { return ring.PrepareReadBuffer(file, 0, slice, token); }),
              Error::kInputOutput);
    EXPECT_EQ(error_of([&](Token token) { return ring.PrepareWriteBuffer(file, 0, slice, token); }),
              Error::kInputOutput);
    EXPECT_EQ(calls.ReadManaged(file, 0, group.id).error(), Error::kInputOutput);
    EXPECT_EQ(ring.FreeBuffers(group.id), group.buffers);
    EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
  }
  memory[0] = std::byte{7};
  const auto place = reinterpret_cast<uintptr_t>(memory.data());
  EXPECT_EQ(calls.Read(file, place, 1), "\7");
  EXPECT_EQ(calls.ReadManaged(file, place, group.id).bytes.substr(0, 1), "\7");
  EXPECT_EQ(calls.CloseFile(file).result(), 0);
}

// To send from it fails as well. The connection is as before.
TEST_P(RingConformance, FileSendOfFailingDevice) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const FileId file = OpenFailing(calls);
  ASSERT_TRUE(file.is_set());
  const Pair pair = ring.MakePair();
  for (const uint64_t length : {uint64_t{10}, uint64_t{1} << 20}) {
    EXPECT_EQ(ring.Run([&](Token token) {
                    return ring.PrepareSendFile(file, 0, length, pair.client, token);
                  })
                  .error(),
              Error::kInputOutput);
  }
  ring.ExpectAlive(pair);
  EXPECT_EQ(calls.CloseFile(file).result(), 0);
}

}  // namespace
}  // namespace ioring

#endif  // __linux__

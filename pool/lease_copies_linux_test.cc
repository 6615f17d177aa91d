// A lease moves no byte: what a managed receive or read brought is sent, or written to a file, from
// the group's memory, on each backend and in each way in which a ring fills a group's buffers.

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "pool/buffer_group.h"
#include "pool/test_ring.h"
#include "process/testing/copy_counter.h"
#include "ring/await.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

constexpr Token kBring{1};
constexpr Token kTake{2};
constexpr uint32_t kBufferBytes = 16 << 10;
constexpr uint32_t kBuffers = 4;
constexpr uint64_t kRounds = uint64_t{2} * kBuffers;  // every buffer is used more than once

struct Way {
  std::string name;
  BackendKind backend;
  CapabilitySet disabled;
};

std::vector<Way> Ways() {
  return {{"Pieces", BackendKind::kIoUring, {}},
          {"Whole", BackendKind::kIoUring, {Capability::kIncrementalBuffers}},
          {"Emulated", BackendKind::kIoUring, {Capability::kProvidedBuffers}},
          {"Unregistered", BackendKind::kIoUring, {Capability::kRegisteredBuffers}},
          {"Epoll", BackendKind::kEpoll, {}}};
}

// A file without a name, which the ring owns.
FileId MakeFile(Ring& ring) {
  const char* folder = std::getenv("TEST_TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/lease.XXXXXX";
  const int descriptor = mkostemp(path.data(), O_CLOEXEC);
  CHECK_GE(descriptor, 0);
  CHECK_EQ(unlink(path.c_str()), 0);
  const absl::StatusOr<FileId> file = ring.RegisterFile(descriptor);
  CHECK_OK(file.status());
  return *file;
}

// Where bytes come from, and where they go to.
enum class Place { kFile, kSocket };

class LeaseCopiesTest : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    RingOptions options = TestRingOptions();
    options.disabled = GetParam().disabled;
    absl::StatusOr<CreatedRing> created = CreateRing(options, GetParam().backend);
    if (!created.ok()) {
      EXPECT_NE(std::getenv("IORING_ALLOW_SKIPS"), nullptr) << created.status();
      GTEST_SKIP() << created.status();
    }
    ring_ = std::move(created->ring);
    from_ = MakeFile(*ring_);
    to_ = MakeFile(*ring_);
    pair_ = Connect(*ring_);
    absl::StatusOr<std::unique_ptr<BufferGroup>> group =
        BufferGroup::Create(*ring_, {.buffer_bytes = kBufferBytes,
                                     .initial_buffers = kBuffers,
                                     .when_empty = BufferGroup::WhenEmpty::kWait});
    CHECK_OK(group.status());
    group_ = *std::move(group);
  }
  void TearDown() override {
    if (ring_ != nullptr) Quiesce(*ring_);
  }

  int32_t Done(Prepared prepared) { return Await(*ring_, prepared, kTake).result; }
  // Brings the data of a round to `place`, one buffer full.
  void Offer(Place place, uint64_t round) {
    for (size_t i = 0; i < data_.size(); ++i) data_[i] = static_cast<std::byte>(i * 7 + round);
    const int32_t bytes = Done(
        place == Place::kFile ? ring_->PrepareWrite(from_, round * kBufferBytes, data_, kTake)
                              : ring_->PrepareSend(pair_.first, data_, kTake, TransferFlags::kAll));
    ASSERT_EQ(bytes, static_cast<int32_t>(kBufferBytes));
  }
  // What a managed operation takes of it.
  ManagedLease Bring(Place place, uint64_t round, uint32_t done) {
    const uint64_t offset = round * kBufferBytes + done;
    const Prepared prepared =
        place == Place::kFile
            ? ring_->PrepareReadManaged(from_, offset, group_->id(), kBring)
            : ring_->PrepareRecvManaged(pair_.second, group_->id(), Shots::kOneShot, kBring);
    EXPECT_EQ(prepared, Prepared::kAccepted);
    ManagedLease lease;
    RunUntil(*ring_, [&](const Completion& completion) {
      if (completion.token != kBring) return false;
      if ((completion.flags & kBuffer) != 0) lease = group_->Take(completion);
      return true;
    });
    return lease;
  }
  // Sends or writes the lease from where it lies, to the last byte.
  void Put(Place place, uint64_t offset, ManagedLease& lease) {
    while (!lease.empty()) {
      const int32_t bytes = Done(
          place == Place::kFile ? ring_->PrepareWriteBuffer(to_, offset, lease.Slice(), kTake)
                                : ring_->PrepareSendBuffer(pair_.second, lease.Slice(), kTake));
      ASSERT_GT(bytes, 0);
      lease.TrimFront(static_cast<uint32_t>(bytes));
      offset += static_cast<uint32_t>(bytes);
    }
  }
  // Whether the data of the round arrived there.
  bool Arrived(Place place, uint64_t round) {
    std::vector<std::byte> arrived(kBufferBytes);
    const int32_t bytes =
        Done(place == Place::kFile
                 ? ring_->PrepareRead(to_, round * kBufferBytes, arrived, kTake)
                 : ring_->PrepareRecv(pair_.first, arrived, kTake, TransferFlags::kAll));
    return bytes == static_cast<int32_t>(kBufferBytes) && arrived == data_;
  }
  void CheckNothingMoves(Place source, Place sink);

  std::unique_ptr<Ring> ring_;
  FileId from_;
  FileId to_;
  ConnectedPair pair_;
  std::unique_ptr<BufferGroup> group_;
  std::vector<std::byte> data_ = std::vector<std::byte>(kBufferBytes);
};

void LeaseCopiesTest::CheckNothingMoves(Place source, Place sink) {
  const std::byte* memory = nullptr;  // of the group
  for (uint64_t round = 0; round < kRounds; ++round) {
    ASSERT_NO_FATAL_FAILURE(Offer(source, round));
    const CopyCounter copies;
    for (uint32_t done = 0; done < kBufferBytes;) {
      ManagedLease lease = Bring(source, round, done);
      ASSERT_TRUE(lease.is_held() && !lease.empty());
      const uint32_t size = lease.size_bytes();
      // It lies in the memory that the group has, and its slice is that of these very bytes.
      const BufferSlice slice = lease.Slice();
      if (memory == nullptr) memory = lease.data() - slice.offset;
      EXPECT_EQ(lease.data(), memory + slice.offset);
      EXPECT_LE(slice.offset + slice.length, kBuffers * kBufferBytes);
      EXPECT_EQ(std::memcmp(lease.data(), data_.data() + done, size), 0);
      ASSERT_NO_FATAL_FAILURE(Put(sink, round * kBufferBytes + done, lease));
      done += size;
    }
    EXPECT_EQ(copies.bytes(), 0u);
    EXPECT_TRUE(Arrived(sink, round));
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, LeaseCopiesTest, ::testing::ValuesIn(Ways()),
                         [](const auto& way) { return way.param.name; });

TEST_P(LeaseCopiesTest, FromAFileToAFile) { CheckNothingMoves(Place::kFile, Place::kFile); }

TEST_P(LeaseCopiesTest, FromAFileToASocket) { CheckNothingMoves(Place::kFile, Place::kSocket); }

TEST_P(LeaseCopiesTest, FromASocketToAFile) { CheckNothingMoves(Place::kSocket, Place::kFile); }

TEST_P(LeaseCopiesTest, FromASocketToASocket) { CheckNothingMoves(Place::kSocket, Place::kSocket); }

// The copy that a lease spares is one that the counter sees.
TEST_P(LeaseCopiesTest, ACopyIsCounted) {
  ASSERT_NO_FATAL_FAILURE(Offer(Place::kFile, 0));
  const ManagedLease lease = Bring(Place::kFile, 0, 0);
  ASSERT_EQ(lease.size_bytes(), kBufferBytes);
  const CopyCounter copies;
  const std::vector<std::byte> copy(lease.bytes().begin(), lease.bytes().end());
  EXPECT_EQ(copies.bytes(), kBufferBytes);
  EXPECT_EQ(copy, data_);
}

}  // namespace
}  // namespace ioring

// The part of the conformance suite that is about descriptors, which POSIX systems have: those
// that a ring has already, and those that a program inherits.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "process/testing/open_descriptors.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_core/posix/testing/shared_descriptors.h"

namespace ioring {
namespace {

using posix::Pipe;
using posix::Shared;
using posix::Terminal;

// To register it would close it twice, whichever of the two calls it is.
void ExpectRefused(TestRing& ring, int descriptor) {
  for (const absl::Status& refused :
       {ring.RegisterSocket(descriptor).status(), ring.RegisterFile(descriptor).status()}) {
    EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists) << descriptor << ": " << refused;
    EXPECT_NE(refused.message().find(absl::StrCat(descriptor)), std::string::npos) << refused;
  }
}

// Listeners, connections, datagram sockets and files, and what the ring waits and wakes with.
TEST_P(RingConformance, WhatTheRingMadeIsNotRegistered) {
  Destroy(MakeRing());  // makes what is made once in a process
  const std::vector<int> before = OpenDescriptors();
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Pair pair = ring.MakePair(listener);
  ring.Datagram();
  const std::string path = absl::StrCat(testing::TempDir(), "/ioring_not_registered_", getpid());
  const absl::StatusOr<FileId> file = ring.OpenFile(
      path, {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kIfNeeded});
  EXPECT_TRUE(file.ok()) << file.status();
  unlink(path.c_str());
  const std::vector<int> after = OpenDescriptors();
  std::vector<int> made;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(made));
  // A listener, the client's end, a datagram socket, a file, and what the ring needs for itself.
  EXPECT_GE(made.size(), 5u);
  for (const int number : made) ExpectRefused(ring, number);
  ring.ExpectAlive(pair);
  ring.ExpectAlive(ring.MakePair(listener));
  EXPECT_TRUE(ring.CloseFile(*file).ok());
}

// What can be a connection, which is polled, and a file, which is read, is one of them at a time.
TEST_P(RingConformance, WhatIsAConnectionIsNoFile) {
  for (Shared (*make)() : {&Pipe, &Terminal}) {
    Shared shared = make();
    SCOPED_TRACE(shared.name);
    TestRing& ring = MakeRing();
    const int number = shared.descriptor.get();
    const absl::StatusOr<ConnectionId> connection = ring.RegisterSocket(number);
    ASSERT_TRUE(connection.ok()) << connection.status();
    shared.descriptor.release();
    ExpectRefused(ring, number);
    ASSERT_TRUE(ring.UnregisterSocket(*connection).ok());
    const absl::StatusOr<FileId> file = ring.RegisterFile(number);
    ASSERT_TRUE(file.ok()) << file.status();
    ExpectRefused(ring, number);
    EXPECT_TRUE(ring.CloseFile(*file).ok());
    EXPECT_EQ(fcntl(number, F_GETFD), -1) << "it is open still";
  }
}

// Trap 11: a program that is started from this one does not get its connections.
TEST_P(RingConformance, AcceptedSocketsAreClosedOnExec) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  for (const ConnectionId connection : {pair.client, pair.server}) {
    const absl::StatusOr<NativeHandle> handle = ring.UnregisterSocket(connection);
    ASSERT_TRUE(handle.ok()) << handle.status();
    EXPECT_NE(fcntl(static_cast<int>(*handle), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_TRUE(ring.RegisterSocket(*handle).ok());  // which closes it in the end
  }
}

// Trap 9: a handle that was cut to 32 bits named what somebody else has.
TEST_P(RingConformance, LargeHandlesAreNobodys) {
  TestRing& ring = MakeRing();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const auto large = static_cast<NativeHandle>(int64_t{ends[0]} + (int64_t{1} << 32));
  EXPECT_EQ(ring.RegisterSocket(large).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ring.RegisterFile(large).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(fcntl(ends[0], F_GETFD), -1) << "it was closed";
  close(ends[0]);
  close(ends[1]);
}

// The number of a file that is closed is free before the ring knows that the close has ended.
TEST_P(RingConformance, NumberOfAClosedFileIsFree) {
  TestRing& ring = MakeRing();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const absl::StatusOr<FileId> file = ring.RegisterFile(ends[0]);
  ASSERT_TRUE(file.ok()) << file.status();
  const Token close_file =
      ring.Start([&](Token token) { return ring.PrepareCloseFile(*file, token); });
  ring.Submit();
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (fcntl(ends[0], F_GETFD) != -1 && absl::Now() < deadline) {
  }
  ASSERT_EQ(dup2(ends[1], ends[0]), ends[0]);
  const absl::StatusOr<FileId> next = ring.RegisterFile(ends[0]);
  EXPECT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(ring.Await(close_file).result(), 0);
  EXPECT_TRUE(ring.CloseFile(*next).ok());
  close(ends[1]);
}

}  // namespace
}  // namespace ioring

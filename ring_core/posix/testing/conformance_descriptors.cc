// The part of the conformance suite that is about descriptors, which POSIX systems have: those
// that a ring has already, and those that a program inherits.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "process/testing/open_descriptors.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

// Listeners, connections, datagram sockets and files, and what the ring waits and wakes with: to
// register it would close it twice.
TEST_P(RingConformance, WhatTheRingMadeIsNotRegistered) {
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
  for (const int number : made) {
    const absl::Status refused = ring.RegisterSocket(number).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists) << number << ": " << refused;
    EXPECT_NE(refused.message().find(absl::StrCat(number)), std::string::npos) << refused;
  }
  ring.ExpectAlive(pair);
  ring.ExpectAlive(ring.MakePair(listener));
  EXPECT_TRUE(ring.CloseFile(*file).ok());
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

}  // namespace
}  // namespace ioring

// The ring and its process: fork, exec, limits, filters, restrictions.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"
#include "process/testing/open_descriptors.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view kWorks = "it works";

// A message through the ring and back, by a socket of its own.
std::string Echo(UringRing& ring) {
  SocketPair pair = UnixPair();
  const absl::StatusOr<ConnectionId> id = ring.RegisterSocket(pair.a.get());
  if (!id.ok()) return id.status().ToString();
  pair.a.release();
  std::array<std::byte, 16> memory;
  const auto run = [&](Prepared prepared) {
    if (prepared != Prepared::kAccepted || ring.SubmitAndWait({.timeout = kPatience}) == 0)
      return int32_t{-1000};
    const int32_t result = ring.PeekCompletions()[0].result;
    ring.AdvanceCompletionQueue(1);
    return result;
  };
  if (!SendAll(pair.b.get(), "hello")) return "the peer cannot send";
  if (run(ring.PrepareRecv(*id, memory, Token{1})) != 5) return "the receive failed";
  if (run(ring.PrepareSend(*id, std::span(memory).first(5), Token{2})) != 5) {
    return "the send failed";
  }
  if (ReceiveExactly(pair.b.get(), 5) != "hello") return "another text came back";
  if (run(ring.PrepareClose(*id, CloseMode::kGraceful, Token{3})) != 0) return "the close failed";
  return std::string(kWorks);
}

// What making a ring and using it gives: kWorks, or a status in words.
std::string CreateAndEcho(const RingOptions& options) {
  absl::StatusOr<std::unique_ptr<UringRing>> ring = UringRing::Create(options);
  return ring.ok() ? Echo(**ring) : ring.status().ToString();
}

// ---- Trap: io_uring is denied by the seccomp profiles of container runtimes.

// From now on the three calls of io_uring fail with `error` in this process.
bool DenyIoUring(uint32_t error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<uint16_t>(std::size(program)), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

struct Denial {
  uint32_t error;
  absl::StatusCode code;
  const char* name;
};

class DeniedTest : public testing::TestWithParam<std::tuple<Denial, bool>> {};

TEST_P(DeniedTest, CreateSaysSoAndWhatToDo) {
  const auto& [denial, after_a_first_ring] = GetParam();
  const std::string message = AnswerOfChild([&, denied = denial, warm = after_a_first_ring] {
    // What the first ring finds out about the kernel is remembered: another path.
    if (warm && CreateAndEcho({}) != kWorks) return std::string("no ring to begin with");
    if (!DenyIoUring(denied.error)) return std::string("no seccomp filter");
    return CreateAndEcho({});
  });
  EXPECT_THAT(message, AllOf(HasSubstr(absl::StatusCodeToString(denial.code)),
                             HasSubstr("seccomp filter"), HasSubstr("io_uring_setup"),
                             HasSubstr("another backend"), HasSubstr(denial.name)));
}

INSTANTIATE_TEST_SUITE_P(
    Errors, DeniedTest,
    testing::Combine(testing::Values(Denial{EPERM, absl::StatusCode::kPermissionDenied, "EPERM"},
                                     Denial{ENOSYS, absl::StatusCode::kUnimplemented, "ENOSYS"}),
                     testing::Bool()),
    [](const auto& denial) {
      return absl::StrCat(std::get<0>(denial.param).name,
                          std::get<1>(denial.param) ? "AfterAFirstRing" : "AtOnce");
    });

// ---- Trap: an unprivileged process with little memory that it may lock and few descriptors.

constexpr std::string_view kNoUser = "there is no other user";

// Becomes a user with no processes of its own: locked memory is counted by user.
bool BecomeNobody() {
  constexpr uid_t kNobody = 65534;
  return setgid(kNobody) == 0 && setuid(kNobody) == 0;
}

bool DropCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

std::string RunUnprivileged(const std::function<std::string()>& run) {
  return AnswerOfChild([&]() -> std::string {
    const rlimit memory{64 << 10, 64 << 10};
    const rlimit descriptors{64, 64};
    if (setrlimit(RLIMIT_MEMLOCK, &memory) != 0 || setrlimit(RLIMIT_NOFILE, &descriptors) != 0) {
      return "the limits cannot be set";
    }
    const bool alone = geteuid() == 0 && BecomeNobody();
    if (!alone && !DropCapabilities()) return "the privileges cannot be dropped";
    const std::string answer = run();
    // Other processes of the user may have locked all that there is.
    if (!alone && absl::StrContains(answer, "raise ulimit -l")) return std::string(kNoUser);
    return answer;
  });
}

// Where there is no user to become, only the sentence can be tested.
testing::Matcher<std::string> IsOrNoUser(const testing::Matcher<std::string>& matcher) {
  return testing::AnyOf(matcher, std::string(kNoUser));
}

TEST(UnprivilegedTest, ARingOfDefaultSizeWorksOrSaysWhatToRaise) {
  EXPECT_THAT(RunUnprivileged([] { return CreateAndEcho({}); }),
              IsOrNoUser(testing::AnyOf(std::string(kWorks), HasSubstr("raise"))));
}

TEST(UnprivilegedTest, ASmallRingWorks) {
  EXPECT_THAT(RunUnprivileged(
                  [] { return CreateAndEcho({.submission_entries = 8, .max_connections = 8}); }),
              IsOrNoUser(std::string(kWorks)));
}

// More than may be locked is used unregistered.
TEST(UnprivilegedTest, MemoryThatMayNotBeLockedIsUsedAllTheSame) {
  const std::string message = RunUnprivileged([]() -> std::string {
    absl::StatusOr<std::unique_ptr<UringRing>> ring =
        UringRing::Create({.submission_entries = 8, .max_connections = 8});
    if (!ring.ok()) return ring.status().ToString();
    static std::array<std::byte, 1 << 20> memory;
    const absl::StatusOr<BufferId> buffer = (*ring)->RegisterBuffer({.memory = memory});
    if (!buffer.ok()) return buffer.status().ToString();
    if ((*ring)->IsKernelRegistered(*buffer)) return "it was registered";
    return std::string((*ring)->RegistrationProblem());
  });
  EXPECT_THAT(message, IsOrNoUser(AllOf(HasSubstr("registering 1048576 bytes failed (ENOMEM"),
                                        HasSubstr("raise ulimit -l"))));
}

// Finding out what the kernel can do takes rings too, which count until the kernel has
// taken them down. That there is no memory for one must not pass for a missing feature.
TEST(UnprivilegedTest, FindsTheSameCapabilities) {
  const auto find = []() -> std::string {
    absl::StatusOr<std::unique_ptr<UringRing>> ring =
        UringRing::Create({.submission_entries = 8, .max_connections = 8});
    return ring.ok() ? (*ring)->Capabilities().ToString() : ring.status().ToString();
  };
  EXPECT_THAT(RunUnprivileged(find), IsOrNoUser(AnswerOfChild(find)));
}

// ---- Trap: a child of fork must not inherit the rings, a program that is executed none of
// the descriptors.

int CountRingMappings() {
  const std::string maps = ReadFile("/proc/self/maps");
  int count = 0;
  for (size_t at = 0; (at = maps.find("[io_uring]", at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(ForkTest, TheChildHasNoMappingOfTheRing) {
  UringTester ring;
  ring.Run([&](Token token) { return ring->PrepareNop(token); });
  EXPECT_GT(CountRingMappings(), 0);
  EXPECT_EQ(AnswerOfChild([] { return std::to_string(CountRingMappings()); }), "0");
  // The parent goes on.
  EXPECT_EQ(Echo(ring.ring()), kWorks);
}

TEST(ForkTest, AllDescriptorsAreClosedOnExec) {
  const std::vector<int> before = OpenDescriptors();
  UringTester ring({.disabled = {Capability::kDirectDescriptors}});
  const ListenerId listener = ring.Listen();
  const UringTester::Accepted accepted = ring.Accept(listener);
  const Event connected =
      ring.Run([&](Token token) { return ring->PrepareConnect(ring.EndpointOf(listener), token); });
  EXPECT_TRUE(connected.ok());
  ASSERT_TRUE(ring->OpenDatagram(Endpoint::Ipv4Loopback(0)).ok());
  ASSERT_TRUE(ring->OpenFile("/proc/self/maps", {}).ok());
  int count = 0;
  for (const int fd : OpenDescriptors()) {
    if (std::binary_search(before.begin(), before.end(), fd)) continue;
    ++count;
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << DescriptorTarget(fd);
  }
  // The ring, its wake descriptor, listener, two connections and their peer or backlog,
  // datagram socket, file.
  EXPECT_GE(count, 7);
}

// ---- Restricted operations.

int RingDescriptor(const std::vector<int>& before) {
  for (const int fd : OpenDescriptors()) {
    if (!std::binary_search(before.begin(), before.end(), fd) &&
        DescriptorTarget(fd) == "anon_inode:[io_uring]") {
      return fd;
    }
  }
  return -1;
}

// Whoever gets hold of the ring's descriptor tries what this library never does.
int RegisterEventDescriptor(int ring_fd) {
  const Descriptor event(eventfd(0, EFD_CLOEXEC));
  const int fd = event.get();
  const long result =
      syscall(SYS_io_uring_register, ring_fd, 4 /* IORING_REGISTER_EVENTFD */, &fd, 1);
  return result == 0 ? 0 : errno;
}

TEST(RestrictionTest, TheDescriptorIsGoodForNothingElse) {
  for (const bool restricted : {false, true}) {
    const std::vector<int> before = OpenDescriptors();
    UringTester ring({.restrict_operations = restricted});
    EXPECT_EQ(Echo(ring.ring()), kWorks);
    const int fd = RingDescriptor(before);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(RegisterEventDescriptor(fd), restricted ? EACCES : 0);
  }
}

// Every kind of operation that the library knows is allowed.
class RestrictedRing : public testing::TestWithParam<Mask> {
 protected:
  template <typename Prepare>
  Error ErrorOf(Prepare prepare) {
    return ring_.Run(prepare).error();
  }
  UringTester ring_{{.disabled = GetParam().disabled,
                     .zero_copy_threshold_bytes = 2048,
                     .fixed_socket_io_threshold_bytes = 1,
                     .restrict_operations = true}};
};

TEST_P(RestrictedRing, TransfersAreAllowed) {
  ASSERT_TRUE(ring_->Capabilities().Has(Capability::kRestrictions));
  alignas(4096) static std::array<std::byte, 4096> memory;
  const BufferId buffer = *ring_->RegisterBuffer({.memory = memory});
  std::array<std::byte, 64> group_memory;
  const BufferGroupId group =
      *ring_->RegisterBufferGroup({.memory = group_memory, .buffer_bytes = 64});
  const UringTester::Accepted connection = ring_.Accept();
  const ConnectionId id = connection.id;
  const std::string text(100, 'x');
  EXPECT_EQ(ErrorOf([&](Token token) {
              return ring_->PrepareSendBuffer(id, {buffer, 0, 100}, token);
            }),
            Error::kOk);
  EXPECT_EQ(ErrorOf([&](Token token) {
              return ring_->PrepareSend(id, AsBytes(text), token, TransferFlags::kAll);
            }),
            Error::kOk);
  const Token zero_copy = ring_.Start([&](Token token) {
    return ring_->PrepareSendBuffer(id, {buffer, 0, 4096}, token);
  });
  EXPECT_EQ(ring_.Next(zero_copy).error(), Error::kOk);
  ASSERT_TRUE(SendAll(connection.peer.get(), text));
  EXPECT_EQ(ErrorOf([&](Token token) {
              return ring_->PrepareRecvBuffer(id, {buffer, 0, 100}, token);
            }),
            Error::kOk);
  ASSERT_TRUE(SendAll(connection.peer.get(), "managed"));
  const Event managed = ring_.Run(
      [&](Token token) { return ring_->PrepareRecvManaged(id, group, Shots::kOneShot, token); });
  EXPECT_EQ(managed.result, 7) << ring_->ExplainError(managed);
  if (managed.ok()) ring_->ReturnBuffer(managed.buffer);
  EXPECT_TRUE(ring_->UnregisterBufferGroup(group).ok());
  EXPECT_TRUE(ring_->PeerEndpoint(id).ok());
  EXPECT_EQ(ring_.Close(id, CloseMode::kReset).error(), Error::kOk);
  char byte;
  while (ReceiveSome(connection.peer.get(), &byte, 1) > 0) {
  }
  EXPECT_EQ(errno, ECONNRESET) << "closing with a reset was denied";
  EXPECT_TRUE(ring_->UnregisterBuffer(buffer).ok());
}

TEST_P(RestrictedRing, EverythingElseIsAllowed) {
  const ListenerId listener = ring_.Listen();
  const Event connected = ring_.Run(
      [&](Token token) { return ring_->PrepareConnect(ring_.EndpointOf(listener), token); });
  ASSERT_TRUE(connected.ok()) << ring_->ExplainError(connected);
  const ConnectionId id = connected.connection();
  EXPECT_EQ(ErrorOf([&](Token token) {
              return ring_->PreparePollAdd(id, kPollWritable, Shots::kOneShot, token);
            }),
            Error::kOk);
  const Token poll = ring_.Start([&](Token token) {
    return ring_->PreparePollAdd(id, kPollReadable, Shots::kMultishot, token);
  });
  EXPECT_EQ(ErrorOf([&](Token token) { return ring_->PreparePollRemove(poll, token); }),
            Error::kOk);
  EXPECT_EQ(ring_.Next(poll).error(), Error::kCanceled);
  EXPECT_EQ(ErrorOf([&](Token token) {
              return ring_->PrepareTimeout(milliseconds(1), Shots::kOneShot, token);
            }),
            Error::kOk);
  std::array<std::byte, 16> memory;
  const Token receive =
      ring_.Start([&](Token token) { return ring_->PrepareRecv(id, memory, token); });
  EXPECT_EQ(
      ErrorOf([&](Token token) { return ring_->PrepareDeadline(receive, milliseconds(1), token); }),
      Error::kTimedOut);
  EXPECT_EQ(ring_.Next(receive).error(), Error::kCanceled);
  EXPECT_EQ(
      ErrorOf([&](Token token) { return ring_->PrepareShutdown(id, Direction::kSend, token); }),
      Error::kOk);

  const ConnectionId datagrams = *ring_->OpenDatagram(Endpoint::Ipv4Loopback(0));
  const Endpoint self = *ring_->LocalEndpoint(datagrams);
  Endpoint source;
  EXPECT_EQ(ErrorOf([&](Token token) {
              return ring_->PrepareSendTo(datagrams, AsBytes("to myself"), self, token);
            }),
            Error::kOk);
  EXPECT_EQ(ErrorOf([&](Token token) {
              return ring_->PrepareRecvFrom(datagrams, memory, &source, token);
            }),
            Error::kOk);
  EXPECT_EQ(source, self);

  const std::string path = testing::TempDir() + "/restricted";
  const FileId file = *ring_->OpenFile(
      path, {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
  EXPECT_EQ(
      ErrorOf([&](Token token) { return ring_->PrepareWrite(file, 0, AsBytes("file"), token); }),
      Error::kOk);
  EXPECT_EQ(ErrorOf([&](Token token) { return ring_->PrepareRead(file, 0, memory, token); }),
            Error::kOk);
  EXPECT_EQ(ErrorOf([&](Token token) { return ring_->PrepareSync(file, SyncMode::kData, token); }),
            Error::kOk);
  EXPECT_TRUE(ring_->CloseFile(file).ok());
  unlink(path.c_str());
  ring_->Wake();
  EXPECT_GT(ring_.Next(kDefaultWakeToken).result, 0);
}

TEST_P(RestrictedRing, FileCallsAreAllowed) {
  const std::string root = testing::TempDir() + "/restricted_calls";
  const std::string name = root + "/name";
  const std::string other = root + "/other";
  const auto expect_done = [&](auto prepare) {
    const Event event = ring_.Run(prepare);
    EXPECT_TRUE(event.ok()) << ring_->ExplainError(event);
    return event;
  };
  expect_done([&](Token t) { return ring_->PrepareMakeDirectory(root.c_str(), 0700, t); });
  const FileOptions options{.access = FileOptions::Access::kReadWrite,
                            .create = FileOptions::Create::kNew};
  const FileId file =
      expect_done([&](Token t) { return ring_->PrepareOpen(name.c_str(), options, t); }).file();
  std::array<std::byte, 64> memory{};
  const std::array<MemoryPart, 2> parts = {MemoryPart{memory.data(), 32},
                                           MemoryPart{memory.data() + 32, 32}};
  expect_done([&](Token t) { return ring_->PrepareWriteVector(file, 0, parts, t); });
  expect_done([&](Token t) { return ring_->PrepareReadVector(file, 0, parts, t); });
  expect_done([&](Token t) { return ring_->PrepareWrite(file, kOwnPosition, memory, t); });
  expect_done([&](Token t) { return ring_->PrepareTruncate(file, 16, t); });
  FileInfo info;
  expect_done([&](Token t) { return ring_->PrepareStatFile(file, &info, t); });
  EXPECT_EQ(info.size, 16u);
  expect_done([&](Token t) { return ring_->PrepareStat(name.c_str(), FollowLink::kNo, &info, t); });
  expect_done([&](Token t) { return ring_->PrepareAdvise(file, Advice::kSequential, 0, 0, t); });
  const Event allocated = ring_.Run(
      [&](Token t) { return ring_->PrepareAllocate(file, AllocateMode::kExtend, 0, 4096, t); });
  EXPECT_NE(allocated.error(), Error::kPermissionDenied) << "the kernel refused the operation";
  expect_done([&](Token t) { return ring_->PrepareLinkFile(file, other.c_str(), t); });
  expect_done([&](Token t) { return ring_->PrepareUnlink(other.c_str(), t); });
  expect_done([&](Token t) { return ring_->PrepareLink(name.c_str(), other.c_str(), t); });
  expect_done([&](Token t) {
    return ring_->PrepareRename(other.c_str(), name.c_str(), RenameMode::kExchange, t);
  });
  expect_done([&](Token t) { return ring_->PrepareUnlink(other.c_str(), t); });
  expect_done([&](Token t) { return ring_->PrepareSymlink("name", other.c_str(), t); });
  expect_done([&](Token t) { return ring_->PrepareCloseFile(file, t); });
  expect_done([&](Token t) { return ring_->PrepareUnlink(other.c_str(), t); });
  expect_done([&](Token t) { return ring_->PrepareUnlink(name.c_str(), t); });
  expect_done([&](Token t) { return ring_->PrepareRemoveDirectory(root.c_str(), t); });
}

INSTANTIATE_TEST_SUITE_P(Masks, RestrictedRing,
                         testing::Values(Mask{"Native", {}},
                                         Mask{"Linux515", CapabilitiesNewerThan5_15()}),
                         MaskName);

// ---- The kernel's worker threads are the thread's, not the ring's.

// Of workers for files and of all others: what the kernel says of the calling thread's. Then it
// sets the bounds of the ring that it was asked through (io_register_iowq_max_workers).
std::array<uint32_t, 2> WorkerBounds(int ring_fd) {
  std::array<uint32_t, 2> bounds{};  // 0: is asked, and stays as it is
  const long result = syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_IOWQ_MAX_WORKERS,
                              bounds.data(), bounds.size());
  EXPECT_EQ(result, 0);
  return bounds;
}

// A ring of this thread that was used, and its descriptor.
struct BoundedRing {
  explicit BoundedRing(uint32_t max_worker_threads) {
    const std::vector<int> before = OpenDescriptors();
    tester.emplace(RingOptions{.max_worker_threads = max_worker_threads});
    EXPECT_EQ(tester->Run([&](Token token) { return (*tester)->PrepareNop(token); }).result, 0);
    for (const int made : OpenDescriptors()) {
      if (std::binary_search(before.begin(), before.end(), made)) continue;
      if (DescriptorTarget(made) == "anon_inode:[io_uring]") fd = made;
    }
    EXPECT_GE(fd, 0);
  }

  std::optional<UringTester> tester;
  int fd = -1;
};

using Bounds = std::array<uint32_t, 2>;

// Each in a thread of its own, which has used no ring before.
void RunInThread(const std::function<void()>& test) { std::thread(test).join(); }

// The last ring's bound is that of all rings of its thread, also when that ring is gone.
TEST(WorkerThreadsTest, TheLastRingsBoundCountsForItsThread) {
  RunInThread([] {
    const BoundedRing first(3);
    const BoundedRing second(5);
    EXPECT_EQ(WorkerBounds(first.fd), (Bounds{5, 5}));
    // To ask through the first one has set its bound again.
    EXPECT_EQ(WorkerBounds(second.fd), (Bounds{3, 3}));
  });
  RunInThread([] {
    const BoundedRing first(5);
    { const BoundedRing second(3); }
    EXPECT_EQ(WorkerBounds(first.fd), (Bounds{3, 3}));
  });
  RunInThread([] {
    const BoundedRing first(3);
    RunInThread([] {
      const BoundedRing other(5);
      EXPECT_EQ(WorkerBounds(other.fd), (Bounds{5, 5}));
    });
    EXPECT_EQ(WorkerBounds(first.fd), (Bounds{3, 3})) << "another thread's ring changed it";
  });
}

}  // namespace
}  // namespace ioring::uring

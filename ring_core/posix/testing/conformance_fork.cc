// Rule 12 after a fork: the child's copy of a ring closes its descriptors and does nothing else,
// and to use it ends the child with a sentence.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"
#include "process/testing/open_descriptors.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_core/posix/testing/working_folder.h"

namespace ioring {
namespace {

using posix::WorkingFolder;
using std::chrono::hours;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr char kSentence[] = "a ring does not survive fork";
constexpr Token kTimer{1};
constexpr Token kAccept{2};
constexpr Token kConnect{3};
constexpr Token kRecv{4};
constexpr Token kManaged{5};
constexpr Token kSend{6};
constexpr Token kUnixAccept{7};
constexpr Token kCancel{8};
constexpr Token kNop{9};
constexpr Token kRead{10};
constexpr Token kPipe{11};
constexpr Token kWork{12};
constexpr Token kShortWork{13};

// A ring with something of everything, most of it in flight. One of its threads runs work, one has
// none, and another one may wait for a pipe.
class BusyRing {
 public:
  // Of the operations that go on until ExpectAlive.
  static constexpr uint32_t kInFlight = 7;

  explicit BusyRing(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {
    std::ofstream("file") << "text";
    unix_listener_ = Listen(*Endpoint::Parse("unix:path"));
    listener_ = Listen(Endpoint::Ipv4Loopback(0));
    file_ = Value(ring_->OpenFile("file", {}));
    datagram_ = Value(ring_->OpenDatagram(Endpoint::Ipv4Loopback(0)));
    buffer_ = Value(ring_->RegisterBuffer({.memory = memory_}));
    group_ = Value(ring_->RegisterBufferGroup(
        {.memory = group_memory_, .buffer_bytes = 64, .max_buffers = 4}));
    // Threads for files, where there are some.
    CHECK(ring_->PrepareRead(file_, 0, std::span(read_), kRead) == Prepared::kAccepted);
    CHECK_EQ(Await(kRead).result, 4);
    client_ = ConnectTo(listener_, &server_);
    other_client_ = ConnectTo(listener_, &other_server_);
    CHECK(ring_->PrepareAccept(listener_, Shots::kMultishot, kAccept) == Prepared::kAccepted);
    CHECK(ring_->PrepareAccept(unix_listener_, Shots::kMultishot, kUnixAccept) ==
          Prepared::kAccepted);
    CHECK(ring_->PrepareTimeout(hours(1), Shots::kOneShot, kTimer) == Prepared::kAccepted);
    CHECK(ring_->PrepareRecv(server_, std::span(received_), kRecv) == Prepared::kAccepted);
    CHECK(ring_->PrepareRecvManaged(other_server_, group_, Shots::kMultishot, kManaged) ==
          Prepared::kAccepted);
    StartPipe();
    StartThreads();
    // A buffer that is not returned.
    held_ = Managed("held");
  }

  Ring& ring() { return *ring_; }
  // And what it had to do with.
  void Destroy() {
    ring_.reset();
    close(std::exchange(pipe_writer_, -1));
  }
  ConnectionId client() const { return client_; }
  ListenerId listener() const { return listener_; }
  FileId file() const { return file_; }
  BufferId buffer() const { return buffer_; }
  BufferGroupId group() const { return group_; }
  const ManagedBuffer& held() const { return held_; }

  // All that is in flight goes on.
  void ExpectAlive() {
    EXPECT_EQ(ring_->InFlight(), kInFlight);
    const ManagedBuffer text = Managed("text");
    EXPECT_EQ(text.size, 4u);
    ring_->ReturnBuffer(text);
    CHECK(ring_->PrepareSend(client_, AsBytes("bytes"), kSend) == Prepared::kAccepted);
    EXPECT_EQ(Await(kRecv).result, 5);
    CHECK(ring_->PrepareConnect(*Endpoint::Parse("unix:path"), kConnect) == Prepared::kAccepted);
    EXPECT_GE(Await(kUnixAccept).result, 0);
    CHECK(ring_->PrepareConnect(Value(ring_->LocalEndpoint(listener_)), kConnect) ==
          Prepared::kAccepted);
    EXPECT_GE(Await(kAccept).result, 0);
    CHECK(ring_->PrepareRead(file_, 0, std::span(read_), kRead) == Prepared::kAccepted);
    EXPECT_EQ(Await(kRead).result, 4);
    EXPECT_EQ(write(pipe_writer_, "piped", 5), 5);
    EXPECT_EQ(Await(kPipe).result, 5);
    EXPECT_EQ(AsText(std::span(piped_).first(5)), "piped");
    work_may_end_.Notify();
    EXPECT_EQ(Await(kWork).result, kWorkDone);
  }

  // Brings the ring to rest, and destroys it.
  void Finish() {
    ring_->ReturnBuffer(held_);
    CHECK(ring_->PrepareCancelAll(kCancel) == Prepared::kAccepted);
    const steady_clock::time_point deadline = steady_clock::now() + kPatience;
    while (ring_->InFlight() != 0 && steady_clock::now() < deadline) Pump();
    ASSERT_EQ(ring_->InFlight(), 0u);
    Pump();
    Destroy();
    EXPECT_FALSE(WorkingFolder::Has("path"));
  }

 private:
  static constexpr int32_t kWorkDone = 9;

  static int32_t WorkUntilNotified(void* ring) {
    auto& self = *static_cast<BusyRing*>(ring);
    self.work_begun_.Notify();
    self.work_may_end_.WaitForNotification();
    return kWorkDone;
  }

  // With the next submit.
  void StartPipe() {
    std::array<int, 2> ends;
    PCHECK(pipe(ends.data()) == 0);
    pipe_writer_ = ends[1];
    const FileId reader = Value(ring_->RegisterFile(ends[0]));
    CHECK(ring_->PrepareRead(reader, kOwnPosition, std::span(piped_), kPipe) ==
          Prepared::kAccepted);
  }

  void StartThreads() {
    CHECK(ring_->PrepareWork(&WorkUntilNotified, this, kWork) == Prepared::kAccepted);
    ring_->Submit();
    CHECK(work_begun_.WaitForNotificationWithTimeout(absl::FromChrono(kPatience)));
    const auto nothing = [](void* /*argument*/) { return 0; };
    CHECK(ring_->PrepareWork(nothing, nullptr, kShortWork) == Prepared::kAccepted);
    CHECK_EQ(Await(kShortWork).result, 0);
  }

  template <typename T>
  static T Value(absl::StatusOr<T> result) {
    CHECK_OK(result.status());
    return *result;
  }

  ListenerId Listen(const Endpoint& endpoint) { return Value(ring_->CreateListener(endpoint, {})); }

  ConnectionId ConnectTo(ListenerId listener, ConnectionId* server) {
    CHECK(ring_->PrepareAccept(listener, Shots::kOneShot, kAccept) == Prepared::kAccepted);
    CHECK(ring_->PrepareConnect(Value(ring_->LocalEndpoint(listener)), kConnect) ==
          Prepared::kAccepted);
    *server = Await(kAccept).connection();
    return Await(kConnect).connection();
  }

  // What the managed receive brings.
  ManagedBuffer Managed(const char* text) {
    CHECK(ring_->PrepareSend(other_client_, AsBytes(text), kSend) == Prepared::kAccepted);
    ManagedBuffer buffer;
    Await(kManaged, &buffer);
    return buffer;
  }

  void Pump() {
    ring_->SubmitAndWait({.timeout = std::chrono::milliseconds(100)});
    for (const Completion& completion : ring_->Completions()) {
      ManagedBuffer buffer;
      if ((completion.flags & kBuffer) != 0) buffer = ring_->TakeBuffer(completion);
      arrived_.push_back({completion, buffer});
    }
  }

  Completion Await(Token token, ManagedBuffer* buffer = nullptr) {
    const steady_clock::time_point deadline = steady_clock::now() + kPatience;
    for (;;) {
      for (size_t i = 0; i < arrived_.size(); ++i) {
        if (arrived_[i].first.token != token) continue;
        const auto found = arrived_[i];
        arrived_.erase(arrived_.begin() + static_cast<std::ptrdiff_t>(i));
        if (buffer != nullptr) {
          *buffer = found.second;
        } else if (found.second.data != nullptr) {
          ring_->ReturnBuffer(found.second);
        }
        return found.first;
      }
      CHECK(steady_clock::now() < deadline) << "operation " << token.value << " does not complete";
      Pump();
    }
  }

  std::vector<std::byte> memory_ = std::vector<std::byte>(4096);
  std::vector<std::byte> group_memory_ = std::vector<std::byte>(4 * 64);
  std::vector<std::byte> read_ = std::vector<std::byte>(16);
  std::vector<std::byte> received_ = std::vector<std::byte>(16);
  std::vector<std::byte> piped_ = std::vector<std::byte>(16);
  int pipe_writer_ = -1;
  absl::Notification work_begun_;
  absl::Notification work_may_end_;
  std::unique_ptr<Ring> ring_;
  std::vector<std::pair<Completion, ManagedBuffer>> arrived_;
  ListenerId unix_listener_;
  ListenerId listener_;
  FileId file_;
  ConnectionId datagram_;
  BufferId buffer_;
  BufferGroupId group_;
  ConnectionId client_;
  ConnectionId server_;
  ConnectionId other_client_;
  ConnectionId other_server_;
  ManagedBuffer held_;
};

// The child closes what it inherited, and the parent's ring goes on as if nothing had been.
TEST_P(RingConformance, AChildOfAForkDestroysItsCopyOnly) {
  const WorkingFolder folder;
  const std::vector<int> before = OpenDescriptors();
  absl::StatusOr<std::unique_ptr<Ring>> made = GetParam().create(Masked(Options()));
  ASSERT_TRUE(made.ok()) << made.status();
  BusyRing busy(*std::move(made));
  ASSERT_FALSE(HasFailure());
  ExpectInChild([&] {
    const Neighbours neighbours;
    busy.Destroy();
    neighbours.Use();
    const auto is_new = [&](int fd) {
      return !std::binary_search(before.begin(), before.end(), fd);
    };
    const std::vector<int> open = OpenDescriptors();
    // The one that tells the parent of errors.
    return std::count_if(open.begin(), open.end(), is_new) <= 1 && WorkingFolder::Has("path");
  });
  busy.ExpectAlive();
  busy.Finish();
}

// So does what is destroyed at the exit of a child of that child.
TEST_P(RingConformance, AGrandchildDestroysItsCopyOnly) {
  const WorkingFolder folder;
  absl::StatusOr<std::unique_ptr<Ring>> made = GetParam().create(Masked(Options()));
  ASSERT_TRUE(made.ok()) << made.status();
  BusyRing busy(*std::move(made));
  ExpectInChild([&] {
    ExpectInChild([&] {
      busy.Destroy();
      return true;
    });
    busy.Destroy();
    return !testing::Test::HasFailure();
  });
  busy.ExpectAlive();
  busy.Finish();
}

// Whatever uses it ends the child, and says what was wrong and what to do.
TEST_P(RingConformance, UseInAChildOfAForkEndsItWithASentence) {
  const WorkingFolder folder;
  absl::StatusOr<std::unique_ptr<Ring>> made = GetParam().create(Masked(Options()));
  ASSERT_TRUE(made.ok()) << made.status();
  BusyRing busy(*std::move(made));
  Ring& ring = busy.ring();
  std::byte memory[64];
  char characters[64];
  const std::pair<const char*, std::function<void()>> uses[] = {
      {"Submit", [&] { ring.Submit(); }},
      {"SubmitAndWait", [&] { ring.SubmitAndWait(); }},
      {"SubmitAndWait without time", [&] { ring.SubmitAndWait({.timeout = nanoseconds(0)}); }},
      {"WaitCompletions", [&] { ring.WaitCompletions({}); }},
      {"PrepareNop", [&] { static_cast<void>(ring.PrepareNop(kNop)); }},
      {"PrepareTimeout",
       [&] { static_cast<void>(ring.PrepareTimeout(hours(1), Shots::kOneShot, kNop)); }},
      {"PrepareSend",
       [&] { static_cast<void>(ring.PrepareSend(busy.client(), AsBytes("x"), kNop)); }},
      {"PrepareAccept",
       [&] { static_cast<void>(ring.PrepareAccept(busy.listener(), Shots::kOneShot, kNop)); }},
      {"PrepareCancel", [&] { static_cast<void>(ring.PrepareCancel(kTimer, kNop)); }},
      {"PrepareClose",
       [&] { static_cast<void>(ring.PrepareClose(busy.client(), CloseMode::kReset, kNop)); }},
      {"CreateListener", [&] { ring.CreateListener(Endpoint::Ipv4Loopback(0), {}).IgnoreError(); }},
      {"CloseListener", [&] { ring.CloseListener(busy.listener()).IgnoreError(); }},
      {"LocalEndpoint", [&] { ring.LocalEndpoint(busy.listener()).IgnoreError(); }},
      {"PeerEndpoint", [&] { ring.PeerEndpoint(busy.client()).IgnoreError(); }},
      {"RegisterSocket", [&] { ring.RegisterSocket(0).IgnoreError(); }},
      {"UnregisterSocket", [&] { ring.UnregisterSocket(busy.client()).IgnoreError(); }},
      {"OpenDatagram", [&] { ring.OpenDatagram(Endpoint::Ipv4Loopback(0)).IgnoreError(); }},
      {"RegisterBuffer", [&] { ring.RegisterBuffer({.memory = memory}).IgnoreError(); }},
      {"UnregisterBuffer", [&] { ring.UnregisterBuffer(busy.buffer()).IgnoreError(); }},
      {"UnregisterBufferGroup", [&] { ring.UnregisterBufferGroup(busy.group()).IgnoreError(); }},
      {"AddBuffers", [&] { ring.AddBuffers(busy.group(), memory).IgnoreError(); }},
      {"RegisterBufferGroup",
       [&] {
         ring.RegisterBufferGroup({.memory = memory, .buffer_bytes = 64, .max_buffers = 1})
             .IgnoreError();
       }},
      {"OpenFile", [&] { ring.OpenFile("file", {}).IgnoreError(); }},
      {"CloseFile", [&] { ring.CloseFile(busy.file()).IgnoreError(); }},
      {"RegisterFile", [&] { ring.RegisterFile(0).IgnoreError(); }},
      {"FileHandle", [&] { ring.FileHandle(busy.file()).IgnoreError(); }},
      {"PrepareOpen",
       [&] {
         static_cast<void>(ring.PrepareOpen({{}, "file"}, {}, kNop));
       }},
      {"PrepareCloseFile", [&] { static_cast<void>(ring.PrepareCloseFile(busy.file(), kNop)); }},
      {"PrepareRead", [&] { static_cast<void>(ring.PrepareRead(busy.file(), 0, memory, kNop)); }},
      {"PrepareReadManaged",
       [&] { static_cast<void>(ring.PrepareReadManaged(busy.file(), 0, busy.group(), kNop)); }},
      {"PrepareReadLink",
       [&] {
         static_cast<void>(ring.PrepareReadLink({{}, "file"}, characters, kNop));
       }},
      {"PrepareWork",
       [&] { static_cast<void>(ring.PrepareWork([](void*) { return 0; }, nullptr, kNop)); }},
      {"PrepareSendFile",
       [&] { static_cast<void>(ring.PrepareSendFile(busy.file(), 0, 4, busy.client(), kNop)); }},
  };
  for (const auto& [name, use] : uses) {
    SCOPED_TRACE(name);
    ExpectDiesInChild(use, kSentence);
  }
  // What only looks is harmless, and what gives a buffer back too.
  ExpectInChild([&] {
    ring.ReturnBuffer(busy.held());
    ring.Wake();
    return ring.PeekCompletions().size() == ring.CompletionQueueCount() &&
           ring.InFlight() == BusyRing::kInFlight && ring.SubmissionQueueSpace() == 0 &&
           ring.GetStatistics().submissions != 0;
  });
  EXPECT_EQ(ring.GetStatistics().wakes, 0u);
  busy.ExpectAlive();
  EXPECT_EQ(ring.GetStatistics().wakes, 0u);
  busy.Finish();
}

// Also of a ring that no thread has used yet, and where another thread forks than the ring's.
TEST_P(RingConformance, AnyThreadsForkCounts) {
  absl::StatusOr<std::unique_ptr<Ring>> ring = GetParam().create(Masked(Options()));
  ASSERT_TRUE(ring.ok()) << ring.status();
  const auto expect_foreign = [&] {
    ExpectDiesInChild([&] { (*ring)->Submit(); }, kSentence);
    ExpectDiesInChild([&] { (*ring)->WaitCompletions({}); }, kSentence);
    ExpectDiesInChild([&] { static_cast<void>((*ring)->PrepareNop(kNop)); }, kSentence);
    ExpectInChild([&] {
      ring->reset();
      return true;
    });
  };
  expect_foreign();
  std::thread([&] {
    EXPECT_EQ((*ring)->PrepareNop(kNop), Prepared::kAccepted);
    EXPECT_EQ((*ring)->SubmitAndWait(), 1u);
    (*ring)->AdvanceCompletionQueue((*ring)->PeekCompletions().size());
  }).join();
  expect_foreign();
}

// A child that makes a ring of its own after the fork has one that works, whatever becomes of the
// parent's.
TEST_P(RingConformance, AChildOfAForkHasRingsOfItsOwn) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
  ring.Pump();
  for (const bool destroys_first : {false, true}) {
    absl::StatusOr<std::unique_ptr<Ring>> copy = GetParam().create(Masked(Options()));
    ASSERT_TRUE(copy.ok()) << copy.status();
    ExpectInChild([&] {
      if (destroys_first) copy->reset();
      {
        TestRing& own = MakeRing();
        own.ExpectAlive(own.MakePair());
        Destroy(own);
      }
      copy->reset();
      return !HasFailure();
    });
  }
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  EXPECT_EQ(ring.Await(recv).result(), 1);
}

}  // namespace
}  // namespace ioring

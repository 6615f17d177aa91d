// What bit others, and this library, on io_uring: messages.
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_core/posix/socket_address.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

constexpr size_t kMessageBytes = 8;

std::string Message(int number) {
  std::string text = std::to_string(number);
  return std::string(kMessageBytes - text.size(), '.') + text;
}

// A Unix-domain datagram socket with a name that the kernel chooses.
Descriptor NamedSocket() {
  Descriptor named(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK_EQ(bind(named.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
  return named;
}

posix::SocketAddress NameOf(const Descriptor& named) {
  posix::SocketAddress address{};
  address.size = sizeof(address.storage);
  CHECK_EQ(getsockname(named.get(), address.get(), &address.size), 0);
  return address;
}

class MessageTest : public testing::TestWithParam<Mask> {
 protected:
  ConnectionId Register(Descriptor socket) {
    const absl::StatusOr<ConnectionId> id = ring_->RegisterSocket(socket.get());
    CHECK_OK(id.status());
    socket.release();
    return *id;
  }
  // Sends messages until one waits, which is returned.
  template <typename Send>
  Token SendUntilOneWaits(Send send) {
    for (;;) {
      sent_.push_back(Message(static_cast<int>(sent_.size())));
      const Token token = ring_.Start([&](Token t) { return send(AsBytes(sent_.back()), t); });
      ring_.PumpFor(std::chrono::milliseconds(5));
      if (ring_.Ready(token) == 0) return token;
      EXPECT_EQ(ring_.Next(token).result, static_cast<int32_t>(kMessageBytes));
    }
  }
  // Receives all that was sent, outside of the ring, while the ring runs.
  void ExpectAllSent(const Descriptor& receiver) {
    for (const std::string& expected : sent_) {
      std::array<char, 64> bytes;
      ssize_t received;
      do {
        ring_.PumpFor(std::chrono::milliseconds(1));
        received = recv(receiver.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      } while (received < 0 && errno == EAGAIN);
      ASSERT_GE(received, 0);
      EXPECT_EQ(std::string_view(bytes.data(), static_cast<size_t>(received)), expected);
    }
  }

  std::deque<std::string> sent_;
  UringTester ring_{{.disabled = GetParam().disabled}};
};

// Kernels copy a message before they find the receiver's queue full, and try again with what is
// left of it: an empty one arrived in its place.
TEST_P(MessageTest, ASendThatWaitsKeepsItsBytes) {
  for (const bool connected : {false, true}) {
    SCOPED_TRACE(connected ? "connected" : "with an address");
    sent_.clear();
    const Descriptor receiver = NamedSocket();
    const posix::SocketAddress name = NameOf(receiver);
    const Endpoint endpoint = posix::FromSocketAddress(name.get(), name.size);
    Descriptor sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (connected) {
      ASSERT_EQ(connect(sender.get(), name.get(), name.size), 0);
    }
    const ConnectionId id = Register(std::move(sender));
    const Token waits = SendUntilOneWaits([&](std::span<const std::byte> bytes, Token token) {
      return connected ? ring_->PrepareSend(id, bytes, token)
                       : ring_->PrepareSendTo(id, bytes, endpoint, token);
    });
    ExpectAllSent(receiver);
    EXPECT_EQ(ring_.Next(waits).result, static_cast<int32_t>(kMessageBytes));
    EXPECT_EQ(ring_.Close(id).result, 0);
  }
}

// Such a send can be cancelled, closed, and given a deadline, at each of its stages.
TEST_P(MessageTest, ASendThatWaitsEnds) {
  enum class By { kToken, kConnection, kAll, kClose, kDeadline };
  for (const By by : {By::kToken, By::kConnection, By::kAll, By::kClose, By::kDeadline}) {
    SCOPED_TRACE(static_cast<int>(by));
    sent_.clear();
    const Descriptor receiver = NamedSocket();
    const posix::SocketAddress name = NameOf(receiver);
    const Endpoint endpoint = posix::FromSocketAddress(name.get(), name.size);
    const ConnectionId id = Register(Descriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
    const auto send = [&](std::span<const std::byte> bytes, Token token) {
      return ring_->PrepareSendTo(id, bytes, endpoint, token);
    };
    Token waits = SendUntilOneWaits(send);
    if (by == By::kDeadline) {
      EXPECT_EQ(ring_.Run([&](Token token) { return ring_->PrepareCancel(waits, token); }).result,
                0);
      EXPECT_EQ(ring_.Next(waits).error(), Error::kCanceled);
      waits = ring_.Start([&](Token token) { return send(AsBytes(sent_.back()), token); });
      const Token deadline = ring_.Start([&](Token token) {
        return ring_->PrepareDeadline(waits, std::chrono::milliseconds(30), token);
      });
      EXPECT_EQ(ring_.Next(deadline).error(), Error::kTimedOut);
    } else {
      const Event end = ring_.Run([&](Token token) {
        return by == By::kToken        ? ring_->PrepareCancel(waits, token)
               : by == By::kConnection ? ring_->PrepareCancelConnection(id, Direction::kSend, token)
               : by == By::kAll        ? ring_->PrepareCancelAll(token)
                                       : ring_->PrepareClose(id, CloseMode::kGraceful, token);
      });
      EXPECT_EQ(end.result, by == By::kConnection ? 1 : 0);
    }
    EXPECT_EQ(ring_.Next(waits).error(), Error::kCanceled);
    if (by == By::kClose) continue;
    EXPECT_EQ(ring_.Close(id).result, 0);
  }
}

// A deadline that a send outruns ends with it.
TEST_P(MessageTest, ASendIsFasterThanItsDeadline) {
  const Descriptor receiver = NamedSocket();
  const posix::SocketAddress name = NameOf(receiver);
  const ConnectionId id = Register(Descriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  const Token send = ring_.Start([&](Token token) {
    return ring_->PrepareSendTo(id, AsBytes("in time"),
                                posix::FromSocketAddress(name.get(), name.size), token);
  });
  const Token deadline = ring_.Start(
      [&](Token token) { return ring_->PrepareDeadline(send, std::chrono::hours(1), token); });
  EXPECT_EQ(ring_.Next(send).result, 7);
  EXPECT_EQ(ring_.Next(deadline).result, 0);
}

// A receive that the kernel finds ready again and again without bytes, since another reader of the
// socket is faster, went on to a worker thread. There it took its part of a buffer at once, and the
// bytes of other connections were given out from the wrong place.
TEST_P(MessageTest, AnotherReaderMovesNoBytes) {
  std::array<std::byte, 1024> memory;
  const absl::StatusOr<BufferGroupId> group =
      ring_->RegisterBufferGroup({.memory = memory, .buffer_bytes = 256});
  ASSERT_TRUE(group.ok()) << group.status();
  SocketPair shared = UnixPair();
  const Descriptor other_reader(dup(shared.a.get()));
  UringTester::Accepted first = ring_.Register(std::move(shared));
  UringTester::Accepted second = ring_.Accept();
  const auto receive = [&](ConnectionId id) {
    return ring_.Start(
        [&](Token token) { return ring_->PrepareRecvManaged(id, *group, Shots::kOneShot, token); });
  };
  const auto exchange = [&](size_t bytes) {
    const std::string text = Pattern(bytes);
    ASSERT_TRUE(SendAll(second.peer.get(), text));
    for (size_t done = 0; done < bytes;) {
      const Event event = ring_.Next(receive(second.id));
      ASSERT_NE(event.flags & kBuffer, 0u);
      ASSERT_EQ(AsText({event.buffer.data, event.buffer.size}),
                text.substr(done, event.buffer.size));
      done += event.buffer.size;
      ring_->ReturnBuffer(event.buffer);
    }
  };
  // It is armed while a buffer has 200 bytes left, and tried again in the middle of the next one.
  exchange(56);
  const Token robbed = receive(first.id);
  ring_.PumpFor(std::chrono::milliseconds(1));
  exchange(200);
  constexpr int kMoreThanTheKernelTries = 300;
  // Where whole buffers are picked the receive may wait on a worker thread, and be faster for once.
  std::string last = "plain";
  for (int i = 0; i < kMoreThanTheKernelTries && last != "!"; ++i) {
    ASSERT_TRUE(SendAll(first.peer.get(), "!"));
    char byte;
    if (recv(other_reader.get(), &byte, 1, MSG_DONTWAIT) != 1) last = "!";
    ring_->Submit();
  }
  ring_.PumpFor(std::chrono::milliseconds(20));
  for (size_t i = 0; i < 50; ++i) exchange(10 + i);
  if (last != "!") {
    ASSERT_TRUE(SendAll(first.peer.get(), last));
  }
  const Event event = ring_.Next(robbed);
  ASSERT_NE(event.flags & kBuffer, 0u);
  EXPECT_EQ(AsText({event.buffer.data, event.buffer.size}), last);
  ring_->ReturnBuffer(event.buffer);
  EXPECT_EQ(ring_.Close(first.id).result, 0);
  EXPECT_EQ(ring_.Close(second.id).result, 0);
  EXPECT_TRUE(ring_->UnregisterBufferGroup(*group).ok());
}

// Streams and datagrams share a group: each message keeps its borders, each stream its order.
TEST_P(MessageTest, DatagramsAndStreamsShareAGroup) {
  constexpr uint32_t kBufferBytes = 2048;
  std::array<std::byte, 8 * kBufferBytes> memory;
  const absl::StatusOr<BufferGroupId> group =
      ring_->RegisterBufferGroup({.memory = memory, .buffer_bytes = kBufferBytes});
  ASSERT_TRUE(group.ok()) << group.status();
  UringTester::Accepted stream = ring_.Accept();
  const auto receive = [&](ConnectionId id) {
    return ring_.Start([&](Token token) {
      return ring_->PrepareRecvManaged(id, *group, Shots::kMultishot, token);
    });
  };
  const Token bytes = receive(stream.id);
  const auto expect = [&](Token token, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
      const Event event = ring_.Next(token);
      ASSERT_NE(event.flags & kBuffer, 0u) << event.result;
      ASSERT_EQ(AsText({event.buffer.data, event.buffer.size}),
                text.substr(done, event.buffer.size));
      done += event.buffer.size;
      ring_->ReturnBuffer(event.buffer);
    }
  };
  ASSERT_TRUE(SendAll(stream.peer.get(), "before"));
  expect(bytes, "before");

  const Descriptor sender = NamedSocket();
  Descriptor receiver = NamedSocket();
  const posix::SocketAddress name = NameOf(receiver);
  ASSERT_EQ(connect(sender.get(), name.get(), name.size), 0);
  const ConnectionId messenger = Register(std::move(receiver));
  const Token messages = receive(messenger);
  for (int round = 0; round < 20; ++round) {
    const std::string message = Pattern(1200);
    const std::string text = Pattern(static_cast<size_t>(100 + round));
    ASSERT_TRUE(SendAll(sender.get(), message));
    ASSERT_TRUE(SendAll(sender.get(), message));
    ASSERT_TRUE(SendAll(stream.peer.get(), text));
    for (int i = 0; i < 2; ++i) {
      const Event event = ring_.Next(messages);
      ASSERT_EQ(event.result, 1200);
      ASSERT_EQ(AsText({event.buffer.data, event.buffer.size}), message);
      ring_->ReturnBuffer(event.buffer);
    }
    expect(bytes, text);
  }
  // The ring's own end of a socket that has no end.
  ASSERT_EQ(ring_
                .Run([&](Token token) {
                  return ring_->PrepareShutdown(messenger, Direction::kRecv, token);
                })
                .result,
            0);
  const Event end = ring_.Next(messages);
  EXPECT_EQ(end.result, 0);
  EXPECT_EQ(end.flags & (kMore | kEmptyDatagram), 0u);
  EXPECT_EQ(ring_.Close(messenger).result, 0);
  EXPECT_EQ(ring_.Close(stream.id).result, 0);
  EXPECT_EQ(ring_.Next(bytes).error(), Error::kCanceled);
  EXPECT_EQ(ring_->FreeBuffers(*group), 8u);
  EXPECT_TRUE(ring_->UnregisterBufferGroup(*group).ok());
}

INSTANTIATE_TEST_SUITE_P(
    Masks, MessageTest,
    testing::Values(Mask{"AllFeatures", {}},
                    Mask{"NoIncrementalBuffers", {Capability::kIncrementalBuffers}},
                    Mask{"NoProvidedBuffers", {Capability::kProvidedBuffers}},
                    Mask{"NoDirectDescriptors", {Capability::kDirectDescriptors}},
                    Mask{"NoDeferredTaskRun", {Capability::kDeferredTaskRun}},
                    Mask{"NothingNewerThan5_15", CapabilitiesNewerThan5_15()}),
    MaskName);

}  // namespace
}  // namespace ioring::uring

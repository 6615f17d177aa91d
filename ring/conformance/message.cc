// Sockets of messages: what receives and sends mean where every call transfers one.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/native_sockets.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr TransferFlags kEveryFlag[] = {TransferFlags::kNone, TransferFlags::kAll};

// A socket of the ring, and somebody who sends messages to it.
struct Inbox {
  std::string name;
  ConnectionId socket;
  bool is_sequenced = false;
  std::function<void(std::string_view)> send;
  // Null: it is no connected one, and the sender is a socket of the ring.
  std::shared_ptr<NativePeer> peer = nullptr;
};

Arrival SendTo(TestRing& ring, ConnectionId socket, std::string_view text,
               const Endpoint& destination) {
  const std::span<std::byte> memory = ring.Text(text);
  return ring.Run(
      [&](Token token) { return ring.PrepareSendTo(socket, memory, destination, token); });
}

void AddOwn(TestRing& ring, const Endpoint& any_port, std::vector<Inbox>* inboxes) {
  const absl::StatusOr<ConnectionId> to = ring.OpenDatagram(any_port);
  if (!to.ok() && SkipsAllowed()) return;
  ASSERT_TRUE(to.ok()) << to.status();
  const absl::StatusOr<ConnectionId> from = ring.OpenDatagram(any_port);
  ASSERT_TRUE(from.ok()) << from.status();
  const Endpoint address = *ring.LocalEndpoint(*to);
  inboxes->push_back({.name = absl::StrCat("own ", any_port.ToString()),
                      .socket = *to,
                      .send = [&ring, from = *from, address](std::string_view text) {
                        EXPECT_EQ(SendTo(ring, from, text, address).result(),
                                  static_cast<int32_t>(text.size()));
                      }});
}

void AddHandedIn(TestRing& ring, const NativeKind& kind, std::vector<Inbox>* inboxes) {
  absl::StatusOr<NativePair> pair = kind.make();
  if (!pair.ok() && SkipsAllowed()) return;
  ASSERT_TRUE(pair.ok()) << pair.status();
  const absl::StatusOr<ConnectionId> socket = ring.RegisterSocket(pair->handle);
  ASSERT_TRUE(socket.ok()) << socket.status();
  const std::shared_ptr<NativePeer> peer = std::move(pair->peer);
  inboxes->push_back({.name = kind.name,
                      .socket = *socket,
                      .is_sequenced = kind.is_sequenced,
                      .send = [peer](std::string_view text) { peer->Send(text); },
                      .peer = peer});
}

// One of each kind: those that the ring makes, and those that it is handed.
std::vector<Inbox> Inboxes(TestRing& ring, const std::vector<NativeKind>& kinds) {
  std::vector<Inbox> inboxes;
  AddOwn(ring, Endpoint::Ipv4Loopback(0), &inboxes);
  AddOwn(ring, Endpoint::Ipv6Loopback(0), &inboxes);
  for (const NativeKind& kind : kinds) AddHandedIn(ring, kind, &inboxes);
  return inboxes;
}

void ForEach(const std::vector<Inbox>& inboxes, const std::function<void(const Inbox&)>& test) {
  for (const Inbox& inbox : inboxes) {
    SCOPED_TRACE(inbox.name);
    test(inbox);
  }
}

// A receive that has come.
void ExpectText(const Arrival& arrival, std::span<const std::byte> memory, std::string_view text) {
  ASSERT_EQ(arrival.result(), static_cast<int32_t>(text.size())) << ErrorName(arrival.error());
  EXPECT_EQ(arrival.completion.flags & kEmptyDatagram, 0u);
  EXPECT_EQ(AsText(memory.first(text.size())), text);
}

// The next message is this one, whole.
void ExpectNext(TestRing& ring, const Inbox& inbox, std::string_view text) {
  const std::span<std::byte> memory = ring.Memory(64);
  ExpectText(ring.Recv(inbox.socket, memory), memory, text);
}

// A receive takes one message, however much room there is and whatever else waits; kAll changes
// nothing.
TEST_P(RingConformance, MessageAReceiveTakesOne) {
  TestRing& ring = MakeRing();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    for (const TransferFlags flags : kEveryFlag) {
      for (const char* text : {"one", "two", "three"}) inbox.send(text);
      for (const std::string_view text : {"one", "two", "three"}) {
        const std::span<std::byte> memory = ring.Memory(64);
        ExpectText(ring.Await(ring.StartRecv(inbox.socket, memory, flags)), memory, text);
      }
      const std::span<std::byte> memory = ring.Memory(64);
      const Token waits = ring.StartRecv(inbox.socket, memory, flags);
      ring.Submit();
      inbox.send("late");
      ExpectText(ring.Await(waits), memory, "late");
    }
  });
}

// The same into slices of registered memory.
TEST_P(RingConformance, MessageASliceTakesOne) {
  TestRing& ring = MakeRing();
  const TestBuffer buffer = ring.MakeBuffer(4096);
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    for (const TransferFlags flags : kEveryFlag) {
      const auto start = [&](uint32_t length) {
        return ring.Start([&](Token token) {
          return ring.PrepareRecvBuffer(inbox.socket, buffer.Slice(1024, length), token, flags);
        });
      };
      for (const char* text : {"one", "too long", "two"}) inbox.send(text);
      ExpectText(ring.Await(start(64)), buffer.memory.subspan(1024), "one");
      EXPECT_EQ(ring.Await(start(4)).error(), Error::kMessageTooLong);
      ExpectText(ring.Await(start(3)), buffer.memory.subspan(1024), "two");
      if (inbox.is_sequenced) continue;  // nobody sends empty ones there
      for (const bool waits : {true, false}) {
        Token recv;
        if (waits) recv = start(64);
        ring.Submit();
        inbox.send("");
        if (!waits) recv = start(64);
        const Arrival empty = ring.Await(recv);
        EXPECT_EQ(empty.result(), 0);
        EXPECT_EQ(empty.completion.flags, uint32_t{kEmptyDatagram});
      }
    }
  });
}

// What does not fit is told, not cut silently, and its rest is no message of its own.
TEST_P(RingConformance, MessageTooLongForTheMemory) {
  TestRing& ring = MakeRing();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    for (const TransferFlags flags : kEveryFlag) {
      for (const bool waits : {true, false}) {
        const std::span<std::byte> memory = ring.Memory(4);
        Token recv;
        if (waits) recv = ring.StartRecv(inbox.socket, memory, flags);
        ring.Submit();
        inbox.send("too long");
        if (!waits) recv = ring.StartRecv(inbox.socket, memory, flags);
        EXPECT_EQ(ring.Await(recv).error(), Error::kMessageTooLong);
        inbox.send("fits");
        ExpectText(ring.Await(ring.StartRecv(inbox.socket, memory, flags)), memory, "fits");
      }
    }
    const std::span<std::byte> memory = ring.Memory(4);
    Endpoint* source = ring.NewEndpoint();
    const Token from = ring.Start(
        [&](Token token) { return ring.PrepareRecvFrom(inbox.socket, memory, source, token); });
    inbox.send("too long");
    EXPECT_EQ(ring.Await(from).error(), Error::kMessageTooLong);
    inbox.send("next");
    ExpectNext(ring, inbox, "next");
  });
}

// An empty datagram is one, and no end of a stream.
TEST_P(RingConformance, MessageAnEmptyDatagramIsNoEnd) {
  TestRing& ring = MakeRing();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    if (inbox.is_sequenced) return;  // cannot tell it from the end
    for (const TransferFlags flags : kEveryFlag) {
      inbox.send("");
      inbox.send("next");
      const Arrival empty = ring.Await(ring.StartRecv(inbox.socket, ring.Memory(64), flags));
      EXPECT_EQ(empty.result(), 0);
      EXPECT_EQ(empty.completion.flags, uint32_t{kEmptyDatagram});
      ExpectNext(ring, inbox, "next");
    }
    inbox.send("");
    Endpoint* source = ring.NewEndpoint();
    const Arrival from = ring.Run([&](Token token) {
      return ring.PrepareRecvFrom(inbox.socket, ring.Memory(64), source, token);
    });
    EXPECT_EQ(from.result(), 0);
    EXPECT_EQ(from.completion.flags, uint32_t{kEmptyDatagram});
  });
}

// ---- Managed receives.

// Each message has a buffer of its own, whole, whatever is left of others.
TEST_P(RingConformance, MessageManagedEachInABufferOfItsOwn) {
  TestRing& ring = MakeRing();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    for (const uint32_t buffer_bytes : {1200u, 2048u, 8192u}) {
      SCOPED_TRACE(buffer_bytes);
      const TestGroup group = ring.MakeGroup(8, buffer_bytes);
      const Token recv = ring.StartManaged(inbox.socket, group.id, Shots::kMultishot);
      ring.Submit();
      for (int i = 0; i < 6; ++i) {
        const std::string text(1200, static_cast<char>('a' + i));
        inbox.send(text);
        const Arrival arrival = ring.Next(recv);
        EXPECT_EQ(arrival.result(), 1200);
        EXPECT_EQ(arrival.bytes, text);
        EXPECT_TRUE(arrival.more());
      }
      for (const char* text : {"one", "two", "three"}) inbox.send(text);
      for (const char* text : {"one", "two", "three"}) EXPECT_EQ(ring.Next(recv).bytes, text);
      EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
      EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
      inbox.send("one-shot");
      inbox.send("and no more");
      EXPECT_EQ(ring.Await(ring.StartManaged(inbox.socket, group.id, Shots::kOneShot)).bytes,
                "one-shot");
      ExpectNext(ring, inbox, "and no more");
      EXPECT_EQ(ring.FreeBuffers(group.id), 8u);
      ASSERT_TRUE(ring.UnregisterBufferGroup(group.id).ok());
    }
  });
}

// One that is longer than a buffer is told without one, and a multishot receive goes on.
TEST_P(RingConformance, MessageManagedTooLongForABuffer) {
  TestRing& ring = MakeRing();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    for (const uint32_t buffer_bytes : {16u, 100u, 1000u}) {
      SCOPED_TRACE(buffer_bytes);
      const TestGroup group = ring.MakeGroup(4, buffer_bytes);
      const std::string fits(buffer_bytes, 'f');
      const std::string too_long(buffer_bytes + 1, 'l');
      const Token recv = ring.StartManaged(inbox.socket, group.id, Shots::kMultishot);
      ring.Submit();
      for (const std::string& text : {fits, too_long, too_long, fits}) inbox.send(text);
      EXPECT_EQ(ring.Next(recv).bytes, fits);
      for (int i = 0; i < 2; ++i) {
        const Arrival lost = ring.Next(recv);
        EXPECT_EQ(lost.error(), Error::kMessageTooLong);
        EXPECT_EQ(lost.completion.flags, uint32_t{kMore});
      }
      EXPECT_EQ(ring.Next(recv).bytes, fits);
      EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
      EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
      inbox.send(too_long);
      const Arrival one = ring.Await(ring.StartManaged(inbox.socket, group.id, Shots::kOneShot));
      EXPECT_EQ(one.error(), Error::kMessageTooLong);
      EXPECT_EQ(one.completion.flags, 0u);
      EXPECT_EQ(ring.FreeBuffers(group.id), 4u);
      ASSERT_TRUE(ring.UnregisterBufferGroup(group.id).ok());
    }
  });
}

// An empty one is told without a buffer, and a multishot receive goes on.
TEST_P(RingConformance, MessageManagedEmptyDatagramIsNoEnd) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(4, 64);
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    if (inbox.is_sequenced) return;
    const Token recv = ring.StartManaged(inbox.socket, group.id, Shots::kMultishot);
    ring.Submit();
    for (const char* text : {"", "a", "", "", "b"}) inbox.send(text);
    for (const std::string text : {"", "a", "", "", "b"}) {
      const Arrival arrival = ring.Next(recv);
      EXPECT_EQ(arrival.result(), static_cast<int32_t>(text.size()));
      EXPECT_EQ(arrival.bytes, text);
      EXPECT_TRUE(arrival.more());
      EXPECT_EQ((arrival.completion.flags & kEmptyDatagram) != 0, text.empty());
    }
    EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
    EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
    inbox.send("");
    const Arrival one = ring.Await(ring.StartManaged(inbox.socket, group.id, Shots::kOneShot));
    EXPECT_EQ(one.result(), 0);
    EXPECT_EQ(one.completion.flags, uint32_t{kEmptyDatagram});
    EXPECT_EQ(ring.FreeBuffers(group.id), 4u);
  });
}

// Without a buffer a message waits, whole, for one to come back.
TEST_P(RingConformance, MessageManagedWaitsForABuffer) {
  TestRing& ring = MakeRing();
  ring.HoldBuffers();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    const TestGroup group = ring.MakeGroup(1, 64);
    const Token recv = ring.StartManaged(inbox.socket, group.id, Shots::kMultishot);
    ring.Submit();
    for (const std::string_view text : {"first", "second", "third"}) inbox.send(text);
    for (const std::string_view text : {"first", "second", "third"}) {
      const Arrival arrival = ring.Next(recv);
      ASSERT_EQ(arrival.result(), static_cast<int32_t>(text.size()));
      EXPECT_EQ(AsText({arrival.buffer.data, text.size()}), text);
      ring.Quiet();
      EXPECT_FALSE(ring.HasArrived(recv)) << "there was no buffer";
      ring.ReturnBuffer(arrival.buffer);
    }
    EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
    EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
    ASSERT_TRUE(ring.UnregisterBufferGroup(group.id).ok());
  });
}

// Or it fails, and a later receive has the message.
TEST_P(RingConformance, MessageManagedFailsWithoutABuffer) {
  TestRing& ring = MakeRing();
  ring.HoldBuffers();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    const TestGroup group = ring.MakeGroup(1, 64, ExhaustionPolicy::kFail);
    const Token recv = ring.StartManaged(inbox.socket, group.id, Shots::kMultishot);
    ring.Submit();
    for (const std::string_view text : {"first", "second"}) inbox.send(text);
    const Arrival first = ring.Next(recv);
    ASSERT_EQ(first.result(), 5);
    const Arrival failed = ring.Next(recv);
    EXPECT_EQ(failed.error(), Error::kNoBuffers);
    EXPECT_FALSE(failed.more());
    ExpectNext(ring, inbox, "second");
    ring.ReturnBuffer(first.buffer);
    ASSERT_TRUE(ring.UnregisterBufferGroup(group.id).ok());
  });
}

// ---- Sequences, which have an end.

TEST_P(RingConformance, MessageTheEndOfASequence) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(4, 64);
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot}) {
    std::vector<Inbox> sequences;
    for (const NativeKind& kind : GetParam().native_kinds) {
      if (kind.is_sequenced) AddHandedIn(ring, kind, &sequences);
    }
    for (Inbox& inbox : sequences) {
      SCOPED_TRACE(inbox.name);
      const Token recv = ring.StartManaged(inbox.socket, group.id, shots);
      ring.Submit();
      inbox.send("last");
      EXPECT_EQ(ring.Next(recv).bytes, "last");
      inbox.send = nullptr;
      inbox.peer.reset();
      const Arrival end = shots == Shots::kMultishot ? ring.Next(recv) : ring.RecvEnd(inbox.socket);
      EXPECT_EQ(end.result(), 0) << ErrorName(end.error());
      EXPECT_EQ(end.completion.flags, 0u);
      EXPECT_EQ(ring.RecvEnd(inbox.socket).result(), 0) << "it stays so";
    }
  }
}

// A shutdown of the receiving direction is an end of datagrams too.
TEST_P(RingConformance, MessageShutdownEndsReceives) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(4, 64);
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    if (inbox.peer == nullptr) return;  // is not connected, so that there is nothing to shut down
    const Token waits = ring.StartRecv(inbox.socket, ring.Memory(64));
    ring.Quiet();
    EXPECT_EQ(ring.Run([&](Token token) {
                    return ring.PrepareShutdown(inbox.socket, Direction::kRecv, token);
                  })
                  .result(),
              0);
    const Arrival end = ring.Await(waits);
    EXPECT_EQ(end.result(), 0) << ErrorName(end.error());
    EXPECT_EQ(end.completion.flags, 0u);
    const Arrival managed = ring.Next(ring.StartManaged(inbox.socket, group.id, Shots::kMultishot));
    EXPECT_EQ(managed.result(), 0) << ErrorName(managed.error());
    EXPECT_EQ(managed.completion.flags, 0u);
    const Arrival from = ring.Run([&](Token token) {
      return ring.PrepareRecvFrom(inbox.socket, ring.Memory(64), ring.NewEndpoint(), token);
    });
    EXPECT_EQ(from.result(), 0) << ErrorName(from.error());
    EXPECT_EQ(from.completion.flags, 0u);
  });
}

// The receives before it in its batch, too: none is told of an empty datagram.
TEST_P(RingConformance, MessageShutdownEndsReceivesOfItsBatch) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(4, 64);
  const auto recv_from = [&](ConnectionId socket, Endpoint* source) {
    return ring.Start(
        [&](Token token) { return ring.PrepareRecvFrom(socket, ring.Memory(64), source, token); });
  };
  const ConnectionId other = ring.Datagram();
  const Endpoint address = *ring.LocalEndpoint(other);
  for (int way = 0; way < 4; ++way) {
    ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
      if (inbox.peer == nullptr) return;
      // What takes its place next is no answer to it.
      EXPECT_EQ(ring.Run([&](Token token) {
                      return ring.PrepareSendTo(other, ring.Text("x"), address, token);
                    })
                    .result(),
                1);
      Endpoint* const source = ring.NewEndpoint();
      const Shots shots = way == 2 ? Shots::kOneShot : Shots::kMultishot;
      const Token receive = way == 0   ? ring.StartRecv(inbox.socket, ring.Memory(64))
                            : way == 1 ? recv_from(inbox.socket, source)
                                       : ring.StartManaged(inbox.socket, group.id, shots);
      const Token shutdown = ring.Start(
          [&](Token token) { return ring.PrepareShutdown(inbox.socket, Direction::kRecv, token); });
      EXPECT_EQ(ring.Await(shutdown).result(), 0);
      const Arrival end = ring.Await(receive);
      EXPECT_EQ(end.result(), 0) << ErrorName(end.error());
      EXPECT_EQ(end.completion.flags, 0u) << way;
      if (way == 1) {
        EXPECT_EQ(source->family(), Endpoint::Family::kNone);
      }
    });
  }
}

// ---- Sending.

// One send is one message; kAll changes nothing.
TEST_P(RingConformance, MessageASendIsOne) {
  TestRing& ring = MakeRing();
  const TestBuffer buffer = ring.MakeBuffer(4096);
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    if (inbox.peer == nullptr) return;  // is not connected
    for (const TransferFlags flags : kEveryFlag) {
      for (const std::string_view text : {"one", "two", "three"}) {
        EXPECT_EQ(ring.Await(ring.StartSend(inbox.socket, ring.Text(text), flags)).result(),
                  static_cast<int32_t>(text.size()));
      }
      const Token slice = ring.Start([&](Token token) {
        return ring.PrepareSendBuffer(inbox.socket, buffer.Slice(8, 4), token, flags);
      });
      EXPECT_EQ(ring.Await(slice).result(), 4);
      for (const std::string_view text : {"one", "two", "three"}) {
        EXPECT_EQ(inbox.peer->Receive(), text);
      }
      EXPECT_EQ(inbox.peer->Receive(), std::string(4, '\0'));
      EXPECT_EQ(ring.Await(ring.StartSend(inbox.socket, {}, flags)).error(),
                Error::kInvalidArgument);
    }
  });
}

// One that waits until the receiver has room goes as it was.
TEST_P(RingConformance, MessageASendThatWaitsIsOne) {
  TestRing& ring = MakeRing();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    if (inbox.peer == nullptr) return;
    for (const TransferFlags flags : kEveryFlag) {
      std::deque<std::string> sent;
      const auto receive_one = [&] {
        EXPECT_EQ(inbox.peer->Receive(), sent.front());
        sent.pop_front();
      };
      for (int i = 0; i < 40; ++i) {
        sent.push_back(absl::StrCat("message ", i));
        const Token send = ring.StartSend(inbox.socket, ring.Text(sent.back()), flags);
        ring.Pump();
        // A queue that is full takes it when there is room.
        while (!ring.HasArrived(send) && sent.size() > 1) {
          receive_one();
          ring.Quiet();
        }
        ASSERT_EQ(ring.Await(send).result(), static_cast<int32_t>(sent.back().size()));
      }
      while (!sent.empty()) receive_one();
    }
  });
}

// A message that no network takes is refused whole.
TEST_P(RingConformance, MessageASendThatIsTooLong) {
  TestRing& ring = MakeRing();
  ForEach(Inboxes(ring, GetParam().native_kinds), [&](const Inbox& inbox) {
    if (inbox.peer == nullptr) return;
    const std::span<std::byte> memory = ring.Memory(32 << 20);
    for (const TransferFlags flags : kEveryFlag) {
      EXPECT_EQ(ring.Await(ring.StartSend(inbox.socket, memory, flags)).error(),
                Error::kMessageTooLong);
    }
    EXPECT_EQ(ring.Await(ring.StartSend(inbox.socket, ring.Text("short"))).result(), 5);
    EXPECT_EQ(inbox.peer->Receive(), "short");
  });
}

}  // namespace
}  // namespace ioring

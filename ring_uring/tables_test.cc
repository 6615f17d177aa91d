// The tables of the io_uring backend, without a ring.
#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_uring/connection_table.h"
#include "ring_uring/operation.h"
#include "ring_uring/user_data.h"

namespace ioring::uring {
namespace {

// ---- ConnectionTable.

TEST(ConnectionTableTest, FindsNothingThatWasNeverOpened) {
  ConnectionTable table(4, 3);
  EXPECT_EQ(table.size(), 7u);
  EXPECT_EQ(table.open(), 0u);
  EXPECT_EQ(table.Find(ConnectionId{}), nullptr);
  EXPECT_EQ(table.Find(ConnectionId{0, 0}), nullptr);
  EXPECT_EQ(table.Find(ConnectionId{6, 0}), nullptr);
  EXPECT_EQ(table.Find(ConnectionId{7, 0}), nullptr);
}

TEST(ConnectionTableTest, OrdinaryIndexesFollowTheDirectOnesUntilAllAreTaken) {
  ConnectionTable table(4, 3);
  std::set<uint32_t> indexes;
  for (int i = 0; i < 3; ++i) {
    const uint32_t index = table.TakeOrdinary();
    table.Open(index, 10 + i, /*is_direct=*/false);
    indexes.insert(index);
  }
  EXPECT_EQ(indexes, (std::set<uint32_t>{4, 5, 6}));
  EXPECT_EQ(table.TakeOrdinary(), ConnectionId::kNoIndex);
  EXPECT_EQ(table.open(), 3u);
}

TEST(ConnectionTableTest, AnIndexThatIsFreedCanBeTakenAgainWithANewGeneration) {
  ConnectionTable table(2, 1);
  const uint32_t index = table.TakeOrdinary();
  const ConnectionId first = table.IdOf(table.Open(index, 10, /*is_direct=*/false));
  ASSERT_NE(table.Find(first), nullptr);
  table.Free(*table.Find(first));
  EXPECT_EQ(table.Find(first), nullptr);
  EXPECT_EQ(table.open(), 0u);

  ASSERT_EQ(table.TakeOrdinary(), index);
  const ConnectionId second = table.IdOf(table.Open(index, 11, /*is_direct=*/false));
  EXPECT_EQ(second.index, first.index);
  EXPECT_NE(second.generation, first.generation);
  EXPECT_EQ(table.Find(first), nullptr);
  EXPECT_EQ(table.Find(second)->descriptor, 11);
}

TEST(ConnectionTableTest, GenerationsGoRoundAfterSixteenBits) {
  ConnectionTable table(0, 1);
  ConnectionId previous;
  for (int use = 0; use < (1 << 16) + 2; ++use) {
    const uint32_t index = table.TakeOrdinary();
    Connection& connection = table.Open(index, 3, /*is_direct=*/false);
    const ConnectionId id = table.IdOf(connection);
    ASSERT_LT(id.generation, uint32_t{1} << 16);
    ASSERT_NE(id, previous) << "use " << use;
    ASSERT_EQ(table.Find(id), &connection);
    table.Free(connection);
    previous = id;
  }
}

TEST(ConnectionTableTest, ADirectSlotIsNeverHandedOutAsAnOrdinaryOne) {
  ConnectionTable table(2, 1);
  Connection& direct = table.Open(1, 1, /*is_direct=*/true);
  const ConnectionId id = table.IdOf(direct);
  EXPECT_EQ(id.index, 1u);
  table.Free(direct);
  EXPECT_EQ(table.Find(id), nullptr);
  EXPECT_EQ(table.TakeOrdinary(), 2u);
  EXPECT_EQ(table.TakeOrdinary(), ConnectionId::kNoIndex);
}

TEST(ConnectionTableTest, OnlyOpenConnectionsAreFound) {
  ConnectionTable table(0, 1);
  Connection& connection = table.Open(table.TakeOrdinary(), 3, /*is_direct=*/false);
  const ConnectionId id = table.IdOf(connection);
  for (const ConnectionState state : {ConnectionState::kConnecting, ConnectionState::kClosing,
                                      ConnectionState::kCloseSubmitted}) {
    connection.state = state;
    EXPECT_EQ(table.Find(id), nullptr) << static_cast<int>(state);
  }
  connection.state = ConnectionState::kOpen;
  EXPECT_EQ(table.Find(id), &connection);
}

TEST(ConnectionTableTest, OpeningLeavesNothingOfTheEarlierUse) {
  ConnectionTable table(0, 1);
  Connection& first = table.Open(table.TakeOrdinary(), 3, /*is_direct=*/false);
  first.recv_half.token = 7;
  first.send_half.unit = 8;
  first.kernel_entries = 9;
  first.tasks = kStopRecv;
  first.set(kReset);
  first.set(kRecvCancelled);
  table.Free(first);
  const Connection& second = table.Open(table.TakeOrdinary(), 4, /*is_direct=*/false);
  EXPECT_EQ(second.recv_half.token, 0u);
  EXPECT_EQ(second.send_half.unit, 0u);
  EXPECT_EQ(second.kernel_entries, 0u);
  EXPECT_EQ(second.tasks, 0u);
  EXPECT_EQ(second.flags, 0u);
  EXPECT_EQ(second.recv, Transfer::kIdle);
}

TEST(ConnectionTableTest, ARequestToStopADirectionEndsWithIt) {
  ConnectionTable table(0, 1);
  Connection& connection = table.Open(table.TakeOrdinary(), 3, /*is_direct=*/false);
  connection.recv = Transfer::kPlain;
  connection.send = Transfer::kPlain;
  connection.tasks = kStopRecv | kStopSend;
  EXPECT_EQ(connection.End(Direction::kRecv), 0u);
  EXPECT_EQ(connection.recv, Transfer::kIdle);
  EXPECT_EQ(connection.send, Transfer::kPlain);
  EXPECT_EQ(connection.tasks, kStopSend);
  EXPECT_EQ(connection.End(Direction::kSend), 0u);
  EXPECT_EQ(connection.send, Transfer::kIdle);
  EXPECT_EQ(connection.tasks, 0u);
}

TEST(ConnectionTableTest, ADirectionEndsWithItsDeadline) {
  ConnectionTable table(0, 1);
  Connection& connection = table.Open(table.TakeOrdinary(), 3, /*is_direct=*/false);
  connection.recv = Transfer::kManaged;
  connection.send = Transfer::kPlain;
  connection.tasks = kRecvHasDeadline | kSendHasDeadline;
  connection.recv_half.managed_deadline = 5;
  connection.send_half.plain_deadline = 6;
  EXPECT_EQ(connection.End(Direction::kRecv), 5u);
  EXPECT_EQ(connection.End(Direction::kSend), 6u);
  EXPECT_EQ(connection.tasks, 0u);
}

TEST(ConnectionTableTest, BoundsForScansGrowWithUse) {
  ConnectionTable table(8, 8);
  EXPECT_EQ(table.used_end(/*of_direct=*/true), 0u);
  EXPECT_EQ(table.used_end(/*of_direct=*/false), 8u);
  table.Open(5, 5, /*is_direct=*/true);
  table.Open(table.TakeOrdinary(), 3, /*is_direct=*/false);
  EXPECT_EQ(table.used_end(/*of_direct=*/true), 6u);
  EXPECT_EQ(table.used_end(/*of_direct=*/false), 9u);
}

// ---- OperationTable.

TEST(OperationTableTest, GivesOutEverySlotOnceUntilItIsFull) {
  OperationTable table(3);
  std::set<uint32_t> indexes;
  for (uint64_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(table.full());
    indexes.insert(table.IndexOf(table.Take(OperationKind::kTimeout, Token{i})));
  }
  EXPECT_EQ(indexes, (std::set<uint32_t>{0, 1, 2}));
  EXPECT_TRUE(table.full());
  EXPECT_EQ(table.in_use(), 3u);
  table.Free(table[1]);
  EXPECT_FALSE(table.full());
  EXPECT_EQ(table.IndexOf(table.Take(OperationKind::kPoll, Token{9})), 1u);
}

TEST(OperationTableTest, ASlotThatIsUsedAgainIsCleanAndOfANewGeneration) {
  OperationTable table(1);
  Operation& first = table.Take(OperationKind::kTransferAll, Token{1});
  const uint16_t generation = first.generation;
  first.set(kCancelAsked);
  first.connection = 5;
  first.result = -3;
  first.unit = 7;
  first.due_ns = 8;
  table.Free(first);
  const Operation& second = table.Take(OperationKind::kPoll, Token{2});
  EXPECT_EQ(&second, &first);
  EXPECT_NE(second.generation, generation);
  EXPECT_EQ(second.flags, 0u);
  EXPECT_EQ(second.connection, Operation::kNone);
  EXPECT_EQ(second.result, 0);
  EXPECT_EQ(second.unit, 0u);
  EXPECT_EQ(second.due_ns, 0);
}

TEST(OperationTableTest, FindsWhatIsLeftWhateverTheOrderOfFrees) {
  constexpr uint32_t kOperations = 60;
  constexpr uint64_t kTokens = 5;
  for (const uint32_t step : {1u, 7u, 13u, 59u}) {  // none divides: each visits all
    OperationTable table(kOperations);
    std::array<uint32_t, kTokens> left{};
    for (uint32_t i = 0; i < kOperations; ++i) {
      table.Take(OperationKind::kTimeout, Token{i % kTokens});
      ++left[i % kTokens];
    }
    for (uint32_t i = 0, index = 0; i < kOperations; ++i, index = (index + step) % kOperations) {
      --left[table[index].token.value];
      table.Free(table[index]);
      for (uint64_t token = 0; token < kTokens; ++token) {
        const Operation* found = table.Find(Token{token});
        ASSERT_EQ(found != nullptr, left[token] != 0) << step << ", " << i;
        ASSERT_TRUE(found == nullptr || found->token == Token{token});
      }
    }
  }
}

TEST(OperationTableTest, FindsTheNewestOfSeveralWithOneToken) {
  OperationTable table(8);
  Operation& oldest = table.Take(OperationKind::kTimeout, Token{5});
  Operation& middle = table.Take(OperationKind::kTimeout, Token{5});
  Operation& newest = table.Take(OperationKind::kTimeout, Token{5});
  EXPECT_EQ(table.Find(Token{5}), &newest);
  table.Free(middle);
  EXPECT_EQ(table.Find(Token{5}), &newest);
  table.Free(newest);
  EXPECT_EQ(table.Find(Token{5}), &oldest);
  table.Free(oldest);
  EXPECT_EQ(table.Find(Token{5}), nullptr);
}

TEST(OperationTableTest, DoesNotFindWhatCannotBeCancelled) {
  OperationTable table(8);
  Operation& timeout = table.Take(OperationKind::kTimeout, Token{5});
  table.Take(OperationKind::kFixedResult, Token{5});
  table.Take(OperationKind::kCancel, Token{5});
  EXPECT_EQ(table.Find(Token{5}), &timeout);
  table.Free(timeout);
  EXPECT_EQ(table.Find(Token{5}), nullptr);
}

// Few tokens and a full table: buckets with several operations, of equal tokens and of
// tokens that collide.
TEST(OperationTableTest, AgreesWithASlowModelOverManyRandomSteps) {
  constexpr uint32_t kSize = 64;
  constexpr uint64_t kTokens = 96;
  OperationTable table(kSize);
  std::map<uint64_t, std::vector<Operation*>> model;  // oldest first
  std::vector<Operation*> taken;
  std::mt19937 random(12345);
  for (int step = 0; step < 50'000; ++step) {
    // Packed like a caller's: the bits that differ are not the low ones.
    const uint64_t token = uint64_t{random() % kTokens} << 32 | 1;
    if (!table.full() && random() % 2 == 0) {
      Operation& operation = table.Take(OperationKind::kPoll, Token{token});
      model[token].push_back(&operation);
      taken.push_back(&operation);
    } else if (!taken.empty()) {
      const size_t which = random() % taken.size();
      Operation* const operation = taken[which];
      taken.erase(taken.begin() + static_cast<ptrdiff_t>(which));
      std::erase(model[operation->token.value], operation);
      table.Free(*operation);
    }
    ASSERT_EQ(table.in_use(), taken.size());
    const uint64_t asked = uint64_t{random() % kTokens} << 32 | 1;
    const std::vector<Operation*>& expected = model[asked];
    ASSERT_EQ(table.Find(Token{asked}), expected.empty() ? nullptr : expected.back());
  }
}

// ---- UserData: with its generation a cancel cannot hit a slot's next use (libxev issue 233).

TEST(UserDataTest, KeepsAllItsParts) {
  const UserData data{Source::kIgnored, 0xffff, 0xfffffffe};
  const UserData back = UserData::Unpack(data.Pack());
  EXPECT_EQ(back.source, Source::kIgnored);
  EXPECT_EQ(back.generation, 0xffffu);
  EXPECT_EQ(back.index, 0xfffffffeu);
}

TEST(UserDataTest, DiffersBetweenTwoUsesOfASlot) {
  OperationTable table(1);
  const auto data = [&](const Operation& operation) {
    return UserData{Source::kOperation, operation.generation, table.IndexOf(operation)}.Pack();
  };
  Operation& first = table.Take(OperationKind::kTimeout, Token{1});
  const uint64_t before = data(first);
  table.Free(first);
  EXPECT_NE(data(table.Take(OperationKind::kTimeout, Token{1})), before);
}

}  // namespace
}  // namespace ioring::uring

#include "ring_core/readiness/connection_table.h"

#include <cstdint>
#include <set>

#include "gtest/gtest.h"
#include "ring/id.h"

namespace ioring::readiness {
namespace {

TEST(ConnectionTableTest, GivesOutEverySlotOnce) {
  ConnectionTable table(3);
  std::set<uint32_t> indexes;
  for (int i = 0; i < 3; ++i) {
    Connection* connection = table.Take(ConnectionState::kOpen);
    ASSERT_NE(connection, nullptr);
    EXPECT_EQ(connection->descriptor, -1);
    connection->descriptor = 10 + i;
    indexes.insert(table.IndexOf(*connection));
  }
  EXPECT_EQ(indexes.size(), 3u);
  EXPECT_EQ(table.Take(ConnectionState::kOpen), nullptr);
  table.Free(table[1]);
  Connection* again = table.Take(ConnectionState::kOpen);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(table.IndexOf(*again), 1u);
  EXPECT_EQ(again->descriptor, -1);
}

TEST(ConnectionTableTest, FindsOpenConnectionsByCurrentIds) {
  ConnectionTable table(2);
  Connection& connection = *table.Take(ConnectionState::kOpen);
  const ConnectionId id = table.IdOf(connection);
  EXPECT_EQ(table.Find(id), &connection);
  EXPECT_EQ(table.Find({id.index + 1, id.generation}), nullptr);
  EXPECT_EQ(table.Find({id.index, id.generation + 65536}), nullptr);
  EXPECT_EQ(table.Find(ConnectionId{}), nullptr);
  connection.state = ConnectionState::kCloseAccepted;
  EXPECT_EQ(table.Find(id), nullptr);
  table.Free(connection);
  Connection& next = *table.Take(ConnectionState::kOpen);
  EXPECT_EQ(&next, &connection);
  EXPECT_EQ(table.Find(id), nullptr);
  EXPECT_EQ(table.Find(table.IdOf(next)), &next);
}

TEST(ConnectionTableTest, ASlotThatIsUsedAgainIsClean) {
  ConnectionTable table(1);
  Connection& first = *table.Take(ConnectionState::kOpen);
  first.set(kWatched);
  first.set_ready(7);
  first.recv_kind = Transfer::kManaged;
  first.first_poll = 3;
  first.other_operations = 2;
  table.Free(first);
  const Connection& second = *table.Take(ConnectionState::kConnecting);
  EXPECT_EQ(second.flags, 0u);
  EXPECT_EQ(second.ready, 0u);
  EXPECT_EQ(second.first_poll, 0u);
  EXPECT_TRUE(second.idle());
}

// Who looks through all slots finds nothing in a free one, also where something was in flight
// when its use ended: a connect that fails ends so.
TEST(ConnectionTableTest, AFreeSlotKeepsNothing) {
  ConnectionTable table(2);
  Connection& connection = *table.Take(ConnectionState::kConnecting);
  connection.send_kind = Transfer::kOperation;
  connection.set(kSendBegun | kSendCancelled | kWatched);
  connection.send.token = 7;
  connection.send_deadline = 3;
  connection.other_operations = 1;
  const uint16_t generation = connection.generation;
  table.Free(connection);
  EXPECT_EQ(connection.state, ConnectionState::kFree);
  EXPECT_NE(connection.generation, generation);
  EXPECT_TRUE(connection.idle());
  EXPECT_EQ(connection.flags, 0u);
  EXPECT_EQ(connection.send.token, 0u);
  EXPECT_EQ(connection.send_deadline, 0u);
}

}  // namespace
}  // namespace ioring::readiness

#include "copy/link_table.h"

#include <cstdint>
#include <string>
#include <vector>

#include "copy/task.h"
#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

constexpr LinkTable::Key kFile(1, 2);

// Takes a turn, and says which copy it was given; "-" for none.
Task<int> TakeTurn(LinkTable& table, uint64_t links, ReadyList& ready,
                   std::vector<std::string>* given) {
  const LinkTable::Copy* const copy = co_await table.Enter(kFile, links, ready);
  given->push_back(copy == nullptr ? "-" : copy->path);
  co_return 0;
}

class LinkTableTest : public testing::Test {
 protected:
  void Enter(uint64_t links) { group_.Spawn(TakeTurn(table_, links, ready_, &given_)); }
  void LeaveWith(const std::string& path) {
    LinkTable::Copy copy{path, {3, 4}};
    table_.Leave(kFile, &copy);
    ready_.Run();
  }
  void LeaveWithout() {
    table_.Leave(kFile, nullptr);
    ready_.Run();
  }

  ReadyList ready_;
  LinkTable table_;
  Group group_{ready_};
  std::vector<std::string> given_;
};

TEST_F(LinkTableTest, TheFirstCopiesAndTheOthersAwaitItAndAreForgottenAtTheLast) {
  for (int i = 0; i < 3; ++i) Enter(3);
  EXPECT_EQ(given_, (std::vector<std::string>{"-"}));
  LeaveWith("copy");
  EXPECT_EQ(given_, (std::vector<std::string>{"-", "copy"}));
  LeaveWithout();
  EXPECT_EQ(given_, (std::vector<std::string>{"-", "copy", "copy"}));
  EXPECT_EQ(table_.size(), 1u);
  LeaveWithout();
  EXPECT_EQ(table_.size(), 0u);
}

TEST_F(LinkTableTest, AfterAFailureTheNextOneCopies) {
  Enter(2);
  Enter(2);
  LeaveWithout();
  EXPECT_EQ(given_, (std::vector<std::string>{"-", "-"}));
  LeaveWith("second");
  EXPECT_EQ(table_.size(), 0u);
}

TEST_F(LinkTableTest, NamesThatAreNotMetStay) {
  Enter(5);
  LeaveWith("copy");
  EXPECT_EQ(table_.size(), 1u);
  Enter(5);
  EXPECT_EQ(given_.back(), "copy");
  LeaveWithout();
}

TEST_F(LinkTableTest, MoreNamesThanTheFileHadAreServed) {
  for (int i = 0; i < 4; ++i) Enter(2);
  LeaveWith("copy");
  for (int i = 0; i < 3; ++i) LeaveWithout();
  EXPECT_EQ(given_.size(), 4u);
  EXPECT_EQ(table_.size(), 0u);
}

}  // namespace
}  // namespace ioring::copy

#include "ring_core/table/item_list.h"

#include <array>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

struct Item {
  Item* next = nullptr;
};

std::vector<Item*> ItemsFrom(Item* first) {
  std::vector<Item*> items;
  for (Item* item = first; item != nullptr; item = item->next) items.push_back(item);
  return items;
}

class ItemListTest : public testing::Test {
 protected:
  void PushAll() {
    for (Item& item : items_) list_.Push(&item);
  }

  std::array<Item, 3> items_;
  ItemList<Item> list_;
};

TEST_F(ItemListTest, GivesTheOldestFirst) {
  EXPECT_TRUE(list_.empty());
  EXPECT_EQ(list_.first(), nullptr);
  PushAll();
  EXPECT_FALSE(list_.empty());
  EXPECT_EQ(list_.first(), &items_[0]);
  for (Item& item : items_) EXPECT_EQ(list_.Pop(), &item);
  EXPECT_TRUE(list_.empty());
}

// Whichever it is: what is pushed next is the last one.
TEST_F(ItemListTest, RemovesAnyOfThem) {
  for (Item& removed : items_) {
    PushAll();
    EXPECT_TRUE(list_.Remove(&removed));
    EXPECT_FALSE(list_.Remove(&removed));
    std::vector<Item*> left;
    for (Item& item : items_) {
      if (&item != &removed) left.push_back(&item);
    }
    EXPECT_EQ(ItemsFrom(list_.first()), left);
    list_.Push(&removed);
    left.push_back(&removed);
    EXPECT_EQ(ItemsFrom(list_.TakeAll()), left);
  }
}

TEST_F(ItemListTest, IsEmptyAfterItsLastOne) {
  list_.Push(&items_[0]);
  EXPECT_TRUE(list_.Remove(&items_[0]));
  EXPECT_TRUE(list_.empty());
  list_.Push(&items_[1]);
  EXPECT_EQ(list_.Pop(), &items_[1]);
  list_.Push(&items_[2]);
  EXPECT_EQ(ItemsFrom(list_.TakeAll()), std::vector<Item*>{&items_[2]});
  EXPECT_TRUE(list_.empty());
  EXPECT_EQ(list_.TakeAll(), nullptr);
}

}  // namespace
}  // namespace ioring

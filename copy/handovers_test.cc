#include "copy/handovers.h"

#include <string>
#include <utility>
#include <vector>

#include "copy/task.h"
#include "copy/visit.h"
#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

// Rings in one thread: what they do, in order.
class HandoversTest : public testing::Test {
 protected:
  Task<bool> Serve(Handovers::Party& party, std::string name) {
    while (const Handovers::Job* job = co_await handovers_.Take(party)) {
      told_.push_back(name + " copies " + job->visit->trail.source);
      Handovers::Finish(*job);
    }
    told_.push_back(std::move(name) + " ends");
    co_return true;
  }
  Task<bool> Give(Handovers::Party& party) {
    Visit visit;
    visit.trail.source = "directory";
    Handovers::Job job{.visit = &visit};
    const bool is_taken = co_await handovers_.Give(job, party);
    told_.push_back(is_taken ? "it is done" : "nobody takes it");
    co_return true;
  }
  void RunAll() {
    for (int i = 0; i < 3; ++i) {
      first_list_.Run();
      second_list_.Run();
    }
  }

  Handovers handovers_;
  ReadyList first_list_;
  ReadyList second_list_;
  Handovers::Party first_{first_list_};
  Handovers::Party second_{second_list_};
  std::vector<std::string> told_;
};

TEST_F(HandoversTest, AnIdleRingTakesWhatAnotherGives) {
  Group first(first_list_);
  Group second(second_list_);
  second.Spawn(Serve(second_, "second"));
  EXPECT_TRUE(handovers_.IsWanted(first_));
  first.Spawn(Give(first_));
  EXPECT_FALSE(handovers_.IsWanted(first_)) << "one job at a time";
  RunAll();
  EXPECT_TRUE(handovers_.IsWanted(first_)) << "it takes the next one";
  handovers_.Close();
  RunAll();
  EXPECT_EQ(told_,
            (std::vector<std::string>{"second copies directory", "it is done", "second ends"}));
}

TEST_F(HandoversTest, NeitherABusyRingNorTheGiverItselfTakesIt) {
  Group first(first_list_);
  Group second(second_list_);
  first.Spawn(Serve(first_, "first"));
  second.Spawn(Serve(second_, "second"));
  second_.walks = 1;
  EXPECT_FALSE(handovers_.IsWanted(first_));
  EXPECT_TRUE(handovers_.IsWanted(second_));
  first.Spawn(Give(first_));
  EXPECT_EQ(told_, (std::vector<std::string>{"nobody takes it"}));
  handovers_.Close();
  RunAll();
}

TEST_F(HandoversTest, AfterTheEndNobodyWaits) {
  handovers_.Close();
  Group second(second_list_);
  second.Spawn(Serve(second_, "second"));
  EXPECT_EQ(told_, (std::vector<std::string>{"second ends"}));
  EXPECT_FALSE(handovers_.IsWanted(first_));
}

}  // namespace
}  // namespace ioring::copy

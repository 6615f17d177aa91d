#include "ring/token.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "ring/id.h"

namespace ioring {
namespace {

enum class Kind : uint8_t { kZero = 0, kOne = 1, kThree = 3, kMiddle = 0xab, kLast = 255 };
enum Plain : uint8_t { kPlain = 7 };

static_assert(TokenKind<Kind> && TokenKind<Plain>);
enum class Wide : uint16_t {};
static_assert(!TokenKind<Wide> && !TokenKind<uint8_t>);

TEST(MakeTokenTest, RoundTripAtTheLimitsOfEachField) {
  for (const Kind kind : {Kind::kZero, Kind::kOne, Kind::kLast}) {
    for (const uint32_t generation : {0u, 1u, kTokenGenerations - 1}) {
      for (const uint32_t index : {0u, 1u, ~0u}) {
        const Token token = MakeToken(kind, index, generation);
        EXPECT_EQ(KindOf<Kind>(token), kind);
        EXPECT_EQ(IndexOf(token), index);
        EXPECT_EQ(GenerationOf(token), generation);
      }
    }
  }
}

TEST(MakeTokenTest, EachFieldHasItsBits) {
  EXPECT_EQ(MakeToken(Kind::kMiddle, 0x789abcde, 0x123456), Token{0xab12'3456'789a'bcde});
  EXPECT_EQ(MakeToken(Kind::kOne), Token{uint64_t{1} << 56});
}

TEST(MakeTokenTest, TakesAnIdAndGivesItBack) {
  for (const ConnectionId id : {ConnectionId{0, 0}, ConnectionId{42, 0xffff}, ConnectionId{}}) {
    const Token token = MakeToken(kPlain, id);
    EXPECT_EQ(KindOf<Plain>(token), kPlain);
    EXPECT_EQ(ConnectionOf(token), id);
  }
  EXPECT_EQ(MakeToken(kPlain, FileId{3, 4}), MakeToken(kPlain, 3, 4));
}

// TRAPS "original library" 8: a late completion of an older object in the same slot.
TEST(MakeTokenTest, GenerationTellsTheObjectsOfOneSlotApart) {
  EXPECT_NE(MakeToken(Kind::kOne, 42, 7), MakeToken(Kind::kOne, 42, 8));
}

TEST(MakeTokenTest, GenerationBeyondItsWidthDoesNotReachTheKind) {
  EXPECT_EQ(MakeToken(Kind::kThree, 9, kTokenGenerations + 5), MakeToken(Kind::kThree, 9, 5));
}

TEST(TokenTest, DefaultsDiffer) { EXPECT_NE(Token{}, kDefaultWakeToken); }

}  // namespace
}  // namespace ioring

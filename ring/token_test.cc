#include "ring/token.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(TokenFieldsTest, RoundTripAtTheLimitsOfEachField) {
  for (uint8_t kind : {uint8_t{0}, uint8_t{1}, uint8_t{255}}) {
    for (uint32_t generation : {0u, 1u, TokenFields::kGenerationModulus - 1}) {
      for (uint32_t index : {0u, 1u, ~0u}) {
        const TokenFields fields = {kind, generation, index};
        EXPECT_EQ(TokenFields::Unpack(fields.Pack()), fields);
      }
    }
  }
}

TEST(TokenFieldsTest, EachFieldHasItsBits) {
  EXPECT_EQ((TokenFields{0xab, 0x123456, 0x789abcde}).Pack(), Token{0xab12'3456'789a'bcde});
}

// TRAPS "original library" 8: a late completion of an older object in the same slot.
TEST(TokenFieldsTest, GenerationTellsTheObjectsOfOneSlotApart) {
  EXPECT_NE((TokenFields{1, 7, 42}).Pack(), (TokenFields{1, 8, 42}).Pack());
}

TEST(TokenFieldsTest, GenerationBeyondItsWidthDoesNotReachTheKind) {
  const Token token = TokenFields{3, TokenFields::kGenerationModulus + 5, 9}.Pack();
  EXPECT_EQ(TokenFields::Unpack(token), (TokenFields{3, 5, 9}));
}

TEST(TokenTest, DefaultsDiffer) { EXPECT_NE(Token{}, kDefaultWakeToken); }

}  // namespace
}  // namespace ioring

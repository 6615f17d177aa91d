// Token: what the caller gives an operation and gets back in its completions.
//
// Opaque to the ring: it never looks inside. `TokenFields` packs what most
// programs need (which kind of operation, which object, which generation of
// it), so that a late completion cannot be taken for one of a new object that
// reuses the same slot.
#ifndef IORING_RING_TOKEN_H_
#define IORING_RING_TOKEN_H_

#include <cstdint>

namespace ioring {

struct Token {
  uint64_t value = 0;

  friend constexpr bool operator==(Token, Token) = default;
};
static_assert(sizeof(Token) == 8);

// The token of completions that `Ring::Wake` causes, unless RingOptions says another.
inline constexpr Token kDefaultWakeToken{~uint64_t{0}};

// A token's 64 bits as kind (8), generation (24) and index (32).
// Cost: shifts; no state. Values beyond their width are cut, so keep generations
// modulo `kGenerationModulus`.
struct TokenFields {
  static constexpr uint32_t kGenerationModulus = uint32_t{1} << 24;

  uint8_t kind = 0;
  uint32_t generation = 0;  // 24 bits
  uint32_t index = 0;

  constexpr Token Pack() const {
    return Token{uint64_t{kind} << 56 | uint64_t{generation % kGenerationModulus} << 32 | index};
  }

  static constexpr TokenFields Unpack(Token token) {
    return TokenFields{static_cast<uint8_t>(token.value >> 56),
                       static_cast<uint32_t>(token.value >> 32) % kGenerationModulus,
                       static_cast<uint32_t>(token.value)};
  }

  friend constexpr bool operator==(const TokenFields&, const TokenFields&) = default;
};

}  // namespace ioring

#endif  // IORING_RING_TOKEN_H_

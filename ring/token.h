// Token: the value that a caller gives to an operation and gets back in its completions.
//
// A token is opaque to the ring, which never looks inside. `MakeToken` packs the parts that most
// programs need: the kind of operation (an enumeration of the program's own), the object, and the
// object's generation. The generation keeps a late completion from being taken for one of a new
// object that reuses the same slot.
//
//   enum class Kind : uint8_t { kAccept, kRecv, kSend };
//   Prepared recv = ring.PrepareRecv(id, memory, MakeToken(Kind::kRecv, id));
//   ...
//   switch (KindOf<Kind>(completion.token)) {
//     case Kind::kRecv: OnRecv(ConnectionOf(completion.token), completion);
//
// Requires: the kind's underlying type is uint8_t. An index has 32 bits, a generation 24.
// Errors: none. A longer generation keeps its low 24 bits.
// Cost: shifts; no state.
// Threads: any.
#ifndef IORING_RING_TOKEN_H_
#define IORING_RING_TOKEN_H_

#include <cstdint>
#include <type_traits>

#include "ring/id.h"

namespace ioring {

struct Token {
  uint64_t value = 0;

  friend constexpr bool operator==(Token, Token) = default;
};
static_assert(sizeof(Token) == 8);

// The token of completions that `Ring::Wake` causes, unless RingOptions names another.
inline constexpr Token kDefaultWakeToken{~uint64_t{0}};

// The number of generations that a token tells apart.
inline constexpr uint32_t kTokenGenerations = uint32_t{1} << 24;

// A type that can be a token's kind.
template <typename Kind>
concept TokenKind = std::is_enum_v<Kind> && std::is_same_v<std::underlying_type_t<Kind>, uint8_t>;

template <TokenKind Kind>
constexpr Token MakeToken(Kind kind, uint32_t index = 0, uint32_t generation = 0) {
  return Token{uint64_t{static_cast<uint8_t>(kind)} << 56 |
               uint64_t{generation % kTokenGenerations} << 32 | index};
}

// A token for an object of a ring, such as a connection.
template <TokenKind Kind, typename Object>
constexpr Token MakeToken(Kind kind, const Id<Object>& id) {
  return MakeToken(kind, id.index, id.generation);
}

template <TokenKind Kind>
constexpr Kind KindOf(Token token) {
  return Kind{static_cast<uint8_t>(token.value >> 56)};
}
constexpr uint32_t IndexOf(Token token) { return static_cast<uint32_t>(token.value); }
constexpr uint32_t GenerationOf(Token token) {
  return static_cast<uint32_t>(token.value >> 32) % kTokenGenerations;
}
// The connection of a token that was made with one.
constexpr ConnectionId ConnectionOf(Token token) { return {IndexOf(token), GenerationOf(token)}; }

}  // namespace ioring

#endif  // IORING_RING_TOKEN_H_

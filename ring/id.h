// Ids: the names that a caller uses for the objects of a ring.
//
// An id is an index and the generation of that index. Closing or unregistering raises the
// generation. The ring therefore recognises a stale id: the operation completes with
// `Error::kBadId`, and never reaches another owner's socket or memory. Ids are values. They belong
// to the ring that gave them out, and are not portable between rings. The type parameter keeps one
// kind from being used as another.
#ifndef IORING_RING_ID_H_
#define IORING_RING_ID_H_

#include <cstdint>
#include <utility>

namespace ioring {

template <typename Kind>
struct Id {
  static constexpr uint32_t kNoIndex = ~uint32_t{0};

  uint32_t index = kNoIndex;
  uint32_t generation = 0;  // 16 bits are used: a completion has room for no more

  // False for a default-constructed id. True does not mean that the id is current.
  constexpr bool is_set() const { return index != kNoIndex; }

  friend constexpr bool operator==(const Id&, const Id&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const Id& id) {
    return H::combine(std::move(h), id.index, id.generation);
  }
};

using ConnectionId = Id<struct ConnectionKind>;    // a socket that is not a listener
using ListenerId = Id<struct ListenerKind>;        // a listening socket
using FileId = Id<struct FileKind>;                // an open file or directory
using BufferId = Id<struct BufferKind>;            // registered memory
using BufferGroupId = Id<struct BufferGroupKind>;  // buffers for managed receives and reads

static_assert(sizeof(ConnectionId) == 8);

}  // namespace ioring

#endif  // IORING_RING_ID_H_

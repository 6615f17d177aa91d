// What streams and datagrams carry: bytes that tell whose they are, and their place.
#ifndef IORING_RING_FUZZING_CONTENT_H_
#define IORING_RING_FUZZING_CONTENT_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace ioring::fuzzing {

// A stream or a datagram begins with this many bytes that name it.
inline constexpr size_t kNameBytes = 8;

uint64_t NameOf(uint64_t number);
// The name in the first kNameBytes bytes.
uint64_t ReadName(std::span<const std::byte> bytes);
// Writes the bytes of stream or datagram `number` from `offset` on.
void FillContent(uint64_t number, uint64_t offset, std::span<std::byte> memory);
// The first byte that is not the content's; the size where all are.
size_t FirstWrong(uint64_t number, uint64_t offset, std::span<const std::byte> bytes);

}  // namespace ioring::fuzzing

#endif  // IORING_RING_FUZZING_CONTENT_H_

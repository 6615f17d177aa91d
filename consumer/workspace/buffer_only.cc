// Uses the mirrored buffer, and nothing else, from outside the repository.

#include <cstddef>
#include <cstring>
#include <iostream>
#include <string_view>

#include "buffer/mirrored_buffer.h"

int main() {
  ioring::MapResult<ioring::MirroredBuffer> buffer = ioring::MirroredBuffer::Create(64 << 10);
  if (!buffer.ok()) return std::cerr << buffer.error().message() << "\n", 1;
  // All but 4 bytes up to the seam, so that the message runs through it.
  buffer->CommitWrite(buffer->capacity() - 4);
  buffer->CommitRead(buffer->capacity() - 4);
  constexpr std::string_view kMessage = "through the seam";
  std::memcpy(buffer->WriteSpan().data(), kMessage.data(), kMessage.size());
  buffer->CommitWrite(kMessage.size());
  const std::span<const std::byte> bytes = buffer->ReadSpan();
  const std::string_view read(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::cout << "buffer_only: " << read << "\n";
  return read == kMessage ? 0 : 1;
}

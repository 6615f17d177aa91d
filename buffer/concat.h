// Concat: a string of texts and numbers in a row. For the messages of this package only.
#ifndef IORING_BUFFER_CONCAT_H_
#define IORING_BUFFER_CONCAT_H_

#include <concepts>
#include <string>
#include <string_view>

namespace ioring::buffer_internal {

inline void Append(std::string& text, std::string_view part) { text += part; }
inline void Append(std::string& text, std::integral auto number) { text += std::to_string(number); }

template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::string text;
  (Append(text, parts), ...);
  return text;
}

}  // namespace ioring::buffer_internal

#endif  // IORING_BUFFER_CONCAT_H_

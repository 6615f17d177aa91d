// Text as JSON.
#ifndef IORING_ECHO_LOAD_JSON_STRING_H_
#define IORING_ECHO_LOAD_JSON_STRING_H_

#include <string>
#include <string_view>

namespace ioring {

// `text`, which should be UTF-8, as a JSON string, quotes included. Each byte that is not, as there
// may be in paths, becomes the replacement character.
std::string JsonString(std::string_view text);

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_JSON_STRING_H_

// Text as JSON.
#ifndef IORING_ECHO_LOAD_JSON_STRING_H_
#define IORING_ECHO_LOAD_JSON_STRING_H_

#include <string>
#include <string_view>

namespace ioring {

// `text`, which is UTF-8, as a JSON string, quotes included.
std::string JsonString(std::string_view text);

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_JSON_STRING_H_

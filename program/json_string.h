// Text as JSON.
#ifndef IORING_PROGRAM_JSON_STRING_H_
#define IORING_PROGRAM_JSON_STRING_H_

#include <string>
#include <string_view>

namespace ioring {

// `text`, which should be UTF-8, as a JSON string, quotes included. Each byte that is not, as there
// may be in names of files, becomes the replacement character (U+FFFD).
std::string JsonString(std::string_view text);

}  // namespace ioring

#endif  // IORING_PROGRAM_JSON_STRING_H_

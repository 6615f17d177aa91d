// Whether a person is looking, and text that may be shown to one.
#ifndef IORING_PROGRAM_TERMINAL_H_
#define IORING_PROGRAM_TERMINAL_H_

#include <string>
#include <string_view>

namespace ioring {

// Whether standard error is a terminal, so that a line on it may be rewritten.
bool StandardErrorIsTerminal();

// `text`, such as a file's name, in which control characters are escaped ("\n", "\033"): it stays
// one line, and sets nothing on a terminal. Bytes that are no ASCII stay as they are, but for the
// control characters among those (U+0080 to U+009F). Threads: any.
std::string EscapeControls(std::string_view text);

}  // namespace ioring

#endif  // IORING_PROGRAM_TERMINAL_H_

#include "program/terminal.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <unistd.h>
#endif

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace ioring {

bool StandardErrorIsTerminal() {
#if defined(_WIN32)
  // A console of Windows 10 or later rewrites lines when it is told to. (What _isatty takes
  // for a terminal may be the device NUL.)
  const HANDLE standard_error = GetStdHandle(STD_ERROR_HANDLE);
  DWORD mode = 0;
  return GetConsoleMode(standard_error, &mode) != 0 &&
         SetConsoleMode(standard_error,
                        mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
#else
  return isatty(STDERR_FILENO) != 0;
#endif
}

std::string EscapeControls(std::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view pair = text.substr(i, 2);
    // The second byte of U+0080 to U+009F is what they have less 0xc200.
    const bool is_control = pair.size() == 2 && pair[0] == '\xc2' &&
                            static_cast<unsigned char>(pair[1]) - 0x80u < 0x20u;
    if (is_control) {
      absl::StrAppend(&escaped, absl::CEscape(pair));
      ++i;
    } else if (absl::ascii_iscntrl(static_cast<unsigned char>(text[i]))) {
      absl::StrAppend(&escaped, absl::CEscape(text.substr(i, 1)));
    } else {
      escaped.push_back(text[i]);
    }
  }
  return escaped;
}

}  // namespace ioring

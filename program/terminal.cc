#include "program/terminal.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <unistd.h>
#endif

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

}  // namespace ioring

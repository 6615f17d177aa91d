// Whether a person is looking.
#ifndef IORING_PROGRAM_TERMINAL_H_
#define IORING_PROGRAM_TERMINAL_H_

namespace ioring {

// Whether standard error is a terminal, so that a line on it may be rewritten.
bool StandardErrorIsTerminal();

}  // namespace ioring

#endif  // IORING_PROGRAM_TERMINAL_H_

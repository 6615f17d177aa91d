// Standard input, output and error of this process.
#ifndef IORING_PROGRAM_STANDARD_STREAMS_H_
#define IORING_PROGRAM_STANDARD_STREAMS_H_

#include <cstdio>

namespace ioring {

// Puts the null device in the place of each of the three that is closed: else the next file or
// socket would take its place, and what is printed would go there. Writing to a standard output
// that was closed goes on to fail. Returns whether standard output was open. Call it once, before
// anything is opened. (POSIX: the lowest free number is taken, open(2). On Windows no socket takes
// such a place.)
bool ReserveStandardStreams();

// Returns stdout or stderr where `file` is the same file, pipe or terminal under another name, as
// /dev/stdout is and the file of a shell's "> file"; else nullptr. Two that write to one file write
// over each other. (POSIX: fstat(2). Windows: only files are found.)
std::FILE* StandardStreamOf(std::FILE* file);

}  // namespace ioring

#endif  // IORING_PROGRAM_STANDARD_STREAMS_H_

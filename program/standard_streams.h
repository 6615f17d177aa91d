// Standard input, output and error of this process.
#ifndef IORING_PROGRAM_STANDARD_STREAMS_H_
#define IORING_PROGRAM_STANDARD_STREAMS_H_

namespace ioring {

// Puts the null device in the place of each of the three that is closed: else the next file or
// socket would take its place, and what is printed would go there. Writing to a standard output
// that was closed goes on to fail. Returns whether standard output was open. Call it once, before
// anything is opened. (POSIX: the lowest free number is taken, open(2). On Windows no socket takes
// such a place.)
bool ReserveStandardStreams();

}  // namespace ioring

#endif  // IORING_PROGRAM_STANDARD_STREAMS_H_

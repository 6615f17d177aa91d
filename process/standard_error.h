// Sentences on standard error, for code that has no logging library: what //buffer builds is this
// repository's own alone.
//
// A sentence is one line, "ioring: <sentence>", and is written in one piece.
// Threads: any. Cost: an allocation, and a write to standard error.
#ifndef IORING_PROCESS_STANDARD_ERROR_H_
#define IORING_PROCESS_STANDARD_ERROR_H_

#include <string_view>

namespace ioring::process {

// Writes the sentence. For failures that the program survives.
void Complain(std::string_view sentence);

// Writes the sentence and aborts (SIGABRT, so that handlers of that signal and debuggers see the
// stack). For mistakes of the caller, in every build.
[[noreturn]] void EndProgram(std::string_view sentence);

}  // namespace ioring::process

#endif  // IORING_PROCESS_STANDARD_ERROR_H_

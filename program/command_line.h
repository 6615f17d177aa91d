// The command line of a program: its help, its flags, and its other words.
//
//   int Main(int argc, char** argv) {
//     const absl::StatusOr<std::vector<std::string>> words =
//         BeginProgram(argc, argv, "Copies files.\n\n  copy SOURCE... DESTINATION", __FILE__);
//
// Thread rule: one thread, once in a process, before anything is opened.
#ifndef IORING_PROGRAM_COMMAND_LINE_H_
#define IORING_PROGRAM_COMMAND_LINE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ioring {

// Parses the flags, and returns the words that are none, without the program's name. --help and
// --helpshort print `usage` and the flags that `file` defines, not those of libraries.
// Effects: those of BeginOutput. Initializes the log. Prints the help and ends the program where
// that is asked for, or with a sentence and 1 where a flag cannot be parsed at all.
// Errors: those of BeginOutput.
absl::StatusOr<std::vector<std::string>> BeginProgram(int argc, char** argv, std::string_view usage,
                                                      std::string_view file);

}  // namespace ioring

#endif  // IORING_PROGRAM_COMMAND_LINE_H_

#include "process/standard_error.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace ioring::process {

void Complain(std::string_view sentence) {
  std::string line = "ioring: ";
  line += sentence;
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
  // A program may have given standard error a buffer.
  std::fflush(stderr);
}

void EndProgram(std::string_view sentence) {
  Complain(sentence);
  std::abort();
}

}  // namespace ioring::process

#include "buffer/map_result.h"

#include "buffer/concat.h"
#include "process/standard_error.h"

namespace ioring::buffer_internal {

void DieWithoutValue(const MapError& error) {
  process::EndProgram(Concat("the value of a MapResult is used that has none: ", error.message()));
}

void DieWithoutError() { process::EndProgram("the error of a MapResult is used that has a value"); }

}  // namespace ioring::buffer_internal

// Which descriptors this process has open, on POSIX systems: for tests that prove that nothing is
// left open, or look at all that something has opened.
#ifndef IORING_PROCESS_TESTING_OPEN_DESCRIPTORS_H_
#define IORING_PROCESS_TESTING_OPEN_DESCRIPTORS_H_

#include <vector>

namespace ioring {

// Returns them in ascending order: those below 1024, which no test here exceeds. Opens none itself.
std::vector<int> OpenDescriptors();

}  // namespace ioring

#endif  // IORING_PROCESS_TESTING_OPEN_DESCRIPTORS_H_

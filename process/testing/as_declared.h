// For tests with functions in place of the C library's: glibc declares them as IORING_AS_DECLARED
// says, and musl does not.
#ifndef IORING_PROCESS_TESTING_AS_DECLARED_H_
#define IORING_PROCESS_TESTING_AS_DECLARED_H_

#include <cstdlib>  // which tells of glibc

#ifdef __GLIBC__
#define IORING_AS_DECLARED noexcept
#else
#define IORING_AS_DECLARED
#endif

#endif  // IORING_PROCESS_TESTING_AS_DECLARED_H_

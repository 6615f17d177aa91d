// IORING_LIFETIME_BOUND, behind a member function: the result is part of the object, so that
// compilers that know it (Clang, Visual C++) warn where it is kept longer than the object.
#ifndef IORING_BUFFER_LIFETIME_BOUND_H_
#define IORING_BUFFER_LIFETIME_BOUND_H_

#if __has_cpp_attribute(clang::lifetimebound)
#define IORING_LIFETIME_BOUND [[clang::lifetimebound]]
#elif __has_cpp_attribute(msvc::lifetimebound)
#define IORING_LIFETIME_BOUND [[msvc::lifetimebound]]
#else
#define IORING_LIFETIME_BOUND
#endif

#endif  // IORING_BUFFER_LIFETIME_BOUND_H_

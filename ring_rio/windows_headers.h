// Windows' socket headers, in the order and with the macros that they need. Everything of this
// package includes them through here.
#ifndef IORING_RING_RIO_WINDOWS_HEADERS_H_
#define IORING_RING_RIO_WINDOWS_HEADERS_H_

#ifndef NOMINMAX
#define NOMINMAX  // `min` and `max` as macros
#endif
#ifndef NOGDI
#define NOGDI  // `ERROR` as a macro
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN  // winsock.h, which is not winsock2.h
#endif

// clang-format off: the first must be first.
#include <mswsock.h>
#include <windows.h>
#include <winsock2.h>
#include <ws2tcpip.h>
// clang-format on

#endif  // IORING_RING_RIO_WINDOWS_HEADERS_H_

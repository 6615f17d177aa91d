// The one table from Windows' error codes (Winsock's and the system's) to Error, and the codes
// in words.
//
// Free functions: any thread. Sources: learn.microsoft.com, "Windows Sockets Error Codes" and
// "System Error Codes".
#ifndef IORING_RING_RIO_NATIVE_ERROR_H_
#define IORING_RING_RIO_NATIVE_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "ring/error.h"

namespace ioring::rio {

// The system's ERROR_DIRECTORY_NOT_SUPPORTED, which MinGW does not name: no directory was wanted.
// (ERROR_DIRECTORY is the opposite: a directory was.)
inline constexpr int kIsADirectory = 336;

// `code` is WSAGetLastError's or GetLastError's; 0 gives kOk. A code that the table does not
// know gives kUnknown and is logged raw. O(size of the table), for failures only.
//
// What the table says of codes that have more than one meaning:
//  - ERROR_OPERATION_ABORTED (995) is kCanceled. Wine also gives 676 for a receive whose
//    socket was closed, which stands for the same.
//  - ERROR_NETNAME_DELETED (64) is how completion ports say that the peer reset; also
//    WSAECONNABORTED in a transfer is the peer's doing on Windows, but stays what it says.
//  - WSAENOBUFS is kNoMemory: the network's. Where it means that a group has no buffer, the
//    backend says kNoBuffers itself.
Error ErrorFromNative(int code);

// Whether the code says that a request was cancelled.
bool IsAborted(int code);

// "WSAECONNRESET, 10054". Allocates.
std::string NativeErrorText(int code);

// The Win32 code of an NTSTATUS (a packet's, a Registered I/O result's, a call's); 0 for success.
int NativeFromStatus(long status);

// A status of the code that fits, with the message "<sentence> (WSAEADDRINUSE, 10048)".
// `sentence` says what failed, why, and what to do, without a full stop. A port in use is
// AlreadyExists; too few descriptors, memory or space is ResourceExhausted; an address that
// is not this machine's is InvalidArgument.
absl::Status NativeStatus(int code, std::string_view sentence);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_NATIVE_ERROR_H_

#include "ring_rio/rio_api.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring_rio/native_error.h"
#include "ring_rio/sockets.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

absl::StatusOr<RioFunctions> LoadRio() {
  StartWinsock();
  const SOCKET socket = NewSocket(AF_INET, SOCK_STREAM);
  if (socket == INVALID_SOCKET) {
    return NativeStatus(WSAGetLastError(), "no socket could be made to ask for Registered I/O");
  }
  GUID id = WSAID_MULTIPLE_RIO;
  RioFunctions functions = {};
  functions.cbSize = sizeof(functions);
  DWORD bytes = 0;
  const int failed = WSAIoctl(socket, SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER, &id, sizeof(id),
                              &functions, sizeof(functions), &bytes, nullptr, nullptr);
  const int code = failed != 0 ? WSAGetLastError() : 0;
  closesocket(socket);
  if (failed != 0) {
    return absl::UnimplementedError(
        absl::StrCat("this system has no Registered I/O (", NativeErrorText(code),
                     "): it needs Windows 8 or Server 2012; the backend iocp does without"));
  }
  return functions;
}

}  // namespace ioring::rio

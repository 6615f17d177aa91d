#include "ring_rio/file_table.h"

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring/ring_limits.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/file_call.h"
#include "ring_rio/native_error.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

std::string_view WhyRefused(DWORD code) {
  switch (code) {
    case ERROR_FILE_NOT_FOUND:
      return "there is no such file; check the path, or open it for creating";
    case ERROR_PATH_NOT_FOUND:
      return "a part of the path is no folder; check the path";
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
      return "the file exists already; remove it or choose another path";
    case kIsADirectory:
      return "it is a directory; choose a file, or open it as a directory";
    case ERROR_DIRECTORY:
      return "it is no directory; choose one, or open it as a file";
    case ERROR_CANT_RESOLVE_FILENAME:
      return "it is a symbolic link; name the file itself, or allow for links";
    case ERROR_NO_UNICODE_TRANSLATION:
      return "the path is no UTF-8";
    case ERROR_ACCESS_DENIED:
      return "no permission; check the permissions and attributes of the file and its folders";
    case ERROR_SHARING_VIOLATION:
      return "another program has it open for itself alone";
    case ERROR_TOO_MANY_OPEN_FILES:
      return "the process is out of handles; open fewer";
    default:
      return "the system refuses";
  }
}

absl::Status Refused(const char* path, DWORD code) {
  return NativeStatus(
      static_cast<int>(code),
      absl::StrCat("cannot open ", absl::Utf8SafeCHexEscape(path), ": ", WhyRefused(code)));
}

HANDLE HandleOf(NativeHandle handle) { return reinterpret_cast<HANDLE>(handle); }

// Whether the handle is one that a table may own.
absl::Status CheckFile(NativeHandle handle) {
  int type = 0;
  int size = sizeof(type);
  if (getsockopt(static_cast<SOCKET>(handle), SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type),
                 &size) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("handle ", handle, " is a socket; register it with RegisterSocket instead"));
  }
  SetLastError(ERROR_SUCCESS);
  if (GetFileType(HandleOf(handle)) == FILE_TYPE_UNKNOWN && GetLastError() != ERROR_SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrCat("handle ", handle, " is no open file (",
                     NativeErrorText(static_cast<int>(GetLastError())), ")"));
  }
  return absl::OkStatus();
}

absl::Status CannotJoin(NativeHandle handle, DWORD code) {
  return absl::InvalidArgumentError(
      absl::StrCat("handle ", handle, " cannot join the ring's completion port (",
                   NativeErrorText(static_cast<int>(code)),
                   "): open it with FILE_FLAG_OVERLAPPED, and give it to one ring only"));
}

}  // namespace

void FileSlot::Close() {
  if (!is_closing) CloseHandle(handle);  // else it may be another's already
  handle = INVALID_HANDLE_VALUE;
}

absl::StatusOr<FileId> FileTable::Add(const FileSource& source, CompletionPort& port) {
  const absl::StatusOr<FileId> id = FreeId();
  if (!id.ok()) return id;
  if (source.path == nullptr) {
    if (absl::Status status = CheckFile(source.handle); !status.ok()) return status;
    if (Has(HandleOf(source.handle))) {
      return absl::AlreadyExistsError(
          absl::StrCat("the ring has handle ", source.handle, " already, as a file"));
    }
    if (Adopt(HandleOf(source.handle), *id, port)) return id;
    return CannotJoin(source.handle, GetLastError());
  }
  HANDLE handle = nullptr;
  const int32_t result = RunOpen({source.path, source.options}, nullptr, &handle);
  if (result < 0) return Refused(source.path, static_cast<DWORD>(-result));
  if (Adopt(handle, *id, port)) return id;
  const DWORD code = GetLastError();
  CloseHandle(handle);
  return Refused(source.path, code);
}

absl::StatusOr<NativeHandle> FileTable::FindHandle(FileId id, FileUse use) {
  const File* file = Find(id);
  if (file == nullptr) return StaleId("file");
  const HANDLE handle = file->handle;
  if (use == FileUse::kClose) {
    if (absl::Status status = Close(id); !status.ok()) return status;
  }
  return reinterpret_cast<NativeHandle>(handle);
}

// A directory has no requests, and its handle need not be for overlapped ones.
bool FileTable::Adopt(HANDLE handle, FileId free_id, CompletionPort& port) {
  const bool is_directory = IsDirectory(handle);
  if (!is_directory && !port.Associate(handle)) return false;
  File& file = (*this)[free_id.index];
  file.handle = handle;
  file.position = 0;
  file.has_position = GetFileType(handle) == FILE_TYPE_DISK;
  file.is_directory = is_directory;
  file.is_closing = false;
  return true;
}

}  // namespace ioring::rio

// NtPath: a path of the contract as Windows' own calls take it, which know directory handles.
#ifndef IORING_RING_RIO_NT_PATH_H_
#define IORING_RING_RIO_NT_PATH_H_

#include <string>
#include <string_view>

#include "ring_rio/windows_headers.h"

namespace ioring::rio {

struct NtPath {
  HANDLE root = nullptr;  // null: `name` is a whole path, "\??\C:\folder\file"
  std::wstring name;      // with "\" between components, and without "." and ".."
};

// Resolves `path`, UTF-8, as seen from `directory` (null: the working directory). Returns 0 or the
// system's code. ".." takes away the component before it, as everywhere on Windows.
int ToNtPath(const char* path, HANDLE directory, NtPath* result);

// The same place for the calls that know no directory handles: "\\?\C:\folder\file". Empty where
// the directory has no name any more.
std::wstring Win32Path(const NtPath& path);

// A path as seen from the folder `folder`, which is what Win32Path gave.
std::wstring JoinedPath(std::wstring folder, std::wstring_view path);

// The root of a drive or server, or a path from one.
bool IsAbsolutePath(std::wstring_view path);

// False where it is no UTF-8.
bool ToWide(std::string_view text, std::wstring* wide);
// What no UTF-8 can say becomes U+FFFD.
std::string ToUtf8(std::wstring_view wide);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_NT_PATH_H_

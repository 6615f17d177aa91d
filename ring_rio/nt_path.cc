#include "ring_rio/nt_path.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

constexpr size_t kPrefixLength = 4;  // of "\??\" and "\\?\"
constexpr size_t kComponentMax = 255;

bool IsSeparator(wchar_t letter) { return letter == L'\\' || letter == L'/'; }

// Removes the first component and returns it; empty at the end.
std::wstring_view TakeComponent(std::wstring_view* path) {
  while (!path->empty() && IsSeparator(path->front())) path->remove_prefix(1);
  const auto end = std::find_if(path->begin(), path->end(), &IsSeparator);
  const std::wstring_view component = path->substr(0, static_cast<size_t>(end - path->begin()));
  path->remove_prefix(component.size());
  return component;
}

bool HasLongComponent(std::wstring_view path) {
  for (;;) {
    const std::wstring_view component = TakeComponent(&path);
    if (component.empty()) return false;
    if (component.size() > kComponentMax) return true;
  }
}

// Without the last component. The root stays: "\\?\C:\".
void RemoveLast(std::wstring* path) {
  const size_t root = path->find(L'\\', kPrefixLength);
  const size_t last = path->rfind(L'\\');
  if (root == std::wstring::npos) return;
  path->resize(last > root ? last : root + 1);
}

// A relative path's components. False where ".." leads out of its start.
bool Normalise(std::wstring_view path, std::wstring* result) {
  for (;;) {
    const std::wstring_view component = TakeComponent(&path);
    if (component.empty()) return true;
    if (component == L".") continue;
    if (component == L"..") {
      if (result->empty()) return false;
      const size_t last = result->rfind(L'\\');
      result->resize(last == std::wstring::npos ? 0 : last);
      continue;
    }
    if (!result->empty()) result->push_back(L'\\');
    result->append(component);
  }
}

// "\\?\C:\folder". Empty where it has no name any more.
std::wstring FinalPath(HANDLE directory) {
  std::wstring path(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length = GetFinalPathNameByHandleW(
        directory, path.data(), static_cast<DWORD>(path.size()), VOLUME_NAME_DOS);
    const bool fits = length < path.size();
    path.resize(length);
    if (fits) return path;
  }
}

// A path from the working directory or a root.
int FullName(const std::wstring& path, std::wstring* name) {
  std::wstring full(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length =
        GetFullPathNameW(path.c_str(), static_cast<DWORD>(full.size()), full.data(), nullptr);
    if (length == 0) return static_cast<int>(GetLastError());
    const bool fits = length < full.size();
    full.resize(length);
    if (fits) break;
  }
  while (full.size() > 1 && full.back() == L'\\' && full[full.size() - 2] != L':') full.pop_back();
  if (full.starts_with(LR"(\\?\)") || full.starts_with(LR"(\\.\)")) {
    *name = LR"(\??\)" + full.substr(kPrefixLength);
  } else if (full.starts_with(LR"(\\)")) {
    *name = LR"(\??\UNC\)" + full.substr(2);
  } else {
    *name = LR"(\??\)" + full;
  }
  return 0;
}

}  // namespace

bool IsAbsolutePath(std::wstring_view path) {
  return !path.empty() && (IsSeparator(path[0]) || (path.size() > 1 && path[1] == L':'));
}

bool ToWide(std::string_view text, std::wstring* wide) {
  const int bytes = static_cast<int>(text.size());
  const int size =
      MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), bytes, nullptr, 0);
  wide->resize(static_cast<size_t>(size));
  MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), bytes, wide->data(), size);
  return size != 0;
}

std::string ToUtf8(std::wstring_view wide) {
  const int letters = static_cast<int>(wide.size());
  const int size =
      WideCharToMultiByte(CP_UTF8, 0, wide.data(), letters, nullptr, 0, nullptr, nullptr);
  std::string text(static_cast<size_t>(size), '\0');
  WideCharToMultiByte(CP_UTF8, 0, wide.data(), letters, text.data(), size, nullptr, nullptr);
  return text;
}

std::wstring JoinedPath(std::wstring folder, std::wstring_view path) {
  for (;;) {
    const std::wstring_view component = TakeComponent(&path);
    if (component.empty()) return folder;
    if (component == L".") continue;
    if (component == L"..") {
      RemoveLast(&folder);
      continue;
    }
    if (folder.back() != L'\\') folder.push_back(L'\\');
    folder.append(component);
  }
}

std::wstring Win32Path(const NtPath& path) {
  if (path.root == nullptr) return LR"(\\?\)" + path.name.substr(kPrefixLength);
  std::wstring folder = FinalPath(path.root);
  return folder.empty() ? folder : JoinedPath(std::move(folder), path.name);
}

int ToNtPath(const char* path, HANDLE directory, NtPath* result) {
  std::wstring wide;
  if (!ToWide(path, &wide)) return ERROR_NO_UNICODE_TRANSLATION;
  if (HasLongComponent(wide)) return ERROR_FILENAME_EXCED_RANGE;
  if (directory == nullptr || IsAbsolutePath(wide)) return FullName(wide, &result->name);
  if (Normalise(wide, &result->name) && !result->name.empty()) {
    result->root = directory;
    return 0;
  }
  // The directory itself, or what lies above it: a handle does not lead there.
  std::wstring whole = FinalPath(directory);
  if (whole.empty()) return static_cast<int>(GetLastError());
  whole = JoinedPath(std::move(whole), wide);
  result->name = LR"(\??\)" + whole.substr(kPrefixLength);
  return 0;
}

}  // namespace ioring::rio

#include "ring_core/posix/file.h"

#include <errno.h>
#include <fcntl.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/file_call.h"

namespace ioring::posix {
namespace {

std::string_view WhyRefused(int code) {
  switch (code) {
    case ENOENT:
      return "there is no such file; check the path, or open it for creating";
    case ENOTDIR:
      return "a part of the path is no folder; check the path";
    case ELOOP:
      return "it is a symbolic link, or leads through too many; open what it leads to";
    case EEXIST:
      return "the file exists already; remove it or choose another path";
    case EISDIR:
      return "it is a directory; choose a file";
    case EACCES:
    case EPERM:
      return "no permission; check the owner and the mode of the file and its folders";
    case EROFS:
      return "the file system is read-only";
    case EMFILE:
      return "the process is out of descriptors; raise its limit (ulimit -n) or open fewer";
    case ENFILE:
      return "the system is out of descriptors; close some elsewhere or raise its limit";
    case ENOSPC:
    case EDQUOT:
      return "the disk or the quota is full";
    default:
      return "the system refuses";
  }
}

absl::Status Refused(const std::string& path, int code) {
  return ErrnoStatus(
      code, absl::StrCat("cannot open \"", absl::CHexEscape(path), "\": ", WhyRefused(code)));
}

absl::Status NoDirectIo(const std::string& path) {
  return absl::UnimplementedError(absl::StrCat(
      "cannot open \"", absl::CHexEscape(path),
      "\" for direct I/O: its file system or this system has none; open it without direct_io"));
}

}  // namespace

absl::StatusOr<int> OpenFile(const std::string& path, const FileOptions& options) {
  const int32_t result = RunOpen(request::Open{PathAt(path.c_str()), options}, AT_FDCWD);
  if (result >= 0) return result;
  if (options.direct_io && result == -ENOTSUP) return NoDirectIo(path);
  return Refused(path, -result);
}

absl::StatusOr<int> ToDescriptor(NativeHandle handle) {
  const int descriptor = static_cast<int>(handle);
  if (descriptor == handle) return descriptor;
  return absl::InvalidArgumentError(
      absl::StrCat("the handle ", handle, " is no descriptor: those are ints here"));
}

}  // namespace ioring::posix

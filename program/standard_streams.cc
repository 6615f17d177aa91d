#include "program/standard_streams.h"

#include <cstdio>

#if defined(_WIN32)
#include <io.h>
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace ioring {
namespace {

#if defined(_WIN32)

// fstat gives files no numbers here.
bool FindFile(std::FILE* stream, BY_HANDLE_FILE_INFORMATION& found) {
  if (_fileno(stream) < 0) return false;
  const HANDLE handle = reinterpret_cast<HANDLE>(_get_osfhandle(_fileno(stream)));
  return GetFileType(handle) == FILE_TYPE_DISK && GetFileInformationByHandle(handle, &found) != 0;
}

bool AreSame(std::FILE* one, std::FILE* other) {
  BY_HANDLE_FILE_INFORMATION first;
  BY_HANDLE_FILE_INFORMATION second;
  return FindFile(one, first) && FindFile(other, second) &&
         first.dwVolumeSerialNumber == second.dwVolumeSerialNumber &&
         first.nFileIndexHigh == second.nFileIndexHigh &&
         first.nFileIndexLow == second.nFileIndexLow;
}

#else

bool AreSame(std::FILE* one, std::FILE* other) {
  struct stat first;
  struct stat second;
  return fstat(fileno(one), &first) == 0 && fstat(fileno(other), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

#endif

}  // namespace

std::FILE* StandardStreamOf(std::FILE* file) {
  if (AreSame(file, stdout)) return stdout;
  return AreSame(file, stderr) ? stderr : nullptr;
}

#if defined(_WIN32)

bool ReserveStandardStreams() {
  // Below 0: there is no handle for it (_fileno).
  return _fileno(stdout) >= 0;
}

#else

bool ReserveStandardStreams() {
  bool output_is_open = true;
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    if (descriptor == STDOUT_FILENO) output_is_open = false;
    // The lowest free number, which is this one. Standard output cannot be written to so.
    const int flags = descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY;
    static_cast<void>(open("/dev/null", flags));
  }
  return output_is_open;
}

#endif

}  // namespace ioring

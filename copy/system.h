// Calls of one system that the others lack or spell otherwise. They block; any thread.
//
// Each returns 0 or more, or the negative of errno.
#ifndef IORING_COPY_SYSTEM_H_
#define IORING_COPY_SYSTEM_H_

#include <sys/stat.h>

#include <cstdint>
#include <ctime>

#include "ring/file.h"

namespace ioring::copy {

// Opens a file without a name in the directory, to be read and written. -ENOTSUP where the system
// or the file system has none.
int OpenUnnamed(int directory, mode_t permissions);
// Gives it a name. -EEXIST where the name is in use.
int NameUnnamed(int file, int directory, const char* name);

// Copies all extended attributes that this process may set (access control lists are among them).
// Those of file systems that have none, or of a kind that needs privileges, are left out.
int CopyAttributes(int from, int to);

// Whether the file has a list of access control. A new one has that which its directory gives.
bool HasAccessList(int file);
// Removes the lists of access control that `to` has from its directory, and `from` lacks.
int RemoveOtherLists(int from, int to);

// Copies up to `size` bytes, less than 2 GiB, which the file systems may share from then on. The
// bytes, fewer where `from` has fewer; -ENOTSUP where it copied none, or failed, to be tried in
// another way.
int CopyInKernel(int from, int to, uint64_t size);

// The bytes from `from` on, before `end`, that are stored. `begin` == `finish`: there are none.
struct DataRange {
  uint64_t begin = 0;
  uint64_t finish = 0;
};
// Everything is data where the file system does not tell.
int FindData(int file, uint64_t from, uint64_t end, DataRange* range);

// Reads and writes of the open file bypass the page cache from now on, or go through it. -ENOTSUP
// where its file system has no such thing.
int SetDirect(int file, bool is_direct);

// The machine's memory.
uint64_t MemoryBytes();
// How many descriptors this process may have open.
uint64_t DescriptorLimit();

// Opens a directory by a path of directories, none of them a link, to be used for *at calls only.
// "" is `directory` itself.
int OpenBelow(int directory, const char* path);

// What `info` says of a regular file's owner, permissions and times.
struct stat ToStat(const FileInfo& info);

timespec ModifiedTime(const struct stat& info);
timespec AccessedTime(const struct stat& info);

}  // namespace ioring::copy

#endif  // IORING_COPY_SYSTEM_H_

// All that //copy asks of the system besides its rings: calls of files, by descriptors. They block;
// any thread.
//
// Each returns 0 or more, or the negative of errno. A read, a write or a copy that a signal
// interrupts is made again.
//
// system_posix.cc and system_linux.cc make these calls of the system; system_linux.cc those that
// other systems lack or spell otherwise. A test may be linked with others in their place:
// copy/testing/system_simulated.cc.
#ifndef IORING_COPY_SYSTEM_H_
#define IORING_COPY_SYSTEM_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>

#include "ring/file.h"

namespace ioring::copy {

// What `info` says of a regular file's owner, permissions and times.
struct stat ToStat(const FileInfo& info);

timespec ModifiedTime(const struct stat& info);
timespec AccessedTime(const struct stat& info);

// The bytes from `from` on, before `end`, that are stored. `begin` == `finish`: there are none.
struct DataRange {
  uint64_t begin = 0;
  uint64_t finish = 0;
};

}  // namespace ioring::copy

namespace ioring::copy::system {

// ---- Opening. No link is followed, unless it is said. No descriptor outlives an exec(2).

// To be read. It does not wait for a FIFO's other end; nor do reads, until SetBlocking. If another
// process has a lease on the file (F_SETLEASE), it waits until that is given up.
int OpenToRead(int directory, const char* name);
int SetBlocking(int file);
// Creates a file that nothing has the name of, to be read and written.
int OpenNew(int directory, const char* name, mode_t permissions);
// Opens a file without a name in the directory, to be read and written. -ENOTSUP where the system
// or the file system has none.
int OpenUnnamed(int directory, mode_t permissions);
int OpenDirectory(int directory, const char* name);
// Links are followed. Where this process may not list the directory it is opened for entries in it
// only, and Sync is -EBADF.
int OpenDirectory(const char* path);
// Opens a directory by a path of directories, none of them a link, to be used for entries in it
// only. "" is `directory` itself.
int OpenBelow(int directory, const char* path);
int Duplicate(int file);
int Close(int file);

// ---- Looking.

int Stat(int file, struct stat* info);
// A link itself.
int StatEntry(int directory, const char* name, struct stat* info);
int StatPath(const char* path, FollowLink follow, struct stat* info);
// The bytes of the target, of at most `size`; without a zero at their end.
ssize_t ReadLink(int directory, const char* name, char* target, size_t size);

// The names in a directory.
struct DirectoryStream;
struct StreamEntry {
  const char* name = nullptr;  // until the next call
  mode_t type = 0;             // S_IFREG and the like; 0 where nobody knows
};
// `directory` stays the caller's.
int OpenStream(int directory, DirectoryStream** stream);
// The next entry, without "." and "..". 1; 0: there are no more.
int ReadStream(DirectoryStream* stream, StreamEntry* entry);
void CloseStream(DirectoryStream* stream);

// ---- Bytes.

ssize_t Read(int file, std::byte* memory, size_t size, uint64_t offset);
ssize_t Write(int file, const std::byte* memory, size_t size, uint64_t offset);
// Copies up to `size` bytes, less than 2 GiB, which the file systems may share from then on. The
// bytes, fewer where `from` has fewer; -ENOTSUP where it copied none, or failed, to be tried in
// another way.
int CopyInKernel(int from, int to, uint64_t size);
// Whether the kernel makes the content of its file system's files up when they are read: they may
// have fewer bytes than they say, and their times mean nothing.
bool IsMadeUp(int file);
// Everything is data where the file system does not tell.
int FindData(int file, uint64_t from, uint64_t end, DataRange* range);
// Reads and writes of the open file bypass the page cache from now on, or go through it. -ENOTSUP
// where its file system has no such thing.
int SetDirect(int file, bool is_direct);
// Brings the file, or the names in the directory, to the disk.
int Sync(int file);

// ---- Names.

// Gives an unnamed file a name. -EEXIST where the name is in use.
int NameUnnamed(int file, int directory, const char* name);
// A further name of an entry. -EEXIST as above.
int Link(int directory, const char* existing, int other, const char* name);
// Within a directory. What has the name already is replaced.
int Rename(int directory, const char* from, const char* to);
// The same, but -EEXIST where the name is in use.
int RenameNew(int directory, const char* from, const char* to);
// Removes what is no directory.
int Remove(int directory, const char* name);
int MakeDirectory(int directory, const char* name, mode_t permissions);
int MakeLink(const char* target, int directory, const char* name);
// `mode`: S_IFIFO and the like, with permissions.
int MakeSpecialFile(int directory, const char* name, mode_t mode, dev_t device);

// ---- Metadata.

int SetOwner(int file, uid_t owner, gid_t group);
int SetPermissions(int file, mode_t permissions);
// That of the last access, and that of the last change.
int SetTimes(int file, const timespec times[2]);
// The same of an entry; a link itself.
int SetEntryOwner(int directory, const char* name, uid_t owner, gid_t group);
int SetEntryPermissions(int directory, const char* name, mode_t permissions);
int SetEntryTimes(int directory, const char* name, const timespec times[2]);

// What CopyAttributes and CopyEntryLists could not give to the copy.
struct LostAttributes {
  std::string name;  // of the first one; empty: none is lost
  int error = 0;     // of that one
  // Permissions that the copy must not have: the list of access control is lost, which gave them to
  // others than the group.
  mode_t permissions = 0;
};

// Copies all extended attributes that this process may set (access control lists are among them).
// Those of file systems that have none, or of a kind that needs privileges, are left out; others
// that cannot be copied, and lists of access control, are told in `lost`, and the rest is copied.
int CopyAttributes(int from, int to, LostAttributes* lost);
// Gives an entry that cannot be opened, which is no link, the list of access control of another:
// that list or none.
int CopyEntryLists(int from_directory, const char* from, int to_directory, const char* to,
                   LostAttributes* lost);
// Whether the file has a list of access control. A new one has that which its directory gives.
bool HasAccessList(int file);
// Removes the lists of access control that `to` has from its directory, and `from` lacks.
int RemoveOtherLists(int from, int to);

// ---- The machine.

// Its memory.
uint64_t MemoryBytes();
// How many descriptors this process may have open.
uint64_t DescriptorLimit();
// A number that no other copy has.
uint64_t RandomNumber();

}  // namespace ioring::copy::system

#endif  // IORING_COPY_SYSTEM_H_

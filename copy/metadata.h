// The metadata of a copy. These block; any thread. Each returns 0 or the negative of errno, and
// fills in `*problem` with what the copy lacks although it has all else: attributes that cannot be
// copied.
#ifndef IORING_COPY_METADATA_H_
#define IORING_COPY_METADATA_H_

#include <sys/stat.h>

#include <string>

namespace ioring::copy {

// Gives `to` the owner, extended attributes, permissions and times of `from`, which `info`
// describes. Where this process may not give files away, the owner stays, and the file gets no
// set-user-ID and set-group-ID bits, which would be another owner's. `has`: the owner and the
// permissions that `to` is known to have, which saves calls; null where nothing is known.
// `has_list`: it may have lists of access control from its directory, which `from` may lack. Where
// the list of `from` cannot be kept, the copy lacks the permissions that are only the list's.
int CopyMetadata(int from, const struct stat& info, int to, std::string* problem,
                 const struct stat* has = nullptr, bool has_list = true);

// The same for an entry that cannot be opened: a symbolic link or a special file. Of extended
// attributes a special file gets its list of access control.
int CopyMetadataAt(int from_directory, const char* from, const struct stat& info, int to_directory,
                   const char* to, std::string* problem);

}  // namespace ioring::copy

#endif  // IORING_COPY_METADATA_H_

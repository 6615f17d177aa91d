// The metadata of a copy. These block; any thread. Each returns 0 or the negative of errno.
#ifndef IORING_COPY_METADATA_H_
#define IORING_COPY_METADATA_H_

#include <sys/stat.h>

namespace ioring::copy {

// Gives `to` the owner, extended attributes, permissions and times of `from`, which `info`
// describes. Where this process may not give files away, the owner stays, and the file gets no
// set-user-ID and set-group-ID bits, which would be another owner's. `has`: the owner and the
// permissions that `to` is known to have, which saves calls; null where nothing is known.
// `has_list`: it may have lists of access control from its directory, which `from` may lack.
int CopyMetadata(int from, const struct stat& info, int to, const struct stat* has = nullptr,
                 bool has_list = true);

// The same for an entry that cannot be opened: a symbolic link or a special file. It gets no
// extended attributes.
int CopyMetadataAt(const struct stat& info, int directory, const char* name);

}  // namespace ioring::copy

#endif  // IORING_COPY_METADATA_H_

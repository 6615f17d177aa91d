// Places: which entry of which directory each source is, and what its copy becomes.
#ifndef IORING_COPY_PLACES_H_
#define IORING_COPY_PLACES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ioring::copy {

// A path as a directory, and an entry of it. "a/b/" is "b" of "a", "b" is "b" of "."; the name is
// empty where the path is a directory's content: "/", "." and what ends with "/." or "/..". Of a
// source that is an entry of nothing that is known, it is ".": the directory itself.
struct SplitPath {
  std::string directory;
  std::string name;
};
SplitPath Split(std::string_view path);

struct Place {
  SplitPath source;
  std::string path;         // as it was given
  std::string target_name;  // in `Places::directory`; empty: the content goes into that
};

struct Places {
  std::string directory;  // the destination's, which exists
  std::vector<Place> places;
};

// Looks at the file system. Errors: NotFound, InvalidArgument and AlreadyExists, with a sentence,
// for a destination that cannot take these sources: it is missing, no directory, a special file,
// lies inside a source, or two sources would have the same name. That of the system where it does
// not tell what the destination is.
absl::StatusOr<Places> FindPlaces(const std::vector<std::string>& sources,
                                  const std::string& destination);

}  // namespace ioring::copy

#endif  // IORING_COPY_PLACES_H_

// Trail: the names on the way to a directory, for messages and for links. The path of each of many
// directories that lie inside each other would take the square of their number.
//
// Threads: any that only read.
#ifndef IORING_COPY_TRAIL_H_
#define IORING_COPY_TRAIL_H_

#include <string>
#include <string_view>

namespace ioring::copy {

struct Trail {
  const Trail* above = nullptr;  // lives longer; null: this is the first one
  // The source's name. Of the first one: its path, or nothing.
  std::string source;
  // The copy's name. Of the first one: its path, seen from the destination's top, or nothing.
  std::string target;

  std::string SourcePath() const;
  std::string TargetPath() const;
};

// "directory/name".
std::string Join(std::string_view directory, std::string_view name);

}  // namespace ioring::copy

#endif  // IORING_COPY_TRAIL_H_

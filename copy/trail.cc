#include "copy/trail.h"

#include <string>
#include <string_view>
#include <vector>

namespace ioring::copy {
namespace {

void Append(std::string_view name, std::string* path) {
  if (!path->empty() && path->back() != '/') path->push_back('/');
  path->append(name);
}

std::string PathOf(const Trail& trail, std::string Trail::*name) {
  std::vector<std::string_view> names;
  for (const Trail* at = &trail; at != nullptr; at = at->above) names.push_back(at->*name);
  std::string path;
  for (; !names.empty(); names.pop_back()) Append(names.back(), &path);
  return path;
}

}  // namespace

std::string Trail::SourcePath() const { return PathOf(*this, &Trail::source); }
std::string Trail::TargetPath() const { return PathOf(*this, &Trail::target); }

std::string Join(std::string_view directory, std::string_view name) {
  std::string path(directory);
  Append(name, &path);
  return path;
}

}  // namespace ioring::copy

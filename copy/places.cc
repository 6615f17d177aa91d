#include "copy/places.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/system.h"
#include "copy/visit.h"
#include "ring/file.h"

namespace ioring::copy {
namespace {

enum class Found : uint8_t { kNothing, kDirectory, kOther };

absl::StatusOr<Found> Find(const std::string& path) {
  struct stat info;
  const int error = system::StatPath(path.c_str(), FollowLink::kYes, &info);
  if (error == 0) return S_ISDIR(info.st_mode) ? Found::kDirectory : Found::kOther;
  if (error == -ENOENT || error == -ENOTDIR) return Found::kNothing;
  return absl::ErrnoToStatus(-error, absl::StrCat("the destination ", path));
}

// Whether `directory` is the directory `outer`, or lies in it.
bool IsInside(const std::string& directory, const struct stat& outer) {
  OwnedDescriptor at(system::OpenDirectory(directory.c_str()));
  struct stat info {};
  while (at.is_open() && system::Stat(at.get(), &info) == 0) {
    if (info.st_dev == outer.st_dev && info.st_ino == outer.st_ino) return true;
    OwnedDescriptor parent(system::OpenDirectory(at.get(), ".."));
    struct stat above {};
    const bool is_root = !parent.is_open() || system::Stat(parent.get(), &above) != 0 ||
                         (above.st_dev == info.st_dev && above.st_ino == info.st_ino);
    if (is_root) break;
    at = std::move(parent);
  }
  return false;
}

absl::Status CheckSource(const Place& place, const Places& places) {
  struct stat info;
  const bool is_content = place.source.name.empty();
  const FollowLink follow = is_content ? FollowLink::kYes : FollowLink::kNo;
  if (system::StatPath(place.path.c_str(), follow, &info) != 0) {
    return absl::OkStatus();  // told with the others
  }
  if (S_ISDIR(info.st_mode) && IsInside(places.directory, info)) {
    // The content of a directory, or itself, copied into what it holds.
    return absl::InvalidArgumentError(
        absl::StrCat("the destination ", places.directory, " lies inside the source ", place.path));
  }
  return absl::OkStatus();
}

absl::StatusOr<Places> FindTargets(const std::vector<std::string>& sources,
                                   const std::string& destination) {
  Places places;
  const absl::StatusOr<Found> found = Find(destination);
  if (!found.ok()) return found.status();
  const bool is_directory = *found == Found::kDirectory;
  const SplitPath split = Split(destination);
  if (!is_directory && (sources.size() > 1 || split.name.empty())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the destination ", destination,
                     *found == Found::kOther ? " is no directory" : " does not exist",
                     ", and several sources need one that does"));
  }
  places.directory = is_directory ? destination : split.directory;
  if (!is_directory) {
    const absl::StatusOr<Found> parent = Find(split.directory);
    if (!parent.ok()) return parent.status();
    if (*parent != Found::kDirectory) {
      return absl::NotFoundError(
          absl::StrCat("the destination's directory ", split.directory, " does not exist"));
    }
  }
  for (const std::string& source : sources) {
    Place place{Split(source), source, {}};
    if (is_directory) place.target_name = place.source.name;
    if (!is_directory) place.target_name = split.name;
    places.places.push_back(std::move(place));
  }
  return places;
}

}  // namespace

SplitPath Split(std::string_view path) {
  const std::string whole(path);
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") return {whole, ""};
  std::string directory = ".";
  if (slash != std::string_view::npos) directory = slash == 0 ? "/" : path.substr(0, slash);
  return {directory, std::string(name)};
}

absl::StatusOr<Places> FindPlaces(const std::vector<std::string>& sources,
                                  const std::string& destination) {
  for (const std::string& source : sources) {
    if (source.empty()) return absl::InvalidArgumentError("the path of a source is empty");
  }
  if (sources.empty()) return absl::InvalidArgumentError("there is no source");
  if (destination.empty()) return absl::InvalidArgumentError("the destination's path is empty");
  absl::StatusOr<Places> places = FindTargets(sources, destination);
  if (!places.ok()) return places;
  std::set<std::string_view> names;
  for (const Place& place : places->places) {
    if (absl::Status status = CheckSource(place, *places); !status.ok()) return status;
    if (!place.target_name.empty() && !names.insert(place.target_name).second) {
      return absl::AlreadyExistsError(absl::StrCat("two sources would both become ",
                                                   places->directory, "/", place.target_name));
    }
  }
  return places;
}

}  // namespace ioring::copy

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

enum class Found : uint8_t { kNothing, kDirectory, kFile, kSpecialFile };

absl::StatusOr<Found> Find(const std::string& path) {
  struct stat info;
  const int error = system::StatPath(path.c_str(), FollowLink::kYes, &info);
  if (error == 0 && S_ISDIR(info.st_mode)) return Found::kDirectory;
  if (error == 0) return S_ISREG(info.st_mode) ? Found::kFile : Found::kSpecialFile;
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

bool HasSlashAtEnd(std::string_view path) { return path.size() > 1 && path.back() == '/'; }

std::string_view WithoutSlashes(std::string_view path) {
  while (HasSlashAtEnd(path)) path.remove_suffix(1);
  return path;
}

// The directory as an entry of itself, which it is under every path.
SplitPath EntryOfItself(std::string_view path) {
  path = WithoutSlashes(path);
  if (path.ends_with("/.")) path.remove_suffix(1);
  return {std::string(WithoutSlashes(path)), "."};
}

// What there is, without following a link; 0 for nothing.
mode_t KindOf(const std::string& path) {
  struct stat info;
  const int error = system::StatPath(path.c_str(), FollowLink::kNo, &info);
  return error == 0 ? info.st_mode & S_IFMT : 0;
}

// A slash at the end asks for a directory, as for all calls of the system: what a link leads to is
// copied, and nothing else than a directory.
Place PlaceOf(const std::string& source) {
  Place place{Split(source), source, {}};
  place.target_name = place.source.name;
  if (HasSlashAtEnd(source) && !place.source.name.empty() &&
      !S_ISDIR(KindOf(std::string(WithoutSlashes(source))))) {
    place.source = EntryOfItself(source);
  }
  return place;
}

// Whether a destination that is no directory can become the copy of the source.
absl::Status CheckTarget(const Place& place, const std::string& destination, Found found) {
  const mode_t kind = KindOf(place.path);
  if (found == Found::kSpecialFile && kind != KindOf(destination)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the destination ", destination,
        " is a device, a FIFO or a socket, which are not written to: name a file or a directory"));
  }
  if (found != Found::kNothing && place.source.name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the destination ", destination,
                                                   " is no directory, and cannot have the content "
                                                   "of ",
                                                   place.path));
  }
  if (HasSlashAtEnd(destination) && !S_ISDIR(kind)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the destination ", destination,
        " ends with a slash, and is no directory: ", "make it, or leave the slash out"));
  }
  return absl::OkStatus();
}

// The destination is to become the copy of the one source.
absl::StatusOr<Places> FindTarget(const std::string& source, const std::string& destination,
                                  Found found) {
  const SplitPath split = Split(destination);
  Place place = PlaceOf(source);
  if (absl::Status status = CheckTarget(place, destination, found); !status.ok()) return status;
  const absl::StatusOr<Found> parent = Find(split.directory);
  if (!parent.ok()) return parent.status();
  if (*parent != Found::kDirectory) {
    return absl::NotFoundError(
        absl::StrCat("the destination's directory ", split.directory,
                     *parent == Found::kNothing ? " does not exist" : " is no directory"));
  }
  // The content of a directory that is made for it: a copy of the directory.
  if (place.source.name.empty()) place.source = EntryOfItself(source);
  place.target_name = split.name;
  return Places{split.directory, {std::move(place)}};
}

absl::StatusOr<Places> FindTargets(const std::vector<std::string>& sources,
                                   const std::string& destination) {
  const absl::StatusOr<Found> found = Find(destination);
  if (!found.ok()) return found.status();
  if (*found == Found::kDirectory) {
    Places places{destination, {}};
    for (const std::string& source : sources) places.places.push_back(PlaceOf(source));
    return places;
  }
  if (sources.size() > 1 || Split(destination).name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the destination ", destination,
        *found == Found::kNothing ? " does not exist: make it" : " is no directory: name one",
        sources.size() > 1 ? ", as there are several sources" : ""));
  }
  return FindTarget(sources.front(), destination, *found);
}

}  // namespace

SplitPath Split(std::string_view path) {
  const std::string whole(path);
  path = WithoutSlashes(path);
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

// Paths and names.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/str_split.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"

namespace ioring::sim {
namespace {

// As of Linux.
constexpr size_t kNameBytesMax = 255;
constexpr int kLinksMax = 40;

// Changes of names that are kept; older ones are durable, as when a system writes them by itself.
constexpr size_t kChangesMax = 4096;

// Puts the components of `path` before those that are left to walk, of which the next is the last.
void PushComponents(std::string_view path, std::vector<std::string>& left) {
  const std::vector<std::string> components = absl::StrSplit(path, '/', absl::SkipEmpty());
  left.insert(left.end(), components.rbegin(), components.rend());
}

}  // namespace

Disk::Place Disk::Walk(const OpenedFile* directory, const char* path, FollowLink follow) const {
  return WalkFrom(directory != nullptr ? directory->inode : root_, path, follow);
}

Disk::Place Disk::WalkFrom(Pointer at, std::string_view path, FollowLink follow) const {
  if (path.empty()) return {.error = Error::kNotFound};
  if (path.size() > kPathBytesMax) return {.error = Error::kNameTooLong};
  if (path[0] == '/') at = root_;
  Place place{.directory = at, .inode = at};
  place.ends_with_slash = path.back() == '/';
  std::vector<std::string> left;
  PushComponents(path, left);
  for (int links = 0; !left.empty();) {
    if (place.inode == nullptr) return {.error = Error::kNotFound};
    if (!place.inode->is_directory()) return {.error = Error::kNotDirectory};
    place.directory = place.inode;
    place.name = std::move(left.back());
    left.pop_back();
    if (place.name.size() > kNameBytesMax) return {.error = Error::kNameTooLong};
    place.is_plain = place.name != "." && place.name != "..";
    if (place.name == ".") continue;
    if (place.name == "..") {
      place.inode = place.directory->parent.lock();
      continue;
    }
    const auto found = place.directory->entries.find(place.name);
    place.inode = found != place.directory->entries.end() ? found->second : nullptr;
    if (place.inode == nullptr || place.inode->type != FileType::kSymbolicLink) continue;
    if (left.empty() && follow == FollowLink::kNo && !place.ends_with_slash) continue;
    if (++links > kLinksMax) return {.error = Error::kSymbolicLink};
    const std::string& target = place.inode->target;
    if (left.empty()) {
      place.is_through_link = true;
      if (target.back() == '/') place.ends_with_slash = true;
    }
    PushComponents(target, left);
    place.is_plain = false;  // where the target is the root
    place.inode = target[0] == '/' ? root_ : place.directory;
  }
  if (place.ends_with_slash && place.inode != nullptr && !place.inode->is_directory()) {
    return {.error = Error::kNotDirectory};
  }
  return place;
}

// Whether the directory is `inode`, or lies below it.
bool Disk::IsWithin(const Inode* inode, const Pointer& directory) {
  Pointer at = directory;
  while (at != nullptr && at.get() != inode) {
    Pointer parent = at->parent.lock();
    if (parent == at) return false;  // the root
    at = std::move(parent);
  }
  return at != nullptr;
}

// ---- Names.

void Disk::SetEntry(Change& change, const Pointer& directory, const std::string& name,
                    const Pointer& inode) {
  Pointer& entry = directory->entries[name];
  change.names.push_back({directory, name, entry});
  if (entry != nullptr) {
    --entry->names;
    entry->changed_ns = engine_.Now();
  }
  entry = inode;
  if (inode != nullptr) {
    ++inode->names;
    inode->changed_ns = engine_.Now();
    if (inode->is_directory()) inode->parent = directory;
  } else {
    directory->entries.erase(name);
  }
  Touch(*directory);
}

void Disk::End(Change change) {
  engine_.Log(Happened::kNamed, change.names.front().directory->number, change.names.size());
  Note(std::move(change));
}

void Disk::Note(Change change) {
  journal_.push_back(std::move(change));
  if (journal_.size() > kChangesMax) journal_.pop_front();
}

void Disk::CommitDirectory(const Inode& directory) {
  const auto is_of_it = [&](const Edit& edit) { return edit.directory.get() == &directory; };
  const auto last = std::find_if(journal_.rbegin(), journal_.rend(), [&](const Change& change) {
    if (change.attributes.has_value()) return change.attributes->inode.get() == &directory;
    return std::any_of(change.names.begin(), change.names.end(), is_of_it);
  });
  journal_.erase(journal_.begin(), last.base());
}

void Disk::CommitAttributes(const Inode& inode) {
  std::erase_if(journal_, [&](const Change& change) {
    return change.attributes.has_value() && change.attributes->inode.get() == &inode;
  });
}

Disk::Pointer Disk::Make(FileType type, uint32_t permissions) {
  constexpr uint32_t kUmask = 022;
  auto inode = std::make_shared<Inode>(++last_number_, type, used_);
  inode->permissions = type == FileType::kSymbolicLink ? permissions : permissions & ~kUmask;
  inode->accessed_ns = inode->born_ns = engine_.Now();
  Touch(*inode);
  return inode;
}

Error Disk::CheckNew(const Place& place, bool is_directory) {
  if (place.error != Error::kOk) return place.error;
  if (place.inode != nullptr) return Error::kAlreadyExists;
  if (place.ends_with_slash && !is_directory) return Error::kNotFound;
  // The directory may be one that was removed and is still open.
  return place.directory->names != 0 ? Error::kOk : Error::kNotFound;
}

Error Disk::CheckNewName(const Place& place, bool is_directory) {
  if (place.error == Error::kOk && place.is_through_link) return Error::kAlreadyExists;
  return CheckNew(place, is_directory);
}

void Disk::Name(const Place& place, const Pointer& inode) {
  Change change;
  SetEntry(change, place.directory, place.name, inode);
  End(std::move(change));
}

void Disk::MakeDirectories(std::string_view path) {
  Pointer at = root_;
  for (const std::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    Pointer& entry = at->entries[std::string(name)];
    if (entry == nullptr) {
      entry = Make(FileType::kDirectory, 0777);
      entry->names = 1;
      entry->parent = at;
    }
    CHECK(entry->is_directory()) << "\"" << name << "\" of \"" << path << "\" is no directory";
    // One that was there, but might not outlive a loss of power, would take along what is in it.
    CommitDirectory(*at);
    at = entry;
  }
}

const Inode* Disk::Find(const std::string& path) const {
  return WalkFrom(root_, path, FollowLink::kNo).inode.get();
}

// ---- Loss of power.

// The clone of an inode that has several names is one.
Disk::Pointer Disk::Clone(const Inode& inode, std::map<uint64_t, Pointer>& clones) {
  Pointer& clone = clones[inode.number];
  if (clone == nullptr) {
    clone = std::make_shared<Inode>(inode, used_);
    clone->content.Tear(engine_.random());
  }
  ++clone->names;
  for (const auto& [name, entry] : inode.entries) {
    const Pointer copy = Clone(*entry, clones);
    if (copy->is_directory()) copy->parent = clone;
    clone->entries.emplace(name, copy);
  }
  return clone;
}

void Disk::LosePower() {
  const uint64_t kept = journal_.empty() ? 0 : engine_.random().Below(journal_.size() + 1);
  for (; journal_.size() > kept; journal_.pop_back()) {
    const Change& change = journal_.back();
    if (const auto& before = change.attributes; before.has_value()) {
      before->inode->permissions = before->permissions;
      before->inode->accessed_ns = before->accessed_ns;
      before->inode->modified_ns = before->modified_ns;
    }
    for (auto edit = change.names.rbegin(); edit != change.names.rend(); ++edit) {
      if (edit->before != nullptr) {
        edit->directory->entries[edit->name] = edit->before;
      } else {
        edit->directory->entries.erase(edit->name);
      }
    }
  }
  journal_.clear();
  used_ = std::make_shared<uint64_t>(0);  // who has an old file open counts for the old disk
  std::map<uint64_t, Pointer> clones;
  root_ = Clone(*root_, clones);
  root_->parent = root_;
}

}  // namespace ioring::sim

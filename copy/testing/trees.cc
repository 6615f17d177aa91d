#include "copy/testing/trees.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "copy/pending_file.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/request.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"

namespace ioring::copy {
namespace {

void Look(const sim::Inode& directory, const std::string& path, Tree& tree) {
  for (const auto& [name, inode] : directory.entries) {
    const std::string below = path.empty() ? name : absl::StrCat(path, "/", name);
    tree[below] = {inode->type,
                   inode->permissions,
                   inode->modified_ns,
                   inode->number,
                   inode->content.allocated_bytes(),
                   inode->is_regular() ? inode->content.Text() : inode->target};
    if (inode->is_directory()) Look(*inode, below, tree);
  }
}

bool IsSame(const Seen& a, const Seen& b) {
  return a.type == b.type && a.permissions == b.permissions && a.modified_ns == b.modified_ns &&
         a.content == b.content;
}

bool Has(const Tree& tree, const std::string& path, const Seen& seen) {
  const auto found = tree.find(path);
  if (found == tree.end()) return false;
  return seen.type == FileType::kDirectory ? found->second.type == seen.type
                                           : IsSame(found->second, seen);
}

}  // namespace

// ---- Looking.

Tree LookAt(const sim::Disk& disk, const std::string& path) {
  Tree tree;
  const sim::Inode* const top = disk.Find(path);
  if (top != nullptr) Look(*top, "", tree);
  return tree;
}

bool IsTemporary(const std::string& path) {
  return IsTemporaryName(std::string_view(path).substr(path.rfind('/') + 1));
}

std::string CheckEach(const Tree& from, const Tree& before, const Tree& to, bool is_torn) {
  for (const auto& [path, seen] : to) {
    if (IsTemporary(path) || Has(from, path, seen) || Has(before, path, seen)) continue;
    if (is_torn && from.contains(path)) continue;
    return absl::StrCat(path, " is neither the source's nor what was there: ", seen.content.size(),
                        " bytes, permissions ", absl::Hex(seen.permissions), ", modified at ",
                        seen.modified_ns);
  }
  for (const auto& [path, seen] : before) {
    if (!to.contains(path)) return absl::StrCat(path, " was there, and vanished");
  }
  return "";
}

std::string CheckWhole(const Tree& from, const Tree& to, Temporary where) {
  std::map<uint64_t, uint64_t> numbers;  // of copies, by those of their sources
  for (const auto& [path, seen] : from) {
    const auto found = to.find(path);
    if (found == to.end()) return absl::StrCat(path, " is missing");
    const Seen& copy = found->second;
    if (!IsSame(seen, copy)) return absl::StrCat(path, " is not the source's");
    if (seen.type != FileType::kRegular) continue;
    if (numbers.try_emplace(seen.number, copy.number).first->second != copy.number) {
      return absl::StrCat(path, " is not the file that its other names are");
    }
    constexpr size_t kHolesBytesMin = 4096;  // a smaller file is copied without its holes
    if (seen.content.size() > kHolesBytesMin && copy.allocated_bytes > seen.allocated_bytes) {
      return absl::StrCat(path, " takes more space than the source");
    }
  }
  for (const auto& [path, seen] : to) {
    const bool may_be_there = where == Temporary::kAnywhere && IsTemporary(path);
    if (!from.contains(path) && !may_be_there) {
      return absl::StrCat(path, " is of no source");
    }
  }
  return "";
}

uint64_t CountCopies(const Tree& from, const Tree& to) {
  return static_cast<uint64_t>(std::count_if(to.begin(), to.end(), [&](const auto& entry) {
    return entry.second.type != FileType::kDirectory && Has(from, entry.first, entry.second);
  }));
}

// ---- Making them.

void TreeMaker::Make(const std::string& top, int levels) {
  MakeDirectory(top);
  Fill(top, levels);
  // What is made in a directory changes its time.
  for (const std::string& path : directories_) SetAttributes(path);
}

void TreeMaker::MakeChain(const std::string& top, int levels) {
  MakeDirectory(top);
  std::string path = top;
  for (int i = 0; i < levels; ++i) {
    const std::string beside = absl::StrCat(path, "/z");
    MakeDirectory(beside);
    WriteFile(absl::StrCat(beside, "/file"), 1 + random_.Below(1'000));
    absl::StrAppend(&path, "/d");
    MakeDirectory(path);
  }
  for (const std::string& directory : directories_) SetAttributes(directory);
}

void TreeMaker::MakeOlder(const std::string& top, const Tree& tree) {
  MakeDirectory(top);
  for (const auto& [path, seen] : tree) {
    const std::string place = absl::StrCat(top, "/", path);
    const size_t slash = place.rfind('/');
    if (random_.Below(4) != 0 || disk_.Find(place.substr(0, slash)) == nullptr) continue;
    if (seen.type == FileType::kDirectory) {
      MakeDirectory(place);
    } else if (random_.Below(8) == 0) {
      MakeLink(place, "older");
    } else {
      // Some have the size of the new one.
      WriteFile(place, random_.Below(2) == 0 ? seen.content.size() : random_.Below(3'000));
    }
  }
}

void TreeMaker::Call(const request::FileCall& call) {
  CHECK_EQ(disk_.Call(call, nullptr, nullptr), 0);
}

void TreeMaker::MakeDirectory(const std::string& path) {
  Call(request::MakeDirectory{path.c_str(), 0777});
  directories_.push_back(path);
}

void TreeMaker::MakeLink(const std::string& path, const char* target) {
  Call(request::Symlink{target, path.c_str()});
}

void TreeMaker::SetAttributes(const std::string& path) {
  static constexpr std::array<uint32_t, 5> kPermissions = {0644, 0600, 0755, 0400, 02750};
  const FileTime time{static_cast<int64_t>(1'000 + random_.Below(1'000)),
                      static_cast<uint32_t>(random_.Below(1'000'000'000))};
  sim::Disk::Attributes attributes{.permissions = {}, .accessed = time, .modified = time};
  if (disk_.Find(path)->type != FileType::kSymbolicLink) {
    attributes.permissions = kPermissions[random_.Below(kPermissions.size())];
  }
  CHECK_EQ(disk_.SetAttributes(nullptr, path.c_str(), attributes), 0);
}

sim::OpenedFile TreeMaker::Open(const std::string& path) {
  sim::OpenedFile file;
  CHECK_EQ(
      disk_.Open(nullptr, path.c_str(),
                 {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kNew},
                 &file),
      0);
  return file;
}

void TreeMaker::WriteAt(sim::OpenedFile& file, uint64_t offset, size_t bytes) {
  std::string text(bytes, '\0');
  for (char& byte : text) byte = static_cast<char>(random_.Next());
  const MemoryPart part{reinterpret_cast<std::byte*>(text.data()), bytes};
  CHECK_EQ(disk_.Write(file, offset, std::span(&part, 1)), static_cast<int64_t>(bytes));
}

void TreeMaker::WriteFile(const std::string& path, size_t bytes) {
  sim::OpenedFile file = Open(path);
  if (bytes != 0) WriteAt(file, 0, bytes);
}

void TreeMaker::WriteHoles(const std::string& path, uint64_t bytes) {
  sim::OpenedFile file = Open(path);
  for (uint64_t i = random_.Below(4); i > 0; --i) {
    const uint64_t offset = random_.Below(bytes);
    WriteAt(file, offset, 1 + random_.Below(std::min<uint64_t>(bytes - offset, 20'000)));
  }
  CHECK_EQ(disk_.Call(request::Truncate{FileId{}, bytes}, &file, nullptr), 0);
}

size_t TreeMaker::DrawSize() {
  switch (random_.Below(8)) {
    case 0:
      return 0;
    case 1:
      return 65'530 + random_.Below(10);  // about where batches pass files on
    case 2:
      return 512 * (1 + random_.Below(200));
    case 3:
      return 1 + random_.Below(150'000);
    default:
      return 1 + random_.Below(5'000);
  }
}

void TreeMaker::Fill(const std::string& directory, int levels) {
  // More than a batch, now and then.
  const bool goes_down = levels > 3;
  const uint64_t entries = goes_down                ? 1 + random_.Below(3)
                           : random_.Below(20) == 0 ? 40
                                                    : random_.Below(8);
  for (uint64_t i = 0; i < entries; ++i) {
    const std::string path = absl::StrCat(directory, "/", i);
    const uint64_t kind = entries == 40 ? 9 : random_.Below(12);
    if ((kind < 2 && levels > 0) || (goes_down && i == 0)) {
      MakeDirectory(path);
      Fill(path, goes_down && i != 0 ? 0 : levels - 1);
      continue;
    }
    if (kind == 3) {
      MakeLink(path, "target/of/a link");
    } else if (kind == 4 && !files_.empty()) {
      Call(request::Link{files_[random_.Below(files_.size())].c_str(), path.c_str()});
      continue;  // has attributes
    } else {
      if (kind == 5) WriteHoles(path, 1 + DrawSize());
      if (kind != 5) WriteFile(path, entries == 40 ? random_.Below(2'000) : DrawSize());
      files_.push_back(path);
    }
    SetAttributes(path);
  }
}

}  // namespace ioring::copy

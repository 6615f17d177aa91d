#include "ring/conformance/file_tree.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "ring/conformance/suite.h"
#include "ring/error.h"

namespace ioring {
namespace {

// Another one each time: what a run that was ended left behind is in no later one's way.
std::string NewPath() {
  static uint64_t number = 0;
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return absl::StrCat(testing::TempDir(), "/tree_", absl::StrReplaceAll(test->name(), {{"/", "_"}}),
                      "_", now.count(), "_", ++number);
}

}  // namespace

FileTree::FileTree(TestRing& ring) : FileCalls(ring), path_(NewPath()) {
  const Arrival made = MakeDirectory(path_.c_str());
  CHECK(made.ok()) << "no directory " << path_ << ": " << ErrorName(made.error());
  const Arrival opened = TryOpen(path_.c_str(), {.directory = true});
  CHECK(opened.ok()) << "cannot open " << path_ << ": " << ErrorName(opened.error());
  directory_ = opened.completion.file();
}

FileTree::~FileTree() {
  for (size_t i = names_.size(); i-- > 0;) {
    const PathAt path(directory_, names_[i]);
    if (!Unlink(path).ok()) UnlinkDirectory(path);
  }
  EXPECT_EQ(CloseFile(directory_).result(), 0);
  EXPECT_EQ(UnlinkDirectory(path_.c_str()).error(), Error::kOk) << "left behind: " << path_;
}

PathAt FileTree::Name(const char* name) {
  const auto is_it = [&](const char* known) { return std::string_view(known) == name; };
  if (std::none_of(names_.begin(), names_.end(), is_it)) names_.push_back(name);
  return PathAt(directory_, name);
}

FileId FileTree::Open(const char* name, const FileOptions& options) {
  const Arrival opened = TryOpen(Name(name), options);
  EXPECT_EQ(opened.error(), Error::kOk) << name;
  return opened.ok() ? opened.completion.file() : FileId{};
}

FileId FileTree::OpenNew(const char* name) {
  return Open(name,
              {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kNew});
}

FileId FileTree::OpenDirectory(const char* name) { return Open(name, {.directory = true}); }

void FileTree::Close(FileId file) { EXPECT_EQ(CloseFile(file).error(), Error::kOk); }

void FileTree::Make(const char* name, std::string_view text) {
  const FileId file = OpenNew(name);
  if (!text.empty()) {
    EXPECT_EQ(Write(file, 0, text).result(), static_cast<int32_t>(text.size()));
  }
  Close(file);
}

void FileTree::MakeFolder(const char* name) {
  EXPECT_EQ(MakeDirectory(Name(name)).error(), Error::kOk) << name;
}

std::string FileTree::Content(const char* name) {
  const FileId file = Open(name);
  if (!file.is_set()) return "";
  std::string content = Read(file, 0, kContentMax);
  Close(file);
  return content;
}

FileInfo FileTree::Info(const char* name) {
  FileInfo* info = NewInfo();
  EXPECT_EQ(Stat(Name(name), FollowLink::kNo, info).error(), Error::kOk) << name;
  return *info;
}

FileInfo FileTree::InfoOf(FileId file) {
  FileInfo* info = NewInfo();
  EXPECT_EQ(StatFile(file, info).error(), Error::kOk);
  return *info;
}

bool FileTree::Exists(const char* name) {
  const Error error = StatError(name);
  EXPECT_TRUE(error == Error::kOk || error == Error::kNotFound) << name << ErrorName(error);
  return error == Error::kOk;
}

Error FileTree::StatError(const char* name) {
  return Stat(Name(name), FollowLink::kNo, NewInfo()).error();
}

bool FileTree::HasSymlinks() {
  const Arrival made = Symlink("target", Name("probe_of_links"));
  if (made.ok()) {
    EXPECT_EQ(Unlink(Name("probe_of_links")).error(), Error::kOk);
    return true;
  }
  EXPECT_TRUE(SkipsAllowed()) << "no symbolic links: " << ErrorName(made.error());
  return false;
}

}  // namespace ioring

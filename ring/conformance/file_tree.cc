#include "ring/conformance/file_tree.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "ring/token.h"

namespace ioring {

FileTree::FileTree(TestRing& ring) : ring_(ring) {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  path_ = absl::StrCat(testing::TempDir(), "/tree_",
                       absl::StrReplaceAll(test->name(), {{"/", "_"}}));
  EXPECT_EQ(ring_.Run([&](Token token) {
                   return ring_.PrepareMakeDirectory(path_.c_str(), 0777, token);
                 }).result(),
            0);
  const Arrival opened = ring_.Run([&](Token token) {
    return ring_.PrepareOpen(path_.c_str(), {.directory = true}, token);
  });
  EXPECT_TRUE(opened.ok());
  if (opened.ok()) directory_ = opened.completion.file();
}

FileTree::~FileTree() {
  for (const std::string& name : names_) {
    const std::string path = absl::StrCat(path_, "/", name);
    ring_.Run([&](Token token) { return ring_.PrepareUnlink(path.c_str(), token); });
  }
  ring_.Run([&](Token token) { return ring_.PrepareCloseFile(directory_, token); });
  EXPECT_EQ(ring_.Run([&](Token token) {
                   return ring_.PrepareRemoveDirectory(path_.c_str(), token);
                 }).result(),
            0);
}

PathAt FileTree::Name(const char* name) {
  names_.emplace_back(name);
  return PathAt(directory_, name);
}

void FileTree::Make(const char* name, std::string_view text) {
  const PathAt path = Name(name);
  const Arrival opened = ring_.Run([&](Token token) {
    return ring_.PrepareOpen(
        path, {.access = FileOptions::Access::kWrite, .create = FileOptions::Create::kNew}, token);
  });
  ASSERT_TRUE(opened.ok());
  const FileId file = opened.completion.file();
  const std::span<std::byte> memory = ring_.Text(text);
  EXPECT_EQ(ring_.Run([&](Token token) { return ring_.PrepareWrite(file, 0, memory, token); })
                .result(),
            static_cast<int32_t>(text.size()));
  EXPECT_TRUE(ring_.Run([&](Token token) { return ring_.PrepareCloseFile(file, token); }).ok());
}

std::string FileTree::Content(const char* name) {
  const PathAt path(directory_, name);
  const Arrival opened =
      ring_.Run([&](Token token) { return ring_.PrepareOpen(path, FileOptions{}, token); });
  EXPECT_TRUE(opened.ok());
  if (!opened.ok()) return "";
  const FileId file = opened.completion.file();
  const std::span<std::byte> memory = ring_.Memory(64);
  const Arrival read =
      ring_.Run([&](Token token) { return ring_.PrepareRead(file, 0, memory, token); });
  EXPECT_TRUE(read.ok());
  EXPECT_TRUE(ring_.Run([&](Token token) { return ring_.PrepareCloseFile(file, token); }).ok());
  return std::string(AsText(memory.first(read.ok() ? static_cast<size_t>(read.result()) : 0)));
}

Arrival FileTree::Stat(const char* name, FileInfo* info) {
  const PathAt path(directory_, name);
  return ring_.Run(
      [&](Token token) { return ring_.PrepareStat(path, FollowLink::kNo, info, token); });
}

}  // namespace ioring

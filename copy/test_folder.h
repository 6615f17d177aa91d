// TestFolder: a temporary folder, and what tests make and look at there. Tests only.
#ifndef IORING_COPY_TEST_FOLDER_H_
#define IORING_COPY_TEST_FOLDER_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace ioring::copy {

class TestFolder {
 public:
  // In the directory `base`; null: where tests have their files.
  explicit TestFolder(const char* base = nullptr) {
    if (base == nullptr) base = std::getenv("TEST_TMPDIR");
    path_ = absl::StrCat(base != nullptr ? base : "/tmp", "/copy_test.XXXXXX");
    CHECK(mkdtemp(path_.data()) != nullptr);
    handle_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(handle_ >= 0);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    close(handle_);
    std::filesystem::remove_all(path_);
  }

  int handle() const { return handle_; }
  std::string Path(std::string_view name) const { return absl::StrCat(path_, "/", name); }
  void Write(std::string_view name, std::string_view content) const {
    std::ofstream(Path(name), std::ios::binary | std::ios::trunc) << content;
  }
  std::string Read(std::string_view name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void MakeDirectory(std::string_view name) const {
    CHECK(std::filesystem::create_directories(Path(name)));
  }
  bool Has(std::string_view name) const {
    struct stat info;
    return lstat(Path(name).c_str(), &info) == 0;
  }
  struct stat Look(std::string_view name) const {
    struct stat info;
    CHECK(lstat(Path(name).c_str(), &info) == 0) << name;
    return info;
  }
  // Entries, those of subdirectories too.
  int Count() const {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      static_cast<void>(entry);
      ++count;
    }
    return count;
  }

 private:
  std::string path_;
  int handle_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_TEST_FOLDER_H_

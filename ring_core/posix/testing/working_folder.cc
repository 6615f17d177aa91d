#include "ring_core/posix/testing/working_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/log/check.h"
#include "gtest/gtest.h"

namespace ioring::posix {

WorkingFolder::WorkingFolder()
    : path_(testing::TempDir() + "/ringXXXXXX"), before_(open(".", O_RDONLY | O_DIRECTORY)) {
  PCHECK(mkdtemp(path_.data()) != nullptr);
  Enter();
}

WorkingFolder::~WorkingFolder() {
  PCHECK(fchdir(before_) == 0);
  close(before_);
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void WorkingFolder::Enter() const { PCHECK(chdir(path_.c_str()) == 0); }

bool WorkingFolder::Has(const char* name) {
  struct stat status;
  return lstat(name, &status) == 0;
}

}  // namespace ioring::posix

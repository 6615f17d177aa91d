#include "ring_core/posix/testing/conformance_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace ioring::posix {
namespace {

constexpr unsigned kPatienceSeconds = 60;

[[noreturn]] void BeChild(int errors, const std::function<bool()>& run) {
  alarm(kPatienceSeconds);
  dup2(errors, STDERR_FILENO);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(SIGABRT, SIG_DFL);  // a sanitizer would report it at length
  _exit(run() ? 0 : 1);
}

}  // namespace

ChildEnd RunInChild(const std::function<bool()>& run) {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  const pid_t child = fork();
  PCHECK(child >= 0);
  if (child == 0) {
    close(ends[0]);
    BeChild(ends[1], run);
  }
  close(ends[1]);
  ChildEnd end;
  char block[4096];
  for (ssize_t size; (size = read(ends[0], block, sizeof(block))) > 0;) {
    end.errors.append(block, static_cast<size_t>(size));
  }
  close(ends[0]);
  int status = 0;
  PCHECK(waitpid(child, &status, 0) == child);
  end.exited = WIFEXITED(status);
  end.code = end.exited ? WEXITSTATUS(status) : WTERMSIG(status);
  return end;
}

void ExpectInChild(const std::function<bool()>& run) {
  const ChildEnd end = RunInChild(run);
  EXPECT_TRUE(end.exited && end.code == 0)
      << (end.exited ? "the child exited with " : "the child died of signal ") << end.code << "\n"
      << end.errors;
}

void ExpectDiesInChild(const std::function<void()>& run, const std::string& what) {
  const ChildEnd end = RunInChild([&] {
    run();
    return true;
  });
  EXPECT_FALSE(end.exited) << "the child exited with " << end.code;
  EXPECT_TRUE(end.exited || end.code == SIGABRT) << "the child died of signal " << end.code;
  EXPECT_TRUE(absl::StrContains(end.errors, what)) << end.errors;
}

std::vector<int> OpenDescriptors() {
  constexpr int kHighest = 1024;
  std::vector<int> open;
  for (int fd = 0; fd < kHighest; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) open.push_back(fd);
  }
  return open;
}

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

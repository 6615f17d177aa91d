#include "process/testing/forked_child.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

// Calls again where the call is interrupted: a signal does that, and so does what the kernel
// completes for a ring of this thread.
template <typename Call>
auto Uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::string ReadToEnd(int descriptor) {
  std::string bytes;
  char block[4096];
  const auto read_block = [&] { return read(descriptor, block, sizeof(block)); };
  for (ssize_t size; (size = Uninterrupted(read_block)) > 0;) {
    bytes.append(block, static_cast<size_t>(size));
  }
  return bytes;
}

[[noreturn]] void BeChild(const std::function<int()>& body) {
  constexpr unsigned kPatienceSeconds = 50;
  alarm(kPatienceSeconds);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(SIGABRT, SIG_DFL);  // a sanitizer would report it at length
  _exit(body());
}

// Runs `body` in a child, which exits with what it returns. `output` is what the child writes to
// the descriptor that `body` is called with.
ChildEnd RunWithPipe(const std::function<int(int)>& body) {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  const pid_t child = fork();
  PCHECK(child >= 0);
  if (child == 0) {
    close(ends[0]);
    BeChild([&] { return body(ends[1]); });
  }
  close(ends[1]);
  ChildEnd end;
  end.output = ReadToEnd(ends[0]);
  close(ends[0]);
  int status = 0;
  PCHECK(Uninterrupted([&] { return waitpid(child, &status, 0); }) == child);
  end.exited = WIFEXITED(status);
  end.code = end.exited ? WEXITSTATUS(status) : WTERMSIG(status);
  return end;
}

pid_t Start(const std::function<void()>& body) {
  const pid_t child = fork();
  PCHECK(child >= 0);
  if (child == 0) {
    BeChild([&] {
      body();
      return 0;
    });
  }
  return child;
}

}  // namespace

std::string ChildEnd::ToString() const {
  return absl::StrCat(exited ? "the child exited with " : "the child died of signal ", code);
}

ChildEnd RunInChild(const std::function<bool()>& body) {
  return RunWithPipe([&](int errors) {
    dup2(errors, STDERR_FILENO);
    return body() ? 0 : 1;
  });
}

std::string AnswerOfChild(const std::function<std::string()>& body) {
  const ChildEnd end = RunWithPipe([&](int answers) {
    const std::string answer = body();
    const ssize_t written = write(answers, answer.data(), answer.size());
    return written == static_cast<ssize_t>(answer.size()) ? 0 : 1;
  });
  return end.succeeded() ? end.output : end.ToString();
}

void ExpectInChild(const std::function<bool()>& body) {
  const ChildEnd end = RunInChild(body);
  EXPECT_TRUE(end.succeeded()) << end.ToString() << "\n" << end.output;
}

void ExpectDiesInChild(const std::function<void()>& body, const std::string& what) {
  const ChildEnd end = RunInChild([&] {
    body();
    return true;
  });
  EXPECT_TRUE(!end.exited && end.code == SIGABRT) << end.ToString();
  EXPECT_TRUE(absl::StrContains(end.output, what)) << end.output;
}

RunningChild::RunningChild(const std::function<void()>& body) : pid_(Start(body)) {}

void RunningChild::Kill() {
  if (waited_) return;
  waited_ = true;
  kill(pid_, SIGKILL);
  PCHECK(Uninterrupted([&] { return waitpid(pid_, nullptr, 0); }) == pid_);
}

Neighbours::Neighbours() {
  for (size_t bytes : {size_t{4} << 20, size_t{256} << 10, size_t{64} << 10, size_t{4096}}) {
    for (int i = 0; i < 64; ++i) {
      void* const memory =
          mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory != MAP_FAILED) all_.push_back({static_cast<std::byte*>(memory), bytes});
    }
  }
}

void Neighbours::Use() const {
  for (const std::span<std::byte> memory : all_) {
    for (size_t at = 0; at < memory.size(); at += 4096) {
      *const_cast<volatile std::byte*>(&memory[at]) = std::byte{1};
    }
  }
}

}  // namespace ioring

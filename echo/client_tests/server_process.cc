#include "echo/client_tests/server_process.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

constexpr std::string_view kReadyText = "listening on ";
// What a program that could not be started leaves behind.
constexpr int kCannotStart = 127;

[[noreturn]] void ChildFails(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
  _exit(kCannotStart);
}

void LimitChild(__rlimit_resource resource, std::optional<rlim_t> limit) {
  if (!limit.has_value()) return;
  const rlimit both = {*limit, *limit};
  if (setrlimit(resource, &both) < 0) ChildFails("setrlimit");
}

// Between fork and exec. The program is opened before root is given up: the folders above
// it may be closed to other users.
[[noreturn]] void RunChild(const ServerProcess::Options& options, char* const* arguments,
                           pid_t parent) {
  const int program = open(arguments[0], O_RDONLY);
  if (program < 0) ChildFails(arguments[0]);
  if (options.cpu.has_value()) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(*options.cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0) ChildFails("sched_setaffinity");
  }
  LimitChild(RLIMIT_MEMLOCK, options.locked_memory_bytes_max);
  LimitChild(RLIMIT_NOFILE, options.descriptors_max);
  if (options.user.has_value()) {
    const uid_t user = *options.user;
    if (setgroups(0, nullptr) < 0) ChildFails("setgroups");
    if (setresgid(user, user, user) < 0) ChildFails("setresgid");
    if (setresuid(user, user, user) < 0) ChildFails("setresuid");
  }
  setpgid(0, 0);  // what it starts can be found, and an interrupt from the terminal is not for it
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotStart);
  fexecve(program, arguments, environ);
  ChildFails(arguments[0]);
}

int ExitCode(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

}  // namespace

std::unique_ptr<ServerProcess> ServerProcess::Spawn(const Options& options) {
  CHECK(!options.command.empty());
  std::vector<std::string> words = options.command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int ends[2];
  PCHECK(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  PCHECK(pid >= 0);
  if (pid == 0) {
    if (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0) _exit(kCannotStart);
    RunChild(options, arguments.data(), parent);
  }
  close(ends[1]);
  std::unique_ptr<ServerProcess> server(new ServerProcess);
  server->pid_ = pid;
  server->reader_ = std::thread([raw = server.get(), pipe = ends[0]] { raw->ReadOutput(pipe); });
  return server;
}

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const Options& options) {
  std::unique_ptr<ServerProcess> server = Spawn(options);
  absl::Status ready = server->FindAddress(options.start_deadline);
  if (!ready.ok()) return ready;
  return server;
}

std::string ServerProcess::Run(const Options& options, int& exit_code) {
  std::unique_ptr<ServerProcess> process = Spawn(options);
  exit_code = process->WaitForExit(options.start_deadline).value_or(-SIGKILL);
  return process->Output();
}

ServerProcess::~ServerProcess() { WaitForExit(absl::ZeroDuration()); }

void ServerProcess::ReadOutput(int pipe) {
  char chunk[4096];
  for (;;) {
    const ssize_t bytes = read(pipe, chunk, sizeof(chunk));
    if (bytes < 0 && errno == EINTR) continue;
    absl::MutexLock lock(&mutex_);
    if (bytes <= 0) {
      ended_ = true;
      break;
    }
    output_.append(chunk, static_cast<size_t>(bytes));
  }
  close(pipe);
}

absl::Status ServerProcess::FindAddress(absl::Duration deadline) {
  absl::MutexLock lock(&mutex_);
  size_t begin = 0;
  size_t end = 0;
  const auto found = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    begin = output_.find(kReadyText);
    if (begin == std::string::npos) return false;
    begin += kReadyText.size();
    end = output_.find_first_of(" ,;\n", begin);
    return end != std::string::npos;
  };
  const auto found_or_ended = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return found() || ended_;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&found_or_ended), deadline);
  if (!found()) {
    return absl::FailedPreconditionError(
        absl::StrCat(ended_ ? "the server ended: " : "the server is not ready: ", output_));
  }
  address_ = output_.substr(begin, end - begin);
  return absl::OkStatus();
}

std::string ServerProcess::Output() const {
  absl::MutexLock lock(&mutex_);
  return output_;
}

bool ServerProcess::WaitForOutput(const std::string& text, absl::Duration deadline) const {
  absl::MutexLock lock(&mutex_);
  const auto found_or_ended = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ended_ || output_.find(text) != std::string::npos;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&found_or_ended), deadline);
  return output_.find(text) != std::string::npos;
}

void ServerProcess::Signal(int signal) const {
  if (!exit_code_.has_value()) kill(pid_, signal);
}

std::optional<int> ServerProcess::WaitForExit(absl::Duration deadline) {
  if (!reader_.joinable()) return exit_code_;
  bool in_time = false;
  {
    absl::MutexLock lock(&mutex_);
    in_time = mutex_.AwaitWithTimeout(absl::Condition(&ended_), deadline);
  }
  if (!in_time) kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reader_.join();
  if (in_time) exit_code_ = ExitCode(status);
  return exit_code_;
}

absl::Duration ServerProcess::CpuTime() const {
  clockid_t clock = 0;
  timespec time = {};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    return absl::ZeroDuration();
  }
  return absl::DurationFromTimespec(time);
}

}  // namespace ioring

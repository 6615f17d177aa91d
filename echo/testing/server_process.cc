#include "echo/testing/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string_view>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/child_process.h"
#include "process/mutex_lock.h"
#include "process/process_cpu.h"

namespace ioring {
namespace {

constexpr std::string_view kReadyText = "listening on ";

int ExitCode(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

}  // namespace

std::unique_ptr<ServerProcess> ServerProcess::Spawn(const Options& options) {
  CHECK(!options.command.empty());
  std::vector<std::string> words = options.command;
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int ends[2];
  OpenPipe(ends);
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
    process::MutexLock lock(mutex_);
    if (bytes <= 0) {
      ended_ = true;
      break;
    }
    output_.append(chunk, static_cast<size_t>(bytes));
  }
  close(pipe);
}

absl::Status ServerProcess::FindAddress(absl::Duration deadline) {
  process::MutexLock lock(mutex_);
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
  process::MutexLock lock(mutex_);
  return output_;
}

bool ServerProcess::WaitForOutput(const std::string& text, absl::Duration deadline) const {
  process::MutexLock lock(mutex_);
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
    process::MutexLock lock(mutex_);
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
  return ProcessCpuTime(pid_).value_or(absl::ZeroDuration());
}

}  // namespace ioring

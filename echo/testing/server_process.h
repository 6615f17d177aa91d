// ServerProcess: a server program as a child process, for tests and measurements.
//
//   auto server = ServerProcess::Start({.command = {"echo/server/server",
//   "--listen=127.0.0.1:0"}}); Talk((*server)->address());
//   (*server)->Signal(SIGTERM);
//   EXPECT_EQ((*server)->WaitForExit(absl::Seconds(10)), 0);
//
// The program must print "listening on ADDRESS" when it is ready. It does not outlive the
// object, nor, on Linux, the thread that started it. Thread rule: one thread. POSIX only.
#ifndef IORING_ECHO_TESTING_SERVER_PROCESS_H_
#define IORING_ECHO_TESTING_SERVER_PROCESS_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ioring {

class ServerProcess {
 public:
  struct Options {
    // The program, as a path, and its arguments.
    std::vector<std::string> command;
    // Runs on this processor only. Linux only.
    std::optional<int> cpu;
    // Gives up root for this user (and group), before the program starts.
    std::optional<uid_t> user;
    // Limits for the program, soft and hard.
    std::optional<rlim_t> locked_memory_bytes_max;
    std::optional<rlim_t> descriptors_max;
    absl::Duration start_deadline = absl::Seconds(30);
  };

  // Returns when the program listens. FailedPrecondition, with all that it printed, when
  // it ended instead.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const Options& options);

  // Runs a program to its end. What it printed, and in `exit_code` what WaitForExit returns.
  static std::string Run(const Options& options, int& exit_code);

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  // Kills the program if it still runs.
  ~ServerProcess();

  // Stays the same after the program has ended.
  pid_t pid() const { return pid_; }
  // Where it listens, as it printed it: "127.0.0.1:41234", "unix:/tmp/x".
  const std::string& address() const { return address_; }
  // What it has printed so far, to both of its outputs.
  std::string Output() const;
  // Waits until what it printed contains `text`; false after `deadline`, or when it ended
  // without.
  bool WaitForOutput(const std::string& text, absl::Duration deadline) const;

  void Signal(int signal) const;
  // The exit code; the negative signal where one ended it; nothing where it was killed
  // because `deadline` had passed. May be called again.
  std::optional<int> WaitForExit(absl::Duration deadline);

  // CPU time of all its threads. Only while it runs; 0 where the system does not tell.
  absl::Duration CpuTime() const;

 private:
  ServerProcess() = default;
  static std::unique_ptr<ServerProcess> Spawn(const Options& options);
  void ReadOutput(int pipe);
  absl::Status FindAddress(absl::Duration deadline);

  pid_t pid_ = -1;
  std::string address_;
  std::optional<int> exit_code_;
  std::thread reader_;
  mutable absl::Mutex mutex_;
  std::string output_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // both of its outputs are closed
};

}  // namespace ioring

#endif  // IORING_ECHO_TESTING_SERVER_PROCESS_H_

// ServerThreads: echo servers on threads of their own, all on one port.
//
// Threads: Stop is for any thread and for signal handlers, the rest for one thread.
#ifndef IORING_ECHO_SERVER_SERVER_THREADS_H_
#define IORING_ECHO_SERVER_SERVER_THREADS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "echo/server/server.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"

namespace ioring {

class ServerThreads {
 public:
  // `count` servers, at least 1, with these options. All listen when it returns.
  static absl::StatusOr<std::unique_ptr<ServerThreads>> Create(ServerOptions options,
                                                               uint32_t count);
  ServerThreads(const ServerThreads&) = delete;
  ServerThreads& operator=(const ServerThreads&) = delete;
  // Not between Start, whatever that returns, and Join.
  ~ServerThreads() = default;

  // Once. ResourceExhausted: the system has too few threads. Then the servers that have started
  // are stopped, and Join waits for these.
  absl::Status Start();
  // Every server drains and ends. More than once is as once.
  void Stop();
  // Waits until all have ended, or `timeout` has passed by the steady clock. True: all have.
  bool WaitUntilEnded(absl::Duration timeout);
  // Waits until all have ended, and destroys them: nobody may call Stop any more. Returns
  // the first error, if any; then servers with operations in flight stay in memory.
  absl::Status Join();

  // Until Join.
  const std::vector<std::unique_ptr<EchoServer>>& servers() const { return servers_; }
  ServerStatistics Total() const;

 private:
  explicit ServerThreads(std::vector<std::unique_ptr<EchoServer>> servers)
      : servers_(std::move(servers)) {}

  bool AllEnded() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return ended_ == threads_.size(); }
  absl::Status StartThreads();
  void RunServer(std::unique_ptr<EchoServer>& server);

  std::vector<std::unique_ptr<EchoServer>> servers_;
  std::vector<std::thread> threads_;
  absl::Mutex mutex_;
  size_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;  // servers may be destroyed
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_SERVER_THREADS_H_

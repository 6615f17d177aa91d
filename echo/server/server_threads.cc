#include "echo/server/server_threads.h"

#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "echo/server/server.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "process/mutex_lock.h"

namespace ioring {

absl::StatusOr<std::unique_ptr<ServerThreads>> ServerThreads::Create(ServerOptions options,
                                                                     uint32_t count) {
  CHECK_GT(count, 0u) << "a server needs a thread";
  std::vector<std::unique_ptr<EchoServer>> servers;
  if (count > 1 && options.listen.port() != 0) {
    // Where ports are shared, a system would share this one with another program of the user's,
    // too, and that would take a part of the connections.
    options.share_port = false;
    const absl::StatusOr<std::unique_ptr<EchoServer>> alone = EchoServer::Create(options);
    if (!alone.ok()) return alone.status();
  }
  options.share_port = count > 1;
  for (uint32_t i = 0; i < count; ++i) {
    absl::StatusOr<std::unique_ptr<EchoServer>> server = EchoServer::Create(options);
    if (!server.ok()) return server.status();
    // With port 0, the others take the port that the first one got.
    options.listen = (*server)->endpoint();
    servers.push_back(*std::move(server));
  }
  return std::unique_ptr<ServerThreads>(new ServerThreads(std::move(servers)));
}

absl::Status ServerThreads::Start() {
  absl::Status status = StartThreads();
  // They end as soon as they run.
  if (!status.ok()) Stop();
  return status;
}

absl::Status ServerThreads::StartThreads() {
  process::MutexLock lock(mutex_);
  threads_.reserve(servers_.size());
  for (std::unique_ptr<EchoServer>& server : servers_) {
    try {
      threads_.emplace_back([this, &server] { RunServer(server); });
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "only ", threads_.size(), " of ", servers_.size(), " threads can be started (",
          error.code().message(), "): raise the limits (ulimit -u, ulimit -v) or lower --threads"));
    }
  }
  return absl::OkStatus();
}

// A ring is its thread's, to its end: so each thread destroys its server, but only when
// nobody asks it for anything any more.
void ServerThreads::RunServer(std::unique_ptr<EchoServer>& server) {
  const absl::Status status = server->Run();
  if (!status.ok()) Stop();
  {
    process::MutexLock lock(mutex_);
    status_.Update(status);
    ++ended_;
    mutex_.Await(absl::Condition(&released_));
  }
  // Operations that did not end use its memory.
  if (!status.ok()) static_cast<void>(server.release());
  server.reset();
}

void ServerThreads::Stop() {
  for (const std::unique_ptr<EchoServer>& server : servers_) server->Stop();
}

bool ServerThreads::WaitUntilEnded(absl::Duration timeout) {
  process::MutexLock lock(mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(this, &ServerThreads::AllEnded), timeout);
}

absl::Status ServerThreads::Join() {
  WaitUntilEnded(absl::InfiniteDuration());
  {
    process::MutexLock lock(mutex_);
    released_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  process::MutexLock lock(mutex_);
  return status_;
}

ServerStatistics ServerThreads::Total() const {
  ServerStatistics total;
  for (const std::unique_ptr<EchoServer>& server : servers_) total += server->GetStatistics();
  return total;
}

}  // namespace ioring

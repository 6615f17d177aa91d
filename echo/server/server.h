// EchoServer: sends every connection's bytes back to it, on one ring and one thread.
//
//   absl::StatusOr<std::unique_ptr<EchoServer>> server = EchoServer::Create(options);
//   if (!server.ok()) return server.status();
//   (*server)->Run();  // until somebody calls (*server)->Stop()
//
// Threads: Run binds the server to its thread, which also destroys it. Stop and the
// reports are for any thread, Stop also for signal handlers. ServerThreads (see
// server_threads.h) runs several on one port.
// Cost: after a connection is set up, echoing allocates nothing, makes no system call but
// the ring's, and reads no clock, as long as the buffer group is not short of buffers.
#ifndef IORING_ECHO_SERVER_SERVER_H_
#define IORING_ECHO_SERVER_SERVER_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "ring/capability.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

class EchoServer {
 public:
  // Listens when it returns. Errors say in a sentence what is wrong and what to do.
  static absl::StatusOr<std::unique_ptr<EchoServer>> Create(const ServerOptions& options);

  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  // By Run's thread, once it has run.
  virtual ~EchoServer() = default;

  // Serves until it is stopped and has drained. Once. DeadlineExceeded: operations could
  // not be brought to an end, and the server must not be destroyed.
  virtual absl::Status Run() = 0;
  // Stops accepting; gives what is in flight options.drain_deadline to finish: each
  // connection gets back what was received, then FIN. Then Run returns.
  void Stop();

  // Where it listens, with the port that it took.
  const Endpoint& endpoint() const { return endpoint_; }
  // Which backend was chosen, and the same with why.
  std::string_view backend_name() const { return ring_->BackendName(); }
  const std::string& backend_report() const { return backend_report_; }
  // Why the kernel refused to register memory; empty where it did not.
  std::string registration_problem() const { return registration_problem_; }
  const CapabilityReport& capabilities() const { return ring_->Capabilities(); }
  // Of one buffer, as rounded.
  virtual uint32_t buffer_bytes() const = 0;

  virtual ServerStatistics GetStatistics() const = 0;
  // The state of the engine's memory, one line.
  virtual std::string MemoryReport() const = 0;

 protected:
  EchoServer() = default;

  // Counters of its own and of the ring.
  ServerStatistics CommonStatistics() const;

  std::unique_ptr<Ring> ring_;
  std::string backend_report_;
  std::string registration_problem_;
  ListenerId listener_;
  Endpoint endpoint_;
  ServerCounters counters_;
  std::atomic<bool> stop_asked_{false};
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_SERVER_H_

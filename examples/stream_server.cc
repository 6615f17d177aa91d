#include "examples/stream_server.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "examples/example_main.h"
#include "pool/buffer_group.h"
#include "program/program_output.h"
#include "ring/acceptor.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/retries.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

// What peers have to take their replies after a request to stop.
constexpr std::chrono::seconds kGraceTime{5};
// Longer than a graceful close takes.
constexpr std::chrono::seconds kDrainTime{10};

constexpr uint32_t kConnectionsMax = 1000;
// Of a connection's replies that wait to be sent: from there on no request is answered.
constexpr size_t kOutputBytesMax = size_t{256} << 10;

class StreamServer {
 public:
  // Listens.
  static absl::StatusOr<std::unique_ptr<StreamServer>> Create(
      const Endpoint& listen, std::chrono::nanoseconds longest_silence,
      ProtocolFactory make_protocol) {
    RingOptions options;
    options.max_connections = kConnectionsMax;
    // Two deadlines, a cancel and a close for each connection, and a few others.
    options.max_operations = 4 * kConnectionsMax + 64;
    options.wake_token = MakeToken(Kind::kStop);
    absl::StatusOr<CreatedRing> created = CreateRing(options);
    if (!created.ok()) return created.status();
    std::unique_ptr<StreamServer> server(
        new StreamServer(longest_silence, std::move(make_protocol), *std::move(created)));
    server->connections_.resize(ConnectionIndexEnd(options));
    if (absl::Status status = server->Start(listen); !status.ok()) return status;
    return server;
  }

  // Prints "listening on ADDRESS; BACKEND", and serves until the program is asked to stop. Once.
  absl::Status Run() {
    const StopWakes stop_wakes(*ring_);
    absl::StatusOr<Endpoint> endpoint = ring_->LocalEndpoint(listener_);
    if (!endpoint.ok()) return endpoint.status();
    absl::PrintF("listening on %s; %s\n", endpoint->ToString(), report_);
    if (absl::Status status = FlushOutput(); !status.ok()) return status;
    acceptor_.Start(listener_);
    while (!given_up_ && !(stopping_ && open_ == 0)) {
      ring_->SubmitAndWait();
      for (const Completion& done : ring_->Completions()) Handle(done);
      retries_.Offer();
    }
    retries_.Clear();
    return Drain(*ring_, std::chrono::steady_clock::now() + kDrainTime);
  }

 private:
  enum class Kind : uint8_t {
    kAccept,
    kRecv,
    kSend,
    kDeadline,
    kCancel,
    kClose,
    kStop,
    kGiveUp,
  };
  struct Connection {
    ConnectionId id;
    std::unique_ptr<Protocol> protocol;
    std::string input;    // received, and not consumed
    std::string output;   // to be sent next
    std::string sending;  // belongs to the ring while `send_in_flight`
    size_t sent = 0;      // of `sending`
    bool receiving = false;
    bool pausing = false;  // its receive is being cancelled
    bool send_in_flight = false;
    bool input_ended = false;
    bool closing = false;  // once all is sent
    bool close_prepared = false;
  };

  StreamServer(std::chrono::nanoseconds longest_silence, ProtocolFactory make_protocol,
               CreatedRing created)
      : longest_silence_(longest_silence),
        make_protocol_(std::move(make_protocol)),
        report_(std::move(created.report)),
        ring_(std::move(created.ring)),
        retries_(*ring_),
        acceptor_(retries_, MakeToken(Kind::kAccept)) {}

  absl::Status Start(const Endpoint& listen) {
    // A buffer is returned as soon as it was copied from, so that few serve all.
    absl::StatusOr<std::unique_ptr<BufferGroup>> group =
        BufferGroup::Create(*ring_, {.buffer_bytes = 16 << 10,
                                     .initial_buffers = 64,
                                     .when_empty = BufferGroup::WhenEmpty::kWait,
                                     .use = BufferUse::kSockets});
    if (!group.ok()) return group.status();
    group_ = *std::move(group);
    absl::StatusOr<ListenerId> listener = ring_->CreateListener(listen, {});
    if (!listener.ok()) return listener.status();
    listener_ = *listener;
    return absl::OkStatus();
  }

  // All that a connection has in flight completes before its close does.
  void Handle(const Completion& done) {
    const uint32_t index = IndexOf(done.token);
    switch (KindOf<Kind>(done.token)) {
      case Kind::kAccept:
        return OnAccept(done);
      case Kind::kRecv:
        return OnRecv(*connections_[index], done);
      case Kind::kSend:
        return OnSend(*connections_[index], done);
      case Kind::kDeadline:
      case Kind::kCancel:
        return;  // what they stop says so itself
      case Kind::kClose:
        connections_[index] = nullptr;
        --open_;
        return;
      case Kind::kStop:
        return OnStop();
      case Kind::kGiveUp:
        given_up_ = true;
        return;
    }
  }

  void OnAccept(const Completion& done) {
    if (acceptor_.Handle(done) != AcceptOutcome::kAccepted) return;
    const ConnectionId id = done.connection();
    std::unique_ptr<Connection>& place = connections_[id.index];
    place = std::make_unique<Connection>();
    place->id = id;
    place->protocol = make_protocol_();
    place->closing = stopping_;
    ++open_;
    GoOn(*place);
  }

  void OnRecv(Connection& connection, const Completion& done) {
    const bool pausing = connection.pausing;
    if (!done.more()) connection.receiving = connection.pausing = false;
    if ((done.flags & kBuffer) != 0) {
      const ManagedLease lease = group_->Take(done);
      if (!connection.closing) {
        const std::span<const std::byte> bytes = lease.bytes();
        connection.input.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      }
    } else if (done.result == 0) {
      connection.input_ended = true;
    } else if (done.error() != Error::kCanceled) {
      return Close(connection, CloseMode::kReset);
    } else if (!pausing && !connection.send_in_flight) {
      // Its deadline struck. (A peer that still reads its replies may be silent.)
      return Close(connection, CloseMode::kGraceful);
    }
    GoOn(connection);
  }

  void OnSend(Connection& connection, const Completion& done) {
    connection.send_in_flight = false;
    // Cancelled by its deadline: the peer takes nothing, or too little.
    if (!done.ok()) return Close(connection, CloseMode::kReset);
    connection.sent += static_cast<size_t>(done.result);
    GoOn(connection);
  }

  void OnStop() {
    if (std::exchange(stopping_, true)) return;
    acceptor_.Stop();
    CHECK_OK(ring_->CloseListener(listener_));
    for (const std::unique_ptr<Connection>& connection : connections_) {
      if (connection == nullptr) continue;
      connection->closing = true;
      GoOn(*connection);
    }
    retries_.Prepare([](Ring& on) {
      return on.PrepareTimeout(kGraceTime, Shots::kOneShot, MakeToken(Kind::kGiveUp));
    });
  }

  // Answers the requests that are complete, as long as there is room for replies.
  void Answer(Connection& connection) {
    size_t consumed = 0;
    while (!connection.closing && connection.output.size() < kOutputBytesMax &&
           consumed < connection.input.size()) {
      const std::string_view input = std::string_view(connection.input).substr(consumed);
      const Reply reply = connection.protocol->OnInput(input, connection.output);
      connection.closing = reply.close;
      if (reply.consumed == 0) {
        // Nothing will complete it.
        connection.closing |= connection.input_ended || input.size() >= kInputBytesMax;
        break;
      }
      consumed += reply.consumed;
    }
    connection.input.erase(0, connection.closing ? connection.input.size() : consumed);
  }

  // Prepares what the connection's state calls for.
  void GoOn(Connection& connection) {
    if (connection.close_prepared) return;
    Answer(connection);
    if (!connection.send_in_flight) Send(connection);
    // (Requests that wait for room are answered once the send has completed.)
    if (!connection.send_in_flight &&
        (connection.closing || (connection.input_ended && connection.input.empty()))) {
      return Close(connection, CloseMode::kGraceful);
    }
    const bool full = connection.input.size() >= kInputBytesMax;
    if (connection.receiving) {
      if (full && !connection.pausing) Pause(connection);
    } else if (!full && !connection.input_ended) {
      Receive(connection);
    }
  }

  void Receive(Connection& connection) {
    connection.receiving = true;
    const ConnectionId id = connection.id;
    retries_.Prepare([id, group = group_->id()](Ring& on) {
      return on.PrepareRecvManaged(id, group, Shots::kMultishot, MakeToken(Kind::kRecv, id));
    });
    retries_.Prepare([id, silence = longest_silence_](Ring& on) {
      return on.PrepareDeadline(id, Direction::kRecv, silence, MakeToken(Kind::kDeadline));
    });
  }

  void Pause(Connection& connection) {
    connection.pausing = true;
    retries_.Prepare([id = connection.id](Ring& on) {
      return on.PrepareCancelConnection(id, Direction::kRecv, MakeToken(Kind::kCancel));
    });
  }

  // A send takes what the system has room for. The rest is the next one's, with a deadline of its
  // own: a peer may read slowly, but within that time the system must get room for more.
  void Send(Connection& connection) {
    if (connection.sent == connection.sending.size()) {
      connection.sending.clear();
      connection.sending.swap(connection.output);
      connection.sent = 0;
      if (connection.sending.empty()) return;
    }
    connection.send_in_flight = true;
    const ConnectionId id = connection.id;
    const auto rest = std::as_bytes(std::span(connection.sending)).subspan(connection.sent);
    retries_.Prepare(
        [id, rest](Ring& on) { return on.PrepareSend(id, rest, MakeToken(Kind::kSend, id)); });
    retries_.Prepare([id, stall = longest_silence_](Ring& on) {
      return on.PrepareDeadline(id, Direction::kSend, stall, MakeToken(Kind::kDeadline));
    });
  }

  void Close(Connection& connection, CloseMode mode) {
    if (std::exchange(connection.close_prepared, true)) return;
    retries_.Prepare([id = connection.id, mode](Ring& on) {
      return on.PrepareClose(id, mode, MakeToken(Kind::kClose, id));
    });
  }

  const std::chrono::nanoseconds longest_silence_;
  const ProtocolFactory make_protocol_;
  const std::string report_;
  const std::unique_ptr<Ring> ring_;
  std::unique_ptr<BufferGroup> group_;
  Retries retries_;
  Acceptor acceptor_;
  ListenerId listener_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by ConnectionId::index
  uint32_t open_ = 0;
  bool stopping_ = false;
  bool given_up_ = false;
};

absl::Status ParseAndServe(int argc, char** argv, ProtocolFactory make_protocol) {
  if (absl::Status status = BeginOutput(); !status.ok()) return status;
  if (argc > 3) return absl::InvalidArgumentError("the arguments are [ADDRESS [SILENCE_SECONDS]]");
  absl::StatusOr<Endpoint> listen = Endpoint::Parse(argc > 1 ? argv[1] : "127.0.0.1:0");
  if (!listen.ok()) return listen.status();
  std::chrono::nanoseconds longest_silence = std::chrono::seconds(60);
  if (argc > 2) {
    absl::Status status = ParseSeconds(argv[2], longest_silence);
    if (!status.ok()) return status;
  }
  absl::StatusOr<std::unique_ptr<StreamServer>> server =
      StreamServer::Create(*listen, longest_silence, std::move(make_protocol));
  if (!server.ok()) return server.status();
  return (*server)->Run();
}

}  // namespace

int StreamMain(std::string_view program, int argc, char** argv, ProtocolFactory make_protocol) {
  return ExitCode(program, ParseAndServe(argc, argv, std::move(make_protocol)));
}

}  // namespace ioring

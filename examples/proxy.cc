// A TCP proxy: what either side sends goes to the other, from where it was received.
//
//   proxy UPSTREAM [ADDRESS [SILENCE_SECONDS [PAIRS]]]
//
// It listens on ADDRESS (127.0.0.1:0 unless said), and connects to UPSTREAM for each client. There
// are PAIRS of both at once (500 unless said); clients beyond these are reset. Each way has one
// piece in flight: it is received, sent, and then the next one is received. So a reader that is
// slow slows its writer, and keeps one buffer of memory. An end (FIN) is passed on, and the other
// way goes on. A pair that is silent both ways for SILENCE_SECONDS is closed. One where the
// system has had no room for a piece for so long is reset: its reader takes nothing, or too little.
// (Linux says that there is room when a third of its buffer, up to 1.4 MB, was read: with 60 s a
// reader must take 24 kB/s.)
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/example_main.h"
#include "pool/buffer_group.h"
#include "process/process_limits.h"
#include "program/program_output.h"
#include "ring/acceptor.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/error_status.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/retries.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using std::chrono::steady_clock;

// For clients that are refused, until they are closed.
constexpr uint32_t kSpareConnections = 64;
constexpr uint32_t kBuffersMin = 64;
constexpr std::chrono::seconds kConnectTime{10};
constexpr std::chrono::seconds kComplaintInterval{1};
// What readers have to take the pieces in flight after a request to stop.
constexpr std::chrono::seconds kGraceTime{5};
// Longer than a graceful close takes.
constexpr std::chrono::seconds kDrainTime{10};

struct ProxyOptions {
  Endpoint upstream;
  Endpoint listen = Endpoint::Ipv4Loopback(0);
  std::chrono::nanoseconds longest_silence = std::chrono::seconds(60);
  uint32_t pairs_max = 500;
};

class Proxy {
 public:
  static absl::StatusOr<std::unique_ptr<Proxy>> Create(const ProxyOptions& options) {
    RingOptions ring_options;
    ring_options.max_connections = 2 * options.pairs_max + kSpareConnections;
    // For each connection a send, deadlines of send and receive, and a close; and a few others.
    ring_options.max_operations = 5 * ring_options.max_connections + 64;
    ring_options.wake_token = MakeToken(Kind::kStop);
    absl::StatusOr<CreatedRing> created = CreateRing(ring_options);
    if (!created.ok()) return created.status();
    std::unique_ptr<Proxy> proxy(new Proxy(options, *std::move(created)));
    proxy->pairs_.resize(ConnectionIndexEnd(ring_options));
    // Each way may keep a piece of a buffer of its own, so that none waits for another's reader.
    absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(
        *proxy->ring_, {.buffer_bytes = 16 << 10,
                        .initial_buffers = kBuffersMin,
                        .max_buffers = std::max(2 * options.pairs_max, kBuffersMin),
                        .use = BufferUse::kSockets});
    if (!group.ok()) return group.status();
    proxy->group_ = *std::move(group);
    absl::StatusOr<ListenerId> listener = proxy->ring_->CreateListener(options.listen, {});
    if (!listener.ok()) return listener.status();
    proxy->listener_ = *listener;
    return proxy;
  }

  // Serves until the program is asked to stop. Once.
  absl::Status Run() {
    const StopWakes stop_wakes(*ring_);
    absl::StatusOr<Endpoint> endpoint = ring_->LocalEndpoint(listener_);
    if (!endpoint.ok()) return endpoint.status();
    absl::PrintF("listening on %s; to %s; %s\n", endpoint->ToString(), options_.upstream.ToString(),
                 report_);
    if (absl::Status status = FlushOutput(); !status.ok()) return status;
    acceptor_.Start(listener_);
    while (!given_up_ && !(stopping_ && open_ == 0)) {
      ring_->SubmitAndWait();
      for (const Completion& done : ring_->Completions()) Handle(done);
      retries_.Offer();
    }
    retries_.Clear();
    return Drain(*ring_, steady_clock::now() + kDrainTime);
  }

 private:
  // Of a connection, if any, its token has: for what moves bytes, the one that they come from.
  enum class Kind : uint8_t {
    kAccept,
    kConnect,  // the client
    kRecv,
    kSend,
    kShutdown,
    kClose,
    kDeadline,
    kCancel,
    kStop,
    kGiveUp,
  };
  struct Side {
    ConnectionId id;     // not set before it is connected
    ManagedLease piece;  // received from here, and not sent to the other side yet
    bool ended = false;  // its end was passed on
  };
  struct Pair {
    Side client;
    Side upstream;
    steady_clock::time_point moved;  // when last a piece was received or sent
    uint32_t open = 1;               // connections
    bool closing = false;
  };
  // A pair, seen from one of its sides.
  struct Way {
    Pair& pair;
    Side& from;
    Side& to;
  };

  Proxy(const ProxyOptions& options, CreatedRing created)
      : options_(options),
        report_(std::move(created.report)),
        ring_(std::move(created.ring)),
        retries_(*ring_),
        acceptor_(retries_, MakeToken(Kind::kAccept)) {}

  void Handle(const Completion& done) {
    switch (KindOf<Kind>(done.token)) {
      case Kind::kAccept:
        return OnAccept(done);
      case Kind::kConnect:
      case Kind::kRecv:
      case Kind::kSend:
      case Kind::kShutdown:
        return HandleOfPair(done);
      case Kind::kClose:
        return OnClose(IndexOf(done.token));
      case Kind::kDeadline:
      case Kind::kCancel:
        return;  // what they stop says so itself
      case Kind::kStop:
        return OnStop();
      case Kind::kGiveUp:
        given_up_ = true;
        return;
    }
  }

  void HandleOfPair(const Completion& done) {
    const ConnectionId id = ConnectionOf(done.token);
    // Kept until this is done with it.
    const std::shared_ptr<Pair> pair = pairs_[id.index];
    // A send to the other side may complete after the close of the side that it is from.
    if (pair == nullptr || (pair->client.id != id && pair->upstream.id != id)) return;
    const bool from_client = pair->client.id == id;
    const Way way = {.pair = *pair,
                     .from = from_client ? pair->client : pair->upstream,
                     .to = from_client ? pair->upstream : pair->client};
    switch (KindOf<Kind>(done.token)) {
      case Kind::kConnect:
        return OnConnect(*pair, done);
      case Kind::kRecv:
        return OnRecv(way, done);
      case Kind::kSend:
        return OnSend(way, done);
      default:
        return OnShutdown(way, done);
    }
  }

  void OnAccept(const Completion& done) {
    const AcceptOutcome outcome = acceptor_.Handle(done);
    if (outcome == AcceptOutcome::kRefused) SayThatPairsAreAll();
    if (outcome != AcceptOutcome::kAccepted) return;
    const ConnectionId id = done.connection();
    ++open_;
    if (stopping_ || pair_count_ == options_.pairs_max) return Refuse(id);
    pairs_[id.index] = std::make_shared<Pair>();
    pairs_[id.index]->client.id = id;
    ++pair_count_;
    Connect(id);
  }

  std::string WhyNotConnected(Error error) const {
    const std::string upstream = options_.upstream.ToString();
    if (error == Error::kCanceled) {  // by its deadline
      return absl::StrCat(upstream, " did not take a connection within ", kConnectTime.count(),
                          " seconds");
    }
    return std::string(ToStatus(error, upstream).message());
  }

  void OnConnect(Pair& pair, const Completion& done) {
    if (!done.ok()) {
      if (!stopping_ && refused_ > 0 && IsShortage(done.error())) {
        return waiting_.push_back(pair.client.id);
      }
      if (!stopping_) Complain(WhyNotConnected(done.error()));
      return Close(pair, CloseMode::kReset);
    }
    pair.upstream.id = done.connection();
    pairs_[pair.upstream.id.index] = pairs_[pair.client.id.index];
    ++pair.open;
    ++open_;
    if (stopping_) return Close(pair, CloseMode::kReset);
    pair.moved = steady_clock::now();
    Receive({.pair = pair, .from = pair.client, .to = pair.upstream}, options_.longest_silence);
    Receive({.pair = pair, .from = pair.upstream, .to = pair.client}, options_.longest_silence);
  }

  void OnRecv(const Way& way, const Completion& done) {
    ManagedLease piece;
    if ((done.flags & kBuffer) != 0) piece = group_->Take(done);
    if (way.pair.closing) return;
    if (piece.is_held()) {
      way.from.piece = std::move(piece);
      way.pair.moved = steady_clock::now();
      return Send(way);
    }
    if (done.result == 0) {
      retries_.Prepare([to = way.to.id, from = way.from.id](Ring& on) {
        return on.PrepareShutdown(to, Direction::kSend, MakeToken(Kind::kShutdown, from));
      });
      return;
    }
    if (done.error() != Error::kCanceled) return Close(way.pair, CloseMode::kReset);
    // Its deadline struck. The other way, or a slow reader, may have moved something meanwhile.
    const auto silence = steady_clock::now() - way.pair.moved;
    if (silence < options_.longest_silence) {
      return Receive(way, options_.longest_silence - silence);
    }
    // An end would tell the reader of an unsent piece that there was no more.
    Close(way.pair, IsSending(way.pair) ? CloseMode::kReset : CloseMode::kGraceful);
  }

  void OnSend(const Way& way, const Completion& done) {
    if (way.pair.closing) return;
    // Short or cancelled where its deadline struck.
    if (done.result != static_cast<int32_t>(way.from.piece.size_bytes())) {
      return Close(way.pair, CloseMode::kReset);
    }
    way.from.piece.Release();
    way.pair.moved = steady_clock::now();
    if (stopping_) return CloseOnceSent(way.pair);
    Receive(way, options_.longest_silence);
  }

  void OnShutdown(const Way& way, const Completion& done) {
    if (way.pair.closing) return;
    if (!done.ok()) return Close(way.pair, CloseMode::kReset);
    way.from.ended = true;
    if (way.to.ended) Close(way.pair, CloseMode::kGraceful);
  }

  void OnClose(uint32_t index) {
    --open_;
    const std::shared_ptr<Pair> pair = std::move(pairs_[index]);
    if (pair == nullptr) return OnRefusedClosed();
    if (--pair->open == 0) --pair_count_;
  }

  // There is an id and a descriptor for a pair that waits for these; after the last refused client
  // there will be no more.
  void OnRefusedClosed() {
    --refused_;
    while (!waiting_.empty()) {
      Connect(waiting_.front());
      waiting_.pop_front();
      if (refused_ > 0) return;
    }
  }

  void OnStop() {
    if (std::exchange(stopping_, true)) return;
    acceptor_.Stop();
    CHECK_OK(ring_->CloseListener(listener_));
    for (const ConnectionId client : std::exchange(waiting_, {})) {
      Close(*pairs_[client.index], CloseMode::kReset);
    }
    for (const std::shared_ptr<Pair>& pair : pairs_) {
      if (pair == nullptr || pair->closing) continue;
      if (pair->upstream.id.is_set()) {
        CloseOnceSent(*pair);
      } else {
        retries_.Prepare([target = MakeToken(Kind::kConnect, pair->client.id)](Ring& on) {
          return on.PrepareCancel(target, MakeToken(Kind::kCancel));
        });
      }
    }
    retries_.Prepare([](Ring& on) {
      return on.PrepareTimeout(kGraceTime, Shots::kOneShot, MakeToken(Kind::kGiveUp));
    });
  }

  void Connect(ConnectionId client) {
    const Token token = MakeToken(Kind::kConnect, client);
    retries_.Prepare(
        [this, token](Ring& on) { return on.PrepareConnect(options_.upstream, token); });
    retries_.Prepare([token](Ring& on) {
      return on.PrepareDeadline(token, kConnectTime, MakeToken(Kind::kDeadline));
    });
  }

  // Receives a piece. `deadline` is when the pair will have been silent for too long.
  void Receive(const Way& way, std::chrono::nanoseconds deadline) {
    const ConnectionId id = way.from.id;
    retries_.Prepare([id, group = group_->id()](Ring& on) {
      return on.PrepareRecvManaged(id, group, Shots::kOneShot, MakeToken(Kind::kRecv, id));
    });
    retries_.Prepare([id, deadline](Ring& on) {
      return on.PrepareDeadline(id, Direction::kRecv, deadline, MakeToken(Kind::kDeadline));
    });
  }

  // Sends all of the piece, however many steps it takes. The deadline is for the system's having
  // room for it, not for each byte that the reader takes.
  void Send(const Way& way) {
    const ConnectionId to = way.to.id;
    const Token token = MakeToken(Kind::kSend, way.from.id);
    retries_.Prepare([to, token, slice = way.from.piece.Slice()](Ring& on) {
      return on.PrepareSendBuffer(to, slice, token, TransferFlags::kAll);
    });
    retries_.Prepare([to, stall = options_.longest_silence](Ring& on) {
      return on.PrepareDeadline(to, Direction::kSend, stall, MakeToken(Kind::kDeadline));
    });
  }

  void Close(Pair& pair, CloseMode mode) {
    if (std::exchange(pair.closing, true)) return;
    for (ConnectionId id : {pair.client.id, pair.upstream.id}) {
      if (id.is_set()) CloseConnection(id, mode);
    }
  }

  void CloseConnection(ConnectionId id, CloseMode mode) {
    retries_.Prepare(
        [id, mode](Ring& on) { return on.PrepareClose(id, mode, MakeToken(Kind::kClose, id)); });
  }

  // Of a client that has no pair.
  void Refuse(ConnectionId id) {
    if (!stopping_) SayThatPairsAreAll();
    ++refused_;
    CloseConnection(id, CloseMode::kReset);
  }

  // A burst of clients may take all ids and descriptors before the first of them is handled. Those
  // beyond the pairs give theirs back at once.
  static bool IsShortage(Error error) {
    return error == Error::kTooManyIds || error == Error::kTooManyFiles;
  }

  void SayThatPairsAreAll() {
    Complain(absl::StrCat("a client is refused: there are ", options_.pairs_max, " pairs"));
  }

  // Says one thing a second at most: who reads standard error may be slow, and hold up everybody.
  void Complain(std::string_view what) {
    const steady_clock::time_point now = steady_clock::now();
    if (now < complain_at_) return;
    complain_at_ = now + kComplaintInterval;
    std::cerr << "proxy: " << what << "\n";
  }

  static bool IsSending(const Pair& pair) {
    return pair.client.piece.is_held() || pair.upstream.piece.is_held();
  }

  void CloseOnceSent(Pair& pair) {
    if (!IsSending(pair)) Close(pair, CloseMode::kGraceful);
  }

  const ProxyOptions options_;
  const std::string report_;
  const std::unique_ptr<Ring> ring_;
  std::unique_ptr<BufferGroup> group_;
  Retries retries_;
  Acceptor acceptor_;
  ListenerId listener_;
  // By ConnectionId::index: both connections of a pair have it, until they are closed.
  std::vector<std::shared_ptr<Pair>> pairs_;
  std::deque<ConnectionId> waiting_;      // clients of pairs, with no connect in flight
  uint32_t open_ = 0;                     // connections
  uint32_t pair_count_ = 0;               // until both connections are closed
  uint32_t refused_ = 0;                  // clients without a pair, being closed
  steady_clock::time_point complain_at_;  // not before
  bool stopping_ = false;
  bool given_up_ = false;
};

absl::Status ParsePairs(std::string_view text, uint32_t& pairs) {
  constexpr uint32_t kPairsMax = 10'000;
  if (absl::SimpleAtoi(text, &pairs) && pairs >= 1 && pairs <= kPairsMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no number of pairs: give 1 to ", kPairsMax));
}

absl::Status ParseAndServe(int argc, char** argv) {
  if (absl::Status status = BeginOutput(); !status.ok()) return status;
  if (argc < 2 || argc > 5) {
    return absl::InvalidArgumentError(
        "the arguments are UPSTREAM [ADDRESS [SILENCE_SECONDS [PAIRS]]]");
  }
  ProxyOptions options;
  const auto parse = [](std::string_view text, Endpoint& endpoint) {
    absl::StatusOr<Endpoint> parsed = Endpoint::Parse(text);
    if (parsed.ok()) endpoint = *parsed;
    return parsed.status();
  };
  absl::Status status = parse(argv[1], options.upstream);
  if (argc > 2) status.Update(parse(argv[2], options.listen));
  if (argc > 3) status.Update(ParseSeconds(argv[3], options.longest_silence));
  if (argc > 4) status.Update(ParsePairs(argv[4], options.pairs_max));
  if (!status.ok()) return status;
  // Two sockets for each pair, and what the process has besides.
  constexpr uint32_t kOtherDescriptors = 32;
  const uint64_t wanted = 2 * options.pairs_max + kSpareConnections + kOtherDescriptors;
  if (const uint64_t limit = RaiseDescriptorLimit(wanted); limit < wanted) {
    return absl::ResourceExhaustedError(
        absl::StrCat(options.pairs_max, " pairs need ", wanted, " descriptors, and the limit is ",
                     limit, ": raise it (ulimit -n), or give fewer pairs"));
  }
  absl::StatusOr<std::unique_ptr<Proxy>> proxy = Proxy::Create(options);
  if (!proxy.ok()) return proxy.status();
  return (*proxy)->Run();
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  return ioring::ExitCode("proxy", ioring::ParseAndServe(argc, argv));
}

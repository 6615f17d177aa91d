#include "ring_sim/testing/echo_client.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/load/load_connection.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/simulated_world.h"

namespace ioring::sim {
namespace {

// Of the client's memory: small, so that messages come in pieces.
constexpr size_t kTransferBytes = 700;

RingOptions Limits(size_t connections) {
  RingOptions options;
  options.submission_entries = 64;
  options.max_connections = static_cast<uint32_t>(connections);
  options.max_operations = 64;
  return options;
}

void Accepted(Prepared prepared) { CHECK(prepared == Prepared::kAccepted); }

}  // namespace

EchoClient::Peer::Peer(uint32_t its_index, const EchoScript& its_script)
    : index(its_index),
      script(its_script),
      send_memory(kTransferBytes),
      recv_memory(kTransferBytes),
      start_times(script.shape.depth),
      load(script.number, script.shape, send_memory, start_times) {}

EchoClient::EchoClient(World& world, HostId host, const Endpoint& server,
                       const std::vector<EchoScript>& scripts)
    : world_(world), ring_(*world.CreateRing(host, Limits(scripts.size()))) {
  for (const EchoScript& script : scripts) {
    const auto index = static_cast<uint32_t>(peers_.size());
    Accepted(ring_->PrepareConnect(server, MakeToken(Kind::kConnect, index)));
    peers_.push_back(std::make_unique<Peer>(index, script));
  }
  world.SetProgram(*ring_, [this](Ring& ring) {
    for (const Completion& completion : ring.Completions()) Handle(completion);
  });
}

EchoClient::~EchoClient() { world_.SetProgram(*ring_, nullptr); }

std::vector<EchoOutcome> EchoClient::Outcomes() const {
  std::vector<EchoOutcome> outcomes;
  for (const std::unique_ptr<Peer>& peer : peers_) {
    EchoOutcome outcome = peer->outcome;
    outcome.received = peer->load.bytes_received();
    outcome.complete = outcome.received == peer->script.messages * peer->script.shape.message_bytes;
    outcomes.push_back(outcome);
  }
  return outcomes;
}

void EchoClient::Check(bool is_right, const Peer& peer, std::string what) {
  if (is_right || !problem_.empty()) return;
  problem_ = absl::StrCat("connection ", peer.script.number, ": ", what);
}

void EchoClient::Handle(const Completion& completion) {
  Peer& peer = *peers_[IndexOf(completion.token)];
  switch (KindOf<Kind>(completion.token)) {
    case Kind::kConnect:
      return OnConnect(peer, completion);
    case Kind::kRecv:
      return OnRecv(peer, completion);
    case Kind::kSend:
      return OnSend(peer, completion);
    case Kind::kDelay:
      if (!peer.closing) Recv(peer);
      return;
    case Kind::kDeadline:
      if (completion.error() == Error::kTimedOut) peer.outcome.gave_up = true;
      return;
    case Kind::kShutdown:
      return;
    case Kind::kClose:
      Check(completion.result == 0, peer, "its close failed");
      peer.outcome.closed = true;
      ++done_;
      return;
  }
}

void EchoClient::OnConnect(Peer& peer, const Completion& completion) {
  if (!completion.ok()) {
    peer.outcome.failed = true;
    ++done_;
    return;
  }
  peer.outcome.connected = true;
  peer.id = completion.connection();
  Pump(peer);
}

void EchoClient::OnRecv(Peer& peer, const Completion& completion) {
  peer.receiving = false;
  if (completion.result > 0) {
    const absl::StatusOr<uint32_t> messages = peer.load.OnReceived(
        std::span(peer.recv_memory).first(static_cast<size_t>(completion.result)), world_.Now(),
        nullptr);
    Check(messages.ok(), peer, std::string(messages.status().message()));
    return Pump(peer);
  }
  if (!completion.ok() && !peer.closing) peer.outcome.failed = true;
  // Its end, or an error.
  Close(peer);
}

void EchoClient::OnSend(Peer& peer, const Completion& completion) {
  peer.sending = false;
  if (!completion.ok()) {
    if (!peer.closing) peer.outcome.failed = true;
    return Close(peer);  // some of it may have left all the same
  }
  peer.load.OnSent(static_cast<size_t>(completion.result));
  Pump(peer);
}

// Prepares what the connection can do.
void EchoClient::Pump(Peer& peer) {
  if (peer.closing) return;
  LoadConnection& load = peer.load;
  while (load.Window() > 0 && load.admitted() < peer.script.messages) load.Admit(world_.Now());
  if (!std::exchange(peer.receiving, true)) {
    if (peer.script.read_delay.count() == 0) {
      Recv(peer);
    } else {
      Accepted(ring_->PrepareTimeout(peer.script.read_delay, Shots::kOneShot,
                                     MakeToken(Kind::kDelay, peer.index)));
    }
  }
  if (peer.sending) return;
  if (const std::span<const std::byte> bytes = load.NextSend(); !bytes.empty()) {
    peer.sending = true;
    load.OnSendPrepared(bytes.size());
    return Accepted(ring_->PrepareSend(peer.id, bytes, MakeToken(Kind::kSend, peer.index),
                                       TransferFlags::kAll));
  }
  if (load.admitted() < peer.script.messages) return;
  if (peer.script.end == EchoEnd::kClose && load.in_flight() == 0) return Close(peer);
  if (peer.script.end == EchoEnd::kHalfClose && !std::exchange(peer.shut, true)) {
    Accepted(
        ring_->PrepareShutdown(peer.id, Direction::kSend, MakeToken(Kind::kShutdown, peer.index)));
  }
}

void EchoClient::Recv(Peer& peer) {
  const Token token = MakeToken(Kind::kRecv, peer.index);
  Accepted(ring_->PrepareRecv(peer.id, peer.recv_memory, token));
  Accepted(ring_->PrepareDeadline(token, kPatience, MakeToken(Kind::kDeadline, peer.index)));
}

void EchoClient::Close(Peer& peer) {
  if (std::exchange(peer.closing, true)) return;
  Accepted(ring_->PrepareClose(peer.id, CloseMode::kGraceful, MakeToken(Kind::kClose, peer.index)));
}

}  // namespace ioring::sim

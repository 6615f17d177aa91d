#include <iostream>

#include "ring/drain.h"
#include "ring_native/create_ring.h"
using namespace ioring;
enum Kind : uint8_t { kConnect, kSend, kRecv, kDeadline, kClose };
constexpr std::chrono::seconds kPatience{1};

Completion Await(Ring& ring, Prepared prepared, Kind kind) {
  for (; prepared == Prepared::kAccepted; ring.SubmitAndWait()) {
    for (const Completion& done : ring.Completions()) {
      if (KindOf<Kind>(done.token) == kind) return done;
    }
  }
  return {.token = {}, .result = ToResult(Error::kBusy)};  // the ring had no room
}

int main(int argc, char** argv) {
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{});
  if (!created.ok()) return std::cerr << created.status() << "\n", 1;
  Ring& ring = *created->ring;
  const Endpoint server = Endpoint::Parse(argc > 1 ? argv[1] : "").value_or(Endpoint());
  Completion done = Await(ring, ring.PrepareConnect(server, MakeToken(kConnect)), kConnect);
  if (!done.ok()) return std::cerr << ring.ExplainError(done) << "\n", 1;
  const ConnectionId id = done.connection();
  const auto text = std::as_bytes(std::span("hello", 5));
  done = Await(ring, ring.PrepareSend(id, text, MakeToken(kSend), TransferFlags::kAll), kSend);
  std::string reply(text.size(), '?');
  const auto memory = std::as_writable_bytes(std::span(reply));
  const Prepared recv = ring.PrepareRecv(id, memory, MakeToken(kRecv), TransferFlags::kAll);
  const Prepared late = ring.PrepareDeadline(MakeToken(kRecv), kPatience, MakeToken(kDeadline));
  if (done.ok()) done = Await(ring, recv == Prepared::kAccepted ? late : recv, kRecv);
  (done.ok() ? std::cout << reply.substr(0, done.result) : std::cerr << ring.ExplainError(done))
      << "\n";
  Await(ring, ring.PrepareClose(id, CloseMode::kGraceful, MakeToken(kClose)), kClose);
  return Drain(ring, std::chrono::steady_clock::now() + kPatience).ok() && done.ok() ? 0 : 1;
}

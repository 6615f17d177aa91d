// A client of the server beside it: the second example of the README.

#include <array>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <span>

#include "ring/drain.h"
#include "ring/error_status.h"
#include "ring_native/create_ring.h"

using namespace ioring;
using namespace std::chrono_literals;

enum Kind : uint8_t { kConnect, kSend, kRecv, kDeadline, kClose };

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
  if (!done.ok()) return std::cerr << ToStatus(done.error(), "connect") << "\n", 1;
  const ConnectionId id = done.connection();
  const auto text = std::as_bytes(std::span("hello", 5));
  Await(ring, ring.PrepareSend(id, text, MakeToken(kSend), TransferFlags::kAll), kSend);
  std::array<char, 6> reply = {};
  const auto memory = std::as_writable_bytes(std::span(reply).first(5));
  const Prepared recv = ring.PrepareRecv(id, memory, MakeToken(kRecv), TransferFlags::kAll);
  const Prepared deadline = ring.PrepareDeadline(MakeToken(kRecv), 1s, MakeToken(kDeadline));
  done = Await(ring, recv == Prepared::kAccepted ? deadline : recv, kRecv);
  (done.ok() ? std::cout << reply.data() : std::cerr << ToStatus(done.error(), "recv")) << "\n";
  Await(ring, ring.PrepareClose(id, CloseMode::kGraceful, MakeToken(kClose)), kClose);
  return Drain(ring, std::chrono::steady_clock::now() + 1s).ok() && done.ok() ? 0 : 1;
}

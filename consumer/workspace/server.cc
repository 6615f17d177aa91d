#include <array>
#include <iostream>
#include <unordered_map>

#include "ring/acceptor.h"
#include "ring_native/create_ring.h"
using namespace ioring;
enum Kind : uint8_t { kAccept, kRecv, kSend, kClose };

int main() {
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{});
  if (!created.ok()) return std::cerr << created.status() << "\n", 1;
  Ring& ring = *created->ring;
  absl::StatusOr<ListenerId> listener = ring.CreateListener(Endpoint::Ipv4Loopback(0), {});
  if (!listener.ok()) return std::cerr << listener.status() << "\n", 1;
  std::cout << "listening on " << ring.LocalEndpoint(*listener)->ToString() << std::endl;
  std::unordered_map<uint32_t, std::array<std::byte, 4096>> memory;  // by ConnectionId::index
  Retries retries(ring);  // what finds no room is prepared later
  Acceptor acceptor(retries, MakeToken(kAccept));
  acceptor.Start(*listener);
  for (;; retries.Offer()) {
    ring.SubmitAndWait();
    for (const Completion& done : ring.Completions()) {
      const Kind kind = KindOf<Kind>(done.token);
      if (kind == kClose) continue;
      if (kind == kAccept && acceptor.Handle(done) != AcceptOutcome::kAccepted) continue;
      const ConnectionId id = kind == kAccept ? done.connection() : ConnectionOf(done.token);
      retries.Prepare([=, bytes = std::span(memory[id.index])](Ring& on) {
        const bool ended = kind != kAccept && done.result <= 0;
        if (ended) return on.PrepareClose(id, CloseMode::kGraceful, MakeToken(kClose, id));
        if (kind != kRecv) return on.PrepareRecv(id, bytes, MakeToken(kRecv, id));
        const auto received = bytes.first(static_cast<size_t>(done.result));
        return on.PrepareSend(id, received, MakeToken(kSend, id), TransferFlags::kAll);
      });
    }
  }
}

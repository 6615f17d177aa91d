#include <iostream>

#include "ring/await.h"
#include "ring/drain.h"
#include "ring_native/create_ring.h"
using namespace ioring;
constexpr Token kStep{1}, kLimit{2};

int main(int argc, char** argv) {
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{});
  if (!created.ok()) return std::cerr << created.status() << "\n", 1;
  Ring& ring = *created->ring;
  const Endpoint server = Endpoint::Parse(argc > 1 ? argv[1] : "").value_or(Endpoint());
  Completion done = Await(ring, ring.PrepareConnect(server, kStep), kStep);
  if (!done.ok()) return std::cerr << ring.ExplainError(done) << "\n", 1;
  const ConnectionId id = done.connection();
  const auto text = std::as_bytes(std::span("hello", 5));
  done = Await(ring, ring.PrepareSend(id, text, kStep, TransferFlags::kAll), kStep);
  std::string reply(text.size(), '?');
  if (done.ok()) {
    const auto memory = std::as_writable_bytes(std::span(reply));
    const Prepared recv = ring.PrepareRecv(id, memory, kStep, TransferFlags::kAll);
    done = Await(ring, recv, kStep, std::chrono::seconds{1}, kLimit);
  }
  const bool whole = done.ok() && done.result == std::ssize(text);
  const std::string why = done.ok() ? "the answer is incomplete" : ring.ExplainError(done);
  (whole ? std::cout << reply : std::cerr << why) << "\n";
  Await(ring, ring.PrepareClose(id, CloseMode::kGraceful, kStep), kStep);
  return Drain(ring, std::chrono::steady_clock::now()).ok() && whole ? 0 : 1;
}

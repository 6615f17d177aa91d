// An echo server on one ring: the example of the README.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <unordered_map>

#include "ring_native/create_ring.h"

using namespace ioring;

enum Kind : uint8_t { kAccept, kRecv, kSend, kClose };

Token Pack(Kind kind, ConnectionId id) { return TokenFields{kind, id.generation, id.index}.Pack(); }

int main() {
  // Each connection may have a send in the table of operations (4096 of them by default).
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{.max_connections = 4000});
  if (!created.ok()) return std::cerr << created.status() << "\n", 1;
  Ring& ring = *created->ring;
  absl::StatusOr<ListenerId> listener = ring.CreateListener(Endpoint::Ipv4Loopback(0), {});
  if (!listener.ok()) return std::cerr << listener.status() << "\n", 1;
  std::cout << "listening on " << ring.LocalEndpoint(*listener)->ToString() << std::endl;

  struct Client {
    ConnectionId id;
    std::array<std::byte, 4096> bytes;
  };
  std::unordered_map<uint32_t, Client> clients;
  ring.PrepareAccept(*listener, Shots::kMany, Pack(kAccept, {}));
  for (;;) {
    ring.SubmitAndWait({});
    const std::span<const Completion> completions = ring.PeekCompletions();
    for (const Completion& completion : completions) {
      const TokenFields fields = TokenFields::Unpack(completion.token);
      if (fields.kind == kAccept && !completion.ok()) continue;
      Client& client =
          clients[fields.kind == kAccept ? completion.connection().index : fields.index];
      if (fields.kind == kAccept) client.id = completion.connection();
      const auto prepare = [&] {
        const ConnectionId id = client.id;
        if (fields.kind == kAccept) return ring.PrepareRecv(id, client.bytes, Pack(kRecv, id));
        if (completion.result <= 0) {
          return ring.PrepareClose(id, CloseMode::kGraceful, Pack(kClose, id));
        }
        if (fields.kind == kSend) return ring.PrepareRecv(id, client.bytes, Pack(kRecv, id));
        const std::span received(client.bytes.data(), static_cast<size_t>(completion.result));
        return ring.PrepareSend(id, received, Pack(kSend, id), TransferFlags::kAll);
      };
      if (fields.kind == kClose) {
        clients.erase(fields.index);
      } else {
        while (!prepare()) ring.Submit();  // the submission queue was full
      }
    }
    ring.AdvanceCompletionQueue(completions.size());
  }
}

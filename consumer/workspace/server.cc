// An echo server on one ring: the example of the README.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <unordered_map>

#include "ring/retries.h"
#include "ring_native/create_ring.h"

using namespace ioring;

enum Kind : uint8_t { kAccept, kRecv, kSend, kClose };

Token Pack(Kind kind, ConnectionId id) { return TokenFields{kind, id.generation, id.index}.Pack(); }

struct Client {
  ConnectionId id;
  Kind next = kRecv;  // what is to be prepared for it
  size_t size = 0;    // bytes to send
  std::array<std::byte, 4096> bytes;
};

Prepared Prepare(Ring& ring, Client& client) {
  const ConnectionId id = client.id;
  const Token token = Pack(client.next, id);
  if (client.next == kRecv) return ring.PrepareRecv(id, client.bytes, token);
  if (client.next == kClose) return ring.PrepareClose(id, CloseMode::kGraceful, token);
  const std::span received = std::span(client.bytes).first(client.size);
  return ring.PrepareSend(id, received, token, TransferFlags::kAll);
}

int main() {
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{});
  if (!created.ok()) return std::cerr << created.status() << "\n", 1;
  Ring& ring = *created->ring;
  absl::StatusOr<ListenerId> listener = ring.CreateListener(Endpoint::Ipv4Loopback(0), {});
  if (!listener.ok()) return std::cerr << listener.status() << "\n", 1;
  std::cout << "listening on " << ring.LocalEndpoint(*listener)->ToString() << std::endl;

  std::unordered_map<uint32_t, Client> clients;
  Retries retries(ring);  // what finds no room is prepared later
  retries.Prepare(
      [&](Ring& on) { return on.PrepareAccept(*listener, Shots::kMany, Pack(kAccept, {})); });
  for (;;) {
    ring.SubmitAndWait();
    for (const Completion& completion : ring.Completions()) {
      const TokenFields fields = TokenFields::Unpack(completion.token);
      if (fields.kind == kAccept && !completion.ok()) continue;
      const bool is_new = fields.kind == kAccept;
      const uint32_t index = is_new ? completion.connection().index : fields.index;
      if (fields.kind == kClose) {
        clients.erase(index);
        continue;
      }
      Client& client = clients[index];
      if (is_new) {
        client.id = completion.connection();
      } else if (completion.result <= 0) {
        client.next = kClose;
      } else {
        client.next = fields.kind == kRecv ? kSend : kRecv;
        client.size = static_cast<size_t>(completion.result);
      }
      retries.Prepare([&client](Ring& on) { return Prepare(on, client); });
    }
    retries.Offer();
  }
}

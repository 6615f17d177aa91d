#include "bench/instructions/hot_paths.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/instructions/instruction_counter.h"
#include "buffer/map_result.h"
#include "buffer/mirrored_buffer.h"
#include "pool/buffer_group.h"
#include "pool/slab_pool.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using std::chrono::seconds;

constexpr Token kToken{1};
constexpr size_t kMessageBytes = 64;
constexpr int kWarmUps = 3;  // not counted, and so at full speed

using Message = std::array<std::byte, kMessageBytes>;

std::unique_ptr<Ring> MakeRing(BackendKind backend) {
  absl::StatusOr<CreatedRing> created = CreateRing({}, backend);
  CHECK_OK(created.status());
  return std::move(created->ring);
}

void Wait(Ring& ring, uint32_t completions) {
  CHECK_GE(ring.SubmitAndWait({.min_completions = completions, .timeout = seconds(20)}),
           completions);
}

void Drop(Ring& ring) {
  while (ring.CompletionQueueCount() != 0)
    ring.AdvanceCompletionQueue(ring.PeekCompletions().size());
}

void BringToRest(Ring& ring) {
  CHECK_OK(Drain(ring, std::chrono::steady_clock::now() + seconds(20)));
}

// kHotPathBatch connections of a ring, whose other ends are plain sockets.
class Connections {
 public:
  explicit Connections(Ring& ring) : ring_(ring) {
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      int ends[2];
      PCHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
      const absl::StatusOr<ConnectionId> id = ring.RegisterSocket(ends[0]);
      CHECK_OK(id.status());
      ids[i] = *id;
      peers[i] = ends[1];
    }
  }

  void PeersSend() {
    const Message message{};
    for (const int peer : peers) {
      PCHECK(send(peer, message.data(), message.size(), 0) == ssize_t{kMessageBytes});
    }
  }
  void PeersReceive() {
    Message message;
    for (const int peer : peers) {
      PCHECK(recv(peer, message.data(), message.size(), 0) == ssize_t{kMessageBytes});
    }
  }
  void CancelAll() {
    for (const ConnectionId id : ids) {
      CHECK(ring_.PrepareCancelConnection(id, Direction::kBoth, kToken) == Prepared::kAccepted);
    }
    Wait(ring_, 2 * kHotPathBatch);
    Drop(ring_);
  }

  std::array<ConnectionId, kHotPathBatch> ids;
  std::array<int, kHotPathBatch> peers;
  std::array<Message, kHotPathBatch> memory;

 private:
  Ring& ring_;
};

void Nops(CountedSections& sections, BackendKind backend) {
  const std::unique_ptr<Ring> ring = MakeRing(backend);
  for (int round = 0; round <= kWarmUps; ++round) {
    if (round == kWarmUps) sections.Begin();
    for (uint32_t i = 0; i < kHotPathBatch; ++i) static_cast<void>(ring->PrepareNop(kToken));
    ring->SubmitAndWait({.min_completions = kHotPathBatch});
    ring->AdvanceCompletionQueue(ring->PeekCompletions().size());
    if (round == kWarmUps) sections.End();
    CHECK_EQ(ring->InFlight(), 0u);
  }
  BringToRest(*ring);
}

void PrepareRecvs(CountedSections& sections, BackendKind backend) {
  const std::unique_ptr<Ring> ring = MakeRing(backend);
  Connections connections(*ring);
  for (int round = 0; round <= kWarmUps; ++round) {
    if (round == kWarmUps) sections.Begin();
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      static_cast<void>(ring->PrepareRecv(connections.ids[i], connections.memory[i], kToken));
    }
    if (round == kWarmUps) sections.End();
    CHECK_EQ(ring->InFlight(), kHotPathBatch);
    ring->Submit();
    connections.CancelAll();
  }
  BringToRest(*ring);
}

void PrepareSends(CountedSections& sections, BackendKind backend) {
  const std::unique_ptr<Ring> ring = MakeRing(backend);
  Connections connections(*ring);
  for (int round = 0; round <= kWarmUps; ++round) {
    if (round == kWarmUps) sections.Begin();
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      static_cast<void>(ring->PrepareSend(connections.ids[i], connections.memory[i], kToken));
    }
    if (round == kWarmUps) sections.End();
    Wait(*ring, kHotPathBatch);
    Drop(*ring);
    connections.PeersReceive();
  }
  BringToRest(*ring);
}

// A message has arrived on every connection: taken from the kernel, sent back, submitted.
void RecvToSend(CountedSections& sections, BackendKind backend) {
  const std::unique_ptr<Ring> ring = MakeRing(backend);
  Connections connections(*ring);
  for (int round = 0; round <= kWarmUps; ++round) {
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      CHECK(ring->PrepareRecv(connections.ids[i], connections.memory[i], Token{i}) ==
            Prepared::kAccepted);
    }
    ring->Submit();
    connections.PeersSend();
    if (round == kWarmUps) sections.Begin();
    ring->SubmitAndWait({.min_completions = kHotPathBatch});
    const std::span<const Completion> completions = ring->PeekCompletions();
    for (const Completion& completion : completions) {
      const uint64_t i = completion.token.value;
      static_cast<void>(ring->PrepareSend(
          connections.ids[i],
          std::span(connections.memory[i]).first(static_cast<size_t>(completion.result)),
          completion.token));
    }
    ring->AdvanceCompletionQueue(completions.size());
    ring->Submit();
    if (round == kWarmUps) sections.End();
    CHECK_EQ(completions.size(), kHotPathBatch);
    while (ring->InFlight() != 0) Wait(*ring, 1);
    Drop(*ring);
    connections.PeersReceive();
  }
  BringToRest(*ring);
}

// The same with multishot managed receives and leases.
void ManagedRecvToSend(CountedSections& sections, BackendKind backend) {
  const std::unique_ptr<Ring> ring = MakeRing(backend);
  {
    Connections connections(*ring);
    const absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(*ring, {});
    CHECK_OK(group.status());
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      CHECK(ring->PrepareRecvManaged(connections.ids[i], (*group)->id(), Shots::kMultishot,
                                     Token{i}) == Prepared::kAccepted);
    }
    ring->Submit();
    std::array<ManagedLease, kHotPathBatch> leases;
    for (int round = 0; round <= kWarmUps; ++round) {
      connections.PeersSend();
      if (round == kWarmUps) sections.Begin();
      ring->SubmitAndWait({.min_completions = kHotPathBatch});
      const std::span<const Completion> completions = ring->PeekCompletions();
      for (const Completion& completion : completions) {
        const uint64_t i = completion.token.value;
        leases[i] = (*group)->Take(completion);
        static_cast<void>(
            ring->PrepareSendBuffer(connections.ids[i], leases[i].Slice(), completion.token));
      }
      ring->AdvanceCompletionQueue(completions.size());
      ring->Submit();
      if (round == kWarmUps) sections.End();
      CHECK_EQ(completions.size(), kHotPathBatch);
      while (ring->InFlight() != kHotPathBatch) Wait(*ring, 1);
      Drop(*ring);
      for (ManagedLease& lease : leases) lease.Release();
      connections.PeersReceive();
    }
    BringToRest(*ring);
  }
}

void Timers(CountedSections& sections, BackendKind backend) {
  const std::unique_ptr<Ring> ring = MakeRing(backend);
  for (int round = 0; round <= kWarmUps; ++round) {
    if (round == kWarmUps) sections.Begin();
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      static_cast<void>(ring->PrepareTimeout(seconds(1000), Shots::kOneShot, Token{100 + i}));
      static_cast<void>(ring->PrepareCancel(Token{100 + i}, kToken));
    }
    ring->SubmitAndWait({.min_completions = 2 * kHotPathBatch});
    ring->AdvanceCompletionQueue(ring->PeekCompletions().size());
    if (round == kWarmUps) sections.End();
    CHECK_EQ(ring->InFlight(), 0u);
  }
  BringToRest(*ring);
}

void PoolAcquireRelease(CountedSections& sections, BackendKind backend) {
  const std::unique_ptr<Ring> ring = MakeRing(backend);
  const absl::StatusOr<std::unique_ptr<SlabPool>> pool = SlabPool::Create(*ring, {});
  CHECK_OK(pool.status());
  for (int round = 0; round <= kWarmUps; ++round) {
    if (round == kWarmUps) sections.Begin();
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      const std::optional<BufferLease> lease = (*pool)->TryAcquire();
      CHECK(lease.has_value());
    }
    if (round == kWarmUps) sections.End();
  }
}

void MirrorAppendConsume(CountedSections& sections, BackendKind) {
  MapResult<MirroredBuffer> buffer = MirroredBuffer::Create(64 << 10);
  CHECK(buffer.ok()) << buffer.error().message();
  Message message{};
  for (int round = 0; round <= kWarmUps; ++round) {
    if (round == kWarmUps) sections.Begin();
    for (uint32_t i = 0; i < kHotPathBatch; ++i) {
      std::memcpy(buffer->WriteSpan().data(), message.data(), message.size());
      buffer->CommitWrite(message.size());
      std::memcpy(message.data(), buffer->ReadSpan().data(), message.size());
      buffer->CommitRead(message.size());
    }
    if (round == kWarmUps) sections.End();
  }
}

// What a hot path runs on.
enum class Needs {
  kNoBackend,
  kBackend,
  // A backend; on io_uring also a kernel whose receives from provided buffers are multishot and
  // incremental. What the ring does without them is another path.
  kIncrementalReceives,
};

struct Row {
  std::string_view name;  // its id in the file of recorded figures
  Needs needs;
  void (*program)(CountedSections&, BackendKind);
};

constexpr Row kRows[] = {
    {"mirror_append_consume", Needs::kNoBackend, MirrorAppendConsume},
    {"pool_acquire_release", Needs::kNoBackend, PoolAcquireRelease},
    {"nop", Needs::kBackend, Nops},
    {"prepare_recv", Needs::kBackend, PrepareRecvs},
    {"prepare_send", Needs::kBackend, PrepareSends},
    {"recv_to_send", Needs::kBackend, RecvToSend},
    {"timer_set_cancel", Needs::kBackend, Timers},
    {"managed_recv_to_send", Needs::kIncrementalReceives, ManagedRecvToSend},
};

constexpr bool NamesDiffer() {
  for (const Row& row : kRows) {
    for (const Row& other : kRows) {
      if (&row != &other && row.name == other.name) return false;
    }
  }
  return true;
}
static_assert(NamesDiffer());

bool HasIncrementalReceives(const Ring& ring, BackendKind backend) {
  const CapabilityReport& capabilities = ring.Capabilities();
  return backend != BackendKind::kIoUring || (capabilities.Has(Capability::kMultishotRecv) &&
                                              capabilities.Has(Capability::kIncrementalBuffers));
}

}  // namespace

std::string HotPath::FullName() const {
  if (backend == BackendKind::kAuto) return std::string(name);
  return absl::StrCat(name, "/", BackendKindName(backend));
}

std::vector<HotPath> HotPaths(std::vector<std::string>& left_out) {
  std::vector<HotPath> paths;
  for (const Row& row : kRows) {
    if (row.needs != Needs::kNoBackend) continue;
    paths.push_back({row.name, BackendKind::kAuto, row.program});
  }
  for (const BackendKind backend : {BackendKind::kIoUring, BackendKind::kEpoll}) {
    const absl::StatusOr<CreatedRing> made = CreateRing({}, backend);
    if (!made.ok()) {
      left_out.emplace_back(made.status().message());
      continue;
    }
    for (const Row& row : kRows) {
      if (row.needs == Needs::kNoBackend) continue;
      if (row.needs == Needs::kIncrementalReceives &&
          !HasIncrementalReceives(*made->ring, backend)) {
        left_out.push_back(absl::StrCat(row.name, ": this kernel's receives are not incremental"));
        continue;
      }
      paths.push_back({row.name, backend, row.program});
    }
  }
  return paths;
}

}  // namespace ioring

// ManagedConnection: one echoed connection that holds memory only while it has data.
//
// The ring receives into buffers of a group that all connections share, with one multishot
// receive, and what arrived is sent from where it lies. As MirrorConnection, it is a
// state machine: `On…` takes in, `Progress` prepares what the state calls for.
//
// The group is shared, so a peer that does not read must not be able to drain it:
//  1. A connection that holds `unsent_bytes_max` stops receiving (its receive is cancelled)
//     until half of that is sent. The peer then feels TCP's own back-pressure.
//  2. Buffers are large and filled piece by piece, so a stalled connection that holds 64
//     bytes may keep 64 KiB from others. When the group has nothing left and may not grow,
//     the server calls YieldBuffers on all, every few milliseconds: who has sent nothing
//     between two calls takes its bytes with it: it copies them to memory of its own, of
//     exactly their size, gives the buffers back, and receives nothing until they are sent.
//  3. That memory is bounded over all connections (`spill_bytes_max`); whoever would go
//     beyond it is reset. Who is stalled for too long is closed by the server's idle timer.
// So memory is bounded, and connections whose peers read are not stopped by those whose
// peers do not.
#ifndef IORING_ECHO_SERVER_MANAGED_CONNECTION_H_
#define IORING_ECHO_SERVER_MANAGED_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "echo/server/chunk_queue.h"
#include "echo/server/connection.h"
#include "pool/buffer_group.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/statistics.h"

namespace ioring {

// What the connections of a server share. Outlives them.
struct ManagedContext {
  ManagedContext(BufferGroup& buffer_group, size_t initial_chunks)
      : group(buffer_group), chunks(initial_chunks) {}

  BufferGroup& group;
  ChunkPool chunks;
  // A connection with so much unsent stops receiving.
  uint64_t unsent_bytes_max = 256 << 10;
  // The same in pieces, each of which may keep a buffer of the group.
  uint32_t unsent_chunks_max = 64;
  // Copied out of the group, over all connections.
  uint64_t spill_bytes_max = 64 << 20;
  uint64_t spill_bytes = 0;
  // Ever; for any thread.
  Counter receives_paused;
  Counter spills;
  Counter spills_refused;
};

class ManagedConnection : public ConnectionBase {
 public:
  // Not open.
  ManagedConnection() = default;

  void Open(ConnectionId id, ManagedContext& context);

  // As MirrorConnection's.
  bool Progress(Ring& ring);
  // Also takes the completion's buffer; `completion` must be the one in the ring's view.
  void OnRecv(const Completion& completion);
  void OnSend(const Completion& completion);
  void OnClosed();

  bool has_unsent() const { return spill_ != nullptr || !queue_.empty(); }

  // The group has nothing left: see above. Progress then does what follows from it.
  void YieldBuffers();

 private:
  inline bool PrepareSend(Ring& ring);
  bool PrepareRecv(Ring& ring);
  bool PrepareCancel(Ring& ring, Direction direction, bool& asked);
  bool MustPause() const;
  bool MayResume() const;
  inline void OnSent(uint32_t bytes);
  void Spill();
  void DropSpill();

  ManagedContext* context_ = nullptr;
  ChunkQueue queue_;
  // Sent before the queue; null when there is none.
  std::unique_ptr<std::byte[]> spill_;
  uint32_t spill_bytes_ = 0;
  uint32_t spill_sent_bytes_ = 0;
  bool paused_ = false;  // does not receive
  bool recv_cancel_asked_ = false;
  bool send_cancel_asked_ = false;
  bool stalled_ = false;      // nothing was sent since the last YieldBuffers
  bool yield_asked_ = false;  // spills once its send has ended
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_MANAGED_CONNECTION_H_

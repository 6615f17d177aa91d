// Prepared: what a Prepare… call of a ring returns.
#ifndef IORING_RING_PREPARED_H_
#define IORING_RING_PREPARED_H_

#include <cstdint>
#include <string_view>

namespace ioring {

// What became of a Prepare… call. Nothing was queued unless it is kAccepted.
enum class [[nodiscard]] Prepared : uint8_t{
    kAccepted,             // it completes
    kSubmissionQueueFull,  // Ring::Submit makes room
    // RingOptions::max_operations: room comes when an operation in flight has completed.
    kOperationTableFull,
};

// The enumerator's name, such as "kAccepted".
constexpr std::string_view PreparedName(Prepared prepared) {
  switch (prepared) {
    case Prepared::kAccepted:
      return "kAccepted";
    case Prepared::kSubmissionQueueFull:
      return "kSubmissionQueueFull";
    case Prepared::kOperationTableFull:
      return "kOperationTableFull";
  }
  return "(no Prepared of ioring)";
}

}  // namespace ioring

#endif  // IORING_RING_PREPARED_H_

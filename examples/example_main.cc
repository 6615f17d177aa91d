#include "examples/example_main.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "program/stop_request.h"
#include "ring/ring.h"

namespace ioring {
namespace {

// What the handler reaches. Lock-free, as a signal handler needs it.
std::atomic<Ring*> ring_to_wake = nullptr;
std::atomic<int> running_handlers = 0;
static_assert(std::atomic<Ring*>::is_always_lock_free);

void OnStop() {
  ++running_handlers;
  if (Ring* ring = ring_to_wake.load()) ring->Wake();
  --running_handlers;
}

}  // namespace

StopWakes::StopWakes(Ring& ring) {
  ring_to_wake = &ring;
  OnStopRequest(&OnStop);
}

StopWakes::~StopWakes() {
  ring_to_wake = nullptr;
  // On Windows a handler may be running on another thread.
  while (running_handlers != 0) std::this_thread::yield();
}

absl::Status ParseSeconds(std::string_view text, std::chrono::nanoseconds& seconds) {
  uint32_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no number of seconds: give 1 or more"));
  }
  seconds = std::chrono::seconds(number);
  return absl::OkStatus();
}

int ExitCode(std::string_view program, const absl::Status& status) {
  if (status.ok()) return 0;
  std::cerr << program << ": " << status.message() << "\n";
  return 1;
}

}  // namespace ioring

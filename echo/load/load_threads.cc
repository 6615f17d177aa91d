#include "echo/load/load_threads.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/load/load_run.h"

namespace ioring {
namespace {

// The part of `total` that falls to one of `threads`; the first ones take what is left over.
template <typename T>
T ShareOf(T total, uint32_t threads, uint32_t thread) {
  return total / threads + (thread < total % threads ? 1 : 0);
}

std::vector<LoadOptions> SplitOptions(const LoadOptions& options, uint32_t threads) {
  std::vector<LoadOptions> parts(threads, options);
  uint32_t first_connection = options.first_connection;
  for (uint32_t i = 0; i < threads; ++i) {
    LoadOptions& part = parts[i];
    part.connections = ShareOf(options.connections, threads, i);
    part.messages = ShareOf(options.messages, threads, i);
    // All parts are to end at once.
    part.rate = options.messages > 0 ? options.rate * static_cast<double>(part.messages) /
                                           static_cast<double>(options.messages)
                                     : options.rate * part.connections / options.connections;
    part.first_connection = first_connection;
    part.total_connections = options.connections;
    first_connection += part.connections;
  }
  return parts;
}

absl::StatusOr<LoadResult> RunPart(const LoadOptions& options, LoadControl& control) {
  absl::StatusOr<LoadResult> result = RunLoad(options, control);
  if (!result.ok()) control.stop.store(true, std::memory_order_relaxed);
  return result;
}

// Starts a thread for each part but the first one.
absl::Status StartHelpers(const std::vector<LoadOptions>& parts, LoadControl& control,
                          std::vector<absl::StatusOr<LoadResult>>& results,
                          std::vector<std::thread>& helpers) {
  helpers.reserve(parts.size() - 1);
  for (size_t i = 1; i < parts.size(); ++i) {
    try {
      helpers.emplace_back([&, i] { results[i] = RunPart(parts[i], control); });
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "only ", i, " of ", parts.size(), " threads can be started (", error.code().message(),
          "): raise the limits (ulimit -u, ulimit -v) or ", "lower --threads"));
    }
  }
  return absl::OkStatus();
}

// Ends the run of those that have started, which may wait at their start for the `missing` others.
void Abandon(LoadControl& control, size_t missing) {
  control.stop.store(true, std::memory_order_relaxed);
  for (size_t i = 0; i < missing; ++i) control.connected.Arrive();
}

}  // namespace

uint32_t LoadThreads(const LoadOptions& options) {
  uint64_t threads = std::min(options.threads, options.connections);
  if (options.messages > 0) threads = std::min(threads, options.messages);
  return static_cast<uint32_t>(threads);
}

absl::StatusOr<LoadResult> RunLoadThreads(const LoadOptions& options, LoadControl& control) {
  const uint32_t threads = LoadThreads(options);
  const std::vector<LoadOptions> parts = SplitOptions(options, threads);
  std::vector<absl::StatusOr<LoadResult>> results(threads, absl::UnknownError("did not run"));
  std::vector<std::thread> helpers;
  const absl::Status started = StartHelpers(parts, control, results, helpers);
  if (started.ok()) {
    results[0] = RunPart(parts[0], control);
  } else {
    Abandon(control, threads - helpers.size());
  }
  for (std::thread& helper : helpers) helper.join();
  if (!started.ok()) return started;

  // A thread that another's error stopped may say that it was cancelled: that is not the cause.
  const absl::Status* failure = nullptr;
  for (const absl::StatusOr<LoadResult>& result : results) {
    if (result.ok()) continue;
    if (failure == nullptr || absl::IsCancelled(*failure)) failure = &result.status();
  }
  if (failure != nullptr) return *failure;
  for (uint32_t i = 1; i < threads; ++i) results[0]->Merge(*results[i]);
  return std::move(results[0]);
}

}  // namespace ioring

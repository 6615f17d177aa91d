#include "copy/options.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace ioring::copy {
namespace {

constexpr Method kMethods[] = {Method::kAuto,  Method::kReflink, Method::kKernel,
                               Method::kFixed, Method::kManaged, Method::kPlain};
constexpr Direct kDirects[] = {Direct::kNever, Direct::kAuto, Direct::kAlways};
constexpr uint32_t kDepthMax = 1024;
constexpr uint32_t kChunkUnit = 4096;
constexpr uint32_t kChunkMax = 64 << 20;
constexpr uint32_t kRingsMax = 64;
constexpr uint32_t kProcessorsPerRing = 4;
// What a ring registers at once.
constexpr uint64_t kMemoryMax = uint64_t{1} << 30;

absl::Status CheckChunks(uint32_t depth, uint32_t chunk_bytes) {
  if (depth < 1 || depth > kDepthMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a depth of ", depth, " does not lie between 1 and ", kDepthMax));
  }
  if (chunk_bytes < kChunkUnit || chunk_bytes > kChunkMax || chunk_bytes % kChunkUnit != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "chunks of ", chunk_bytes, " bytes are no multiple of ", kChunkUnit, " up to ", kChunkMax));
  }
  if (uint64_t{depth} * chunk_bytes > kMemoryMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("depth times chunk is more than ", kMemoryMax, " bytes of memory"));
  }
  return absl::OkStatus();
}

bool HasChunks(Method method) {
  return method == Method::kAuto || method == Method::kFixed || method == Method::kPlain;
}

}  // namespace

std::string_view MethodName(Method method) {
  switch (method) {
    case Method::kAuto:
      return "auto";
    case Method::kReflink:
      return "reflink";
    case Method::kKernel:
      return "kernel";
    case Method::kFixed:
      return "fixed";
    case Method::kManaged:
      return "managed";
    case Method::kPlain:
      return "plain";
  }
  return "(no Method)";
}

absl::StatusOr<Method> ParseMethod(std::string_view name) {
  for (const Method method : kMethods) {
    if (name == MethodName(method)) return method;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", name, "' is none of auto, reflink, kernel, fixed, managed and plain"));
}

std::string_view DirectName(Direct direct) {
  switch (direct) {
    case Direct::kNever:
      return "never";
    case Direct::kAuto:
      return "auto";
    case Direct::kAlways:
      return "always";
  }
  return "(no Direct)";
}

absl::StatusOr<Direct> ParseDirect(std::string_view name) {
  for (const Direct direct : kDirects) {
    if (name == DirectName(direct)) return direct;
  }
  return absl::InvalidArgumentError(absl::StrCat("'", name, "' is none of never, auto and always"));
}

uint32_t RingsOf(const Options& options) {
  if (options.rings != 0) return options.rings;
  const uint32_t processors = std::thread::hardware_concurrency();
  return std::clamp(processors / kProcessorsPerRing, 1u, kRingsMax);
}

absl::Status CheckOptions(const Options& options) {
  absl::Status status = CheckChunks(options.depth, options.chunk_bytes);
  status.Update(CheckChunks(options.direct_depth, options.direct_chunk_bytes));
  if (!status.ok()) return status;
  if (options.rings > kRingsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.rings, " rings are more than ", kRingsMax));
  }
  if (!options.reflink &&
      (options.method == Method::kReflink || options.method == Method::kKernel)) {
    return absl::InvalidArgumentError(absl::StrCat("the method ", MethodName(options.method),
                                                   " may share blocks, which is not wanted"));
  }
  if (options.direct == Direct::kAlways && !HasChunks(options.method)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the method ", MethodName(options.method), " has no direct I/O"));
  }
  return absl::OkStatus();
}

}  // namespace ioring::copy

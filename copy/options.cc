#include "copy/options.h"

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace ioring::copy {
namespace {

constexpr Method kMethods[] = {Method::kAuto,  Method::kReflink, Method::kKernel,
                               Method::kFixed, Method::kManaged, Method::kPlain};
constexpr uint32_t kDepthMax = 1024;
constexpr uint32_t kChunkUnit = 4096;
constexpr uint32_t kChunkMax = 64 << 20;
// What a ring registers at once.
constexpr uint64_t kMemoryMax = uint64_t{1} << 30;

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

absl::Status CheckOptions(const Options& options) {
  if (options.depth < 1 || options.depth > kDepthMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a depth of ", options.depth, " does not lie between 1 and ", kDepthMax));
  }
  if (options.chunk_bytes < kChunkUnit || options.chunk_bytes > kChunkMax ||
      options.chunk_bytes % kChunkUnit != 0) {
    return absl::InvalidArgumentError(absl::StrCat("chunks of ", options.chunk_bytes,
                                                   " bytes are no multiple of ", kChunkUnit,
                                                   " up to ", kChunkMax));
  }
  if (uint64_t{options.depth} * options.chunk_bytes > kMemoryMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("depth times chunk is more than ", kMemoryMax, " bytes of memory"));
  }
  if (!options.reflink &&
      (options.method == Method::kReflink || options.method == Method::kKernel)) {
    return absl::InvalidArgumentError(absl::StrCat("the method ", MethodName(options.method),
                                                   " may share blocks, which is not wanted"));
  }
  return absl::OkStatus();
}

}  // namespace ioring::copy

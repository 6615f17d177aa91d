// The results of //buffer as absl::Status, for programs that hand them on.
//
// A target of its own, //buffer:map_status, since Abseil's statuses take a hundred files to build.
// Effects and errors: none. Cost: of an error, the message is copied. Threads: any.
#ifndef IORING_BUFFER_MAP_STATUS_H_
#define IORING_BUFFER_MAP_STATUS_H_

// First, before code that would fail without it and not say why.
#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "ioring needs C++20: build with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/map_result.h"

namespace ioring {

// The same message, and the code of the same name. kOther becomes the code that Abseil has for the
// errno, and on Windows kInternal. Never OK.
absl::Status ToStatus(const MapError& error);

template <typename T>
absl::StatusOr<T> ToStatusOr(MapResult<T> result) {
  if (!result.ok()) return ToStatus(result.error());
  return *std::move(result);
}

}  // namespace ioring

#endif  // IORING_BUFFER_MAP_STATUS_H_

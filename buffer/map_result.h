// MapResult: the memory that was asked for, or the reason why there is none.
//
//   ioring::MapResult<ioring::MirroredBuffer> buffer = ioring::MirroredBuffer::Create(64 << 10);
//   if (!buffer.ok()) return std::cerr << buffer.error().message() << "\n", 1;
//   std::span<std::byte> free = buffer->WriteSpan();
//
// It is a type of this package, so that //buffer builds nothing but this repository's own files.
// buffer/map_status.h (//buffer:map_status) makes an absl::StatusOr of it.
//
// Cost: no function but the copying of an error allocates. Threads: one at a time.
#ifndef IORING_BUFFER_MAP_RESULT_H_
#define IORING_BUFFER_MAP_RESULT_H_

// First, before code that would fail without it and not say why.
#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "ioring needs C++20: build with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "buffer/lifetime_bound.h"

namespace ioring {

enum class MapErrorCode : uint8_t {
  kInvalidArgument,    // a size that cannot be, or that is more than the system maps at once
  kResourceExhausted,  // memory, address space, mappings or descriptors are short
  kPermissionDenied,   // the system denies the process the memory
  kOther,              // anything else: system_code() tells
};

// Why memory could not be mapped.
class [[nodiscard]] MapError {
 public:
  // Of a mistake that shows before the system is asked.
  MapError(MapErrorCode code, std::string message) : message_(std::move(message)), code_(code) {}
  // Of a refusal of the system. `call` must stay: a literal.
  MapError(MapErrorCode code, int system_code, const char* call, std::string message)
      : message_(std::move(message)), call_(call), system_code_(system_code), code_(code) {}

  MapErrorCode code() const { return code_; }
  // What failed, and where it is known what to do about it: one sentence.
  const std::string& message() const IORING_LIFETIME_BOUND { return message_; }
  // The system's code, errno or on Windows that of GetLastError(), which std::system_category()
  // knows; 0 where the system was not asked.
  int system_code() const { return system_code_; }
  // The name of the call that failed, as "mmap"; "" where the system was not asked.
  const char* call() const { return call_; }

 private:
  std::string message_;
  const char* call_ = "";
  int system_code_ = 0;
  MapErrorCode code_;
};

namespace buffer_internal {

[[noreturn]] void DieWithoutValue(const MapError& error);
[[noreturn]] void DieWithoutError();

}  // namespace buffer_internal

template <typename T>
class [[nodiscard]] MapResult {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a function returns the one or the other.
  MapResult(T value) : result_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): as above.
  MapResult(MapError error) : result_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return result_.index() == 0; }

  // The value. Requires: ok(). Checked in every build: otherwise the program ends with the error's
  // message.
  T& value() & IORING_LIFETIME_BOUND { return *Value(); }
  const T& value() const& IORING_LIFETIME_BOUND { return *Value(); }
  T&& value() && IORING_LIFETIME_BOUND { return std::move(*Value()); }
  // The same.
  T& operator*() & IORING_LIFETIME_BOUND { return *Value(); }
  const T& operator*() const& IORING_LIFETIME_BOUND { return *Value(); }
  T&& operator*() && IORING_LIFETIME_BOUND { return std::move(*Value()); }
  T* operator->() IORING_LIFETIME_BOUND { return Value(); }
  const T* operator->() const IORING_LIFETIME_BOUND { return Value(); }

  // Why there is no value. Requires: !ok(), checked in every build.
  const MapError& error() const IORING_LIFETIME_BOUND {
    if (ok()) [[unlikely]] {
      buffer_internal::DieWithoutError();
    }
    return *std::get_if<1>(&result_);
  }

 private:
  T* Value() {
    if (!ok()) [[unlikely]] {
      buffer_internal::DieWithoutValue(error());
    }
    return std::get_if<0>(&result_);
  }
  const T* Value() const { return const_cast<MapResult*>(this)->Value(); }

  std::variant<T, MapError> result_;
};

}  // namespace ioring

#endif  // IORING_BUFFER_MAP_RESULT_H_

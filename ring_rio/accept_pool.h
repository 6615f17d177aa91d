// AcceptPool: the requests of AcceptEx, which a ring's listeners share.
#ifndef IORING_RING_RIO_ACCEPT_POOL_H_
#define IORING_RING_RIO_ACCEPT_POOL_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ring_rio/completion_port.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// One AcceptEx: a socket made beforehand becomes the connection.
struct AcceptRequest {
  // What the manual of AcceptEx asks for each of two addresses.
  static constexpr DWORD kAddressBytes = sizeof(SOCKADDR_STORAGE) + 16;

  Request request;
  SOCKET socket = INVALID_SOCKET;
  uint32_t listener = 0;
  uint16_t generation = 0;  // the listener's: requests outlive it
  AcceptRequest* next = nullptr;
  std::array<std::byte, 2 * kAddressBytes> addresses;
};

// Connections that were accepted, oldest first. Owns nothing.
class AcceptedList {
 public:
  bool empty() const { return first_ == nullptr; }
  void Push(AcceptRequest* request) {
    request->next = nullptr;
    (last_ != nullptr ? last_->next : first_) = request;
    last_ = request;
  }
  // Requires that it is not empty.
  AcceptRequest* Pop() {
    AcceptRequest* request = first_;
    first_ = request->next;
    if (first_ == nullptr) last_ = nullptr;
    return request;
  }

 private:
  AcceptRequest* first_ = nullptr;
  AcceptRequest* last_ = nullptr;
};

// Ring's thread only. Allocates where there are too few, which is when a listener is made.
class AcceptPool {
 public:
  // Makes as many as there are to be in all.
  void Reserve(size_t count) {
    while (all_.size() < count) {
      all_.push_back(std::make_unique<AcceptRequest>());
      all_.back()->request.kind = RequestKind::kAccept;
      all_.back()->request.index = static_cast<uint32_t>(all_.size() - 1);
      Return(all_.back().get());
    }
  }
  AcceptRequest* Take() {
    if (free_ == nullptr) Reserve(all_.size() + 1);  // those of a closed listener are not back yet
    AcceptRequest* request = free_;
    free_ = request->next;
    return request;
  }
  void Return(AcceptRequest* request) {
    request->socket = INVALID_SOCKET;
    request->next = free_;
    free_ = request;
  }
  AcceptRequest& operator[](uint32_t index) { return *all_[index]; }
  // Whether it is one of these. O(requests).
  bool Contains(const OVERLAPPED* overlapped) const {
    return std::any_of(all_.begin(), all_.end(), [&](const auto& request) {
      return &request->request.overlapped == overlapped;
    });
  }
  // Whether it waits for a connection. O(requests).
  bool Has(SOCKET socket) const {
    return std::any_of(all_.begin(), all_.end(),
                       [&](const auto& request) { return request->socket == socket; });
  }

 private:
  std::vector<std::unique_ptr<AcceptRequest>> all_;
  AcceptRequest* free_ = nullptr;
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_ACCEPT_POOL_H_

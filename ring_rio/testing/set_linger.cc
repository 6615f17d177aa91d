#include "ring_rio/testing/set_linger.h"

#include <chrono>

#include "gtest/gtest.h"
#include "ring/options.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

void SetLinger(NativeHandle socket, std::chrono::seconds time) {
  const linger on{1, static_cast<u_short>(time.count())};
  EXPECT_EQ(setsockopt(static_cast<SOCKET>(socket), SOL_SOCKET, SO_LINGER,
                       reinterpret_cast<const char*>(&on), sizeof(on)),
            0);
}

}  // namespace ioring::rio

#include "ring_native/stop_request.h"

#include <atomic>

#include "gtest/gtest.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <csignal>
#endif

namespace ioring {
namespace {

std::atomic<int> requests = 0;

void CountRequest() {
  ++requests;
  requests.notify_all();
}

#if defined(_WIN32)

// In a console of its own, where nobody else is asked. Who started this may have it ignore
// Ctrl-C.
class Console {
 public:
  Console() {
    FreeConsole();
    EXPECT_NE(AllocConsole(), 0) << GetLastError();
    SetConsoleCtrlHandler(nullptr, FALSE);
  }

  bool AskToStop() { return GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0; }
};

#else

class Console {
 public:
  bool AskToStop() { return std::raise(SIGTERM) == 0; }
};

#endif

// The program goes on: to end is its own business.
TEST(StopRequestTest, EachRequestReachesTheHandler) {
  Console console;
  OnStopRequest(&CountRequest);
  ASSERT_TRUE(console.AskToStop());
  requests.wait(0);
  ASSERT_TRUE(console.AskToStop());
  requests.wait(1);
  EXPECT_EQ(requests, 2);
}

}  // namespace
}  // namespace ioring

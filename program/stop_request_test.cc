#include "program/stop_request.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <csignal>
#endif

namespace ioring {
namespace {

std::atomic<int> requests = 0;

void CountRequest() { ++requests; }

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
  while (requests == 0) std::this_thread::yield();
  ASSERT_TRUE(console.AskToStop());
  while (requests == 1) std::this_thread::yield();
  EXPECT_EQ(requests, 2);
}

}  // namespace
}  // namespace ioring

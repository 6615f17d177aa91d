#include "program/stop_request.h"

#include <atomic>

#if defined(_WIN32)
#include <windows.h>
#else
#include <csignal>
#endif

namespace ioring {
namespace {

std::atomic<void (*)()> stop_handler = nullptr;
static_assert(std::atomic<void (*)()>::is_always_lock_free);

#if defined(_WIN32)

BOOL WINAPI OnConsoleEvent(DWORD event) {
  stop_handler.load()();
  // After the others Windows ends the process as soon as this returns, or some seconds later;
  // main is to return first, which ends this thread too.
  if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT) Sleep(INFINITE);
  return TRUE;
}

void Listen() {
  // A parent may have had Ctrl-C ignored (CREATE_NEW_PROCESS_GROUP), as shells do for
  // programs in the background; then it stays so.
  SetConsoleCtrlHandler(&OnConsoleEvent, TRUE);
}

#else

void OnSignal(int) { stop_handler.load()(); }

void Listen() {
  std::signal(SIGINT, &OnSignal);
  std::signal(SIGTERM, &OnSignal);
}

#endif

}  // namespace

void OnStopRequest(void (*handler)()) {
  stop_handler = handler;
  Listen();
}

}  // namespace ioring

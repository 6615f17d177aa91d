#include "ring/fuzzing/at_death.h"

#include <csignal>
#include <utility>

#if defined(__SANITIZE_ADDRESS__) && !defined(_MSC_VER)
#define IORING_FUZZ_HAS_DEATH_CALLBACK
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IORING_FUZZ_HAS_DEATH_CALLBACK
#endif
#endif
#ifdef IORING_FUZZ_HAS_DEATH_CALLBACK
#include <sanitizer/common_interface_defs.h>
#endif

namespace ioring {
namespace {

void (*last_word)() = nullptr;

void Tell() {
  if (auto* const tell = std::exchange(last_word, nullptr); tell != nullptr) tell();
}

// The process is lost anyway, so that what no signal handler may do is worth its risk.
void OnSignal(int signal) {
  Tell();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

void TellAtDeath(void (*tell)()) {
  last_word = tell;
  std::signal(SIGABRT, OnSignal);
  std::signal(SIGTERM, OnSignal);
#ifdef IORING_FUZZ_HAS_DEATH_CALLBACK
  __sanitizer_set_death_callback(Tell);
#endif
}

}  // namespace ioring

// For systems that have no fork.
#include <cstdint>

#include "process/fork_watch.h"

namespace ioring::process {

uint32_t ForkGeneration() { return 0; }
bool HasForked() { return false; }

ForkObserver::ForkObserver(void (*in_child)(void*), void* object)
    : in_child_(in_child), object_(object) {}

ForkObserver::~ForkObserver() = default;

}  // namespace ioring::process

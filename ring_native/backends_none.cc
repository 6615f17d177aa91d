// A platform whose backend is still to come: what needs no ring is built and tested there all the
// same.
#include <span>

#include "ring_native/backends.h"

namespace ioring {

std::span<const Backend> PlatformBackends() { return {}; }

}  // namespace ioring

#include "ring/await.h"

#include "ring/completion.h"
#include "ring/error.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {

Completion Await(Ring& ring, Prepared prepared, Token token) {
  Completion awaited{token, ToResult(Error::kBusy), 0};
  for (bool is_over = prepared != Prepared::kAccepted; !is_over;) {
    ring.SubmitAndWait();
    for (const Completion& completion : ring.Completions()) {
      if ((completion.flags & kBuffer) != 0) ring.ReturnBuffer(ring.TakeBuffer(completion));
      if (completion.token != token) continue;
      if ((completion.flags & kMemoryFree) == 0) awaited = completion;
      is_over = !completion.more();
      if (is_over) break;
    }
  }
  awaited.flags &= ~kMore;
  return awaited;
}

}  // namespace ioring

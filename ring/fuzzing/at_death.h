// TellAtDeath: the last word of a test that draws what it does, when a check, a sanitizer or the
// time limit ends its process.
#ifndef IORING_RING_FUZZING_AT_DEATH_H_
#define IORING_RING_FUZZING_AT_DEATH_H_

namespace ioring {

// `tell` is called once when the process is aborted, terminated (as tests are whose time is up), or
// ended by a sanitizer: to print what it did. The last `tell` counts.
void TellAtDeath(void (*tell)());

}  // namespace ioring

#endif  // IORING_RING_FUZZING_AT_DEATH_H_

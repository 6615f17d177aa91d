// The wait of the server program while its servers run.
#ifndef IORING_ECHO_SERVER_WAIT_AND_REPORT_H_
#define IORING_ECHO_SERVER_WAIT_AND_REPORT_H_

#include "absl/time/time.h"
#include "echo/server/server_threads.h"

namespace ioring {

// Waits until all servers have ended: by a stop, by an error, or stopped from here after
// `duration` (0: never). Prints a line of figures at each `report_interval` (0: never). Time is the
// steady clock's: a wall clock that is set changes nothing.
void WaitAndReport(ServerThreads& servers, absl::Duration duration, absl::Duration report_interval);

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_WAIT_AND_REPORT_H_

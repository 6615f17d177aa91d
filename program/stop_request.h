// What asks a program to come to its end: an interrupt from the keyboard, or whoever runs it.
#ifndef IORING_PROGRAM_STOP_REQUEST_H_
#define IORING_PROGRAM_STOP_REQUEST_H_

namespace ioring {

// From now on `handler` is called each time that the program is asked to end, which it then
// does itself, by returning from main: after SIGINT and SIGTERM on POSIX systems (also where the
// parent had SIGINT ignored, as shells do for programs in the background); on Windows
// after Ctrl-C, Ctrl-Break, and when the console is closed, the user logs off or the system
// shuts down (after those three Windows waits some seconds at most).
//
// `handler` runs in a signal handler, or on Windows on a thread of its own; two may run at
// once. It may do what is allowed in signal handlers and nothing else: lock-free atomics,
// Ring::Wake. One handler for the whole process; call this once, from main.
// (sigaction(2) by std::signal; SetConsoleCtrlHandler.)
void OnStopRequest(void (*handler)());

}  // namespace ioring

#endif  // IORING_PROGRAM_STOP_REQUEST_H_

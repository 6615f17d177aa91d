// What the tests of the examples share: a program as a child process, and text over sockets of the
// operating system.
#ifndef IORING_EXAMPLES_EXAMPLE_PROGRAM_H_
#define IORING_EXAMPLES_EXAMPLE_PROGRAM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "echo/testing/client_socket.h"
#include "echo/testing/server_process.h"
#include "gtest/gtest.h"

namespace ioring {

class ProgramTest : public testing::Test {
 protected:
  // The program that the variable of the environment PROGRAM names.
  static std::string Program();
  // Starts it; fails the test where it does not listen.
  void Start(const std::vector<std::string>& arguments = {"127.0.0.1:0"});
  // Runs it, which is to end by itself with 1. What it printed.
  static std::string RunToFailure(const std::vector<std::string>& arguments);
  // A socket that is not connected when that failed, which fails the test.
  ClientSocket Connect();
  // SIGTERM; expects that it ends with 0 in time.
  void Stop();

  std::unique_ptr<ServerProcess> program_;
};

// Fails the test where it does not send all.
void SendText(ClientSocket& client, std::string_view text);
// The next `size` bytes; fewer at the end of the stream, or at an error.
std::string RecvText(ClientSocket& client, size_t size);
// All until the end of the stream; fails the test at an error.
std::string RecvToEnd(ClientSocket& client);

}  // namespace ioring

#endif  // IORING_EXAMPLES_EXAMPLE_PROGRAM_H_

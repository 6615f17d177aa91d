#include "examples/example_program.h"

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/server_process.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

constexpr absl::Duration kExitDeadline = absl::Seconds(30);

std::vector<std::string> Command(std::string program, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {std::move(program)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

}  // namespace

std::string ProgramTest::Program() {
  const char* program = std::getenv("PROGRAM");
  EXPECT_NE(program, nullptr) << "the environment names no PROGRAM";
  return program == nullptr ? "" : program;
}

void ProgramTest::Start(const std::vector<std::string>& arguments) {
  auto program = ServerProcess::Start({.command = Command(Program(), arguments)});
  ASSERT_TRUE(program.ok()) << program.status();
  program_ = *std::move(program);
}

std::string ProgramTest::RunToFailure(const std::vector<std::string>& arguments) {
  int exit_code = 0;
  std::string output = ServerProcess::Run({.command = Command(Program(), arguments)}, exit_code);
  EXPECT_EQ(exit_code, 1) << output;
  return output;
}

ClientSocket ProgramTest::Connect() {
  auto client = ClientSocket::Connect(program_->address());
  EXPECT_TRUE(client.ok()) << client.status();
  return client.ok() ? *std::move(client) : ClientSocket();
}

void ProgramTest::Stop() {
  program_->Signal(SIGTERM);
  EXPECT_EQ(program_->WaitForExit(kExitDeadline), 0) << program_->Output();
}

void SendText(ClientSocket& client, std::string_view text) {
  EXPECT_EQ(client.Send(std::as_bytes(std::span(text))), absl::OkStatus());
}

std::string RecvText(ClientSocket& client, size_t size) {
  std::string text(size, '\0');
  size_t received = 0;
  while (received < size) {
    const auto rest = std::as_writable_bytes(std::span(text)).subspan(received);
    const absl::StatusOr<size_t> some = client.RecvSome(rest);
    if (!some.ok() || *some == 0) break;
    received += *some;
  }
  text.resize(received);
  return text;
}

std::string RecvToEnd(ClientSocket& client) {
  std::string text;
  for (;;) {
    std::array<char, 4096> bytes;
    const absl::StatusOr<size_t> some = client.RecvSome(std::as_writable_bytes(std::span(bytes)));
    EXPECT_TRUE(some.ok()) << some.status();
    if (!some.ok() || *some == 0) return text;
    text.append(bytes.data(), *some);
  }
}

}  // namespace ioring

#include "echo/testing/server_report.h"

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

constexpr std::string_view kDigits = "0123456789";

}  // namespace

absl::StatusOr<uint64_t> LastReportedConnections(std::string_view output) {
  // "2.5 s: 17 connections, ..."
  uint64_t connections = 0;
  const size_t end = output.rfind(" connections, ");
  const size_t begin = output.rfind(": ", end);
  if (end != std::string_view::npos && begin != std::string_view::npos &&
      absl::SimpleAtoi(output.substr(begin + 2, end - begin - 2), &connections)) {
    return connections;
  }
  return absl::NotFoundError("the server has not reported its connections");
}

absl::StatusOr<uint64_t> FinalStatistic(std::string_view output, std::string_view name) {
  const size_t statistics = output.rfind("statistics: {");
  const std::string key = absl::StrCat("\"", name, "\": ");
  const size_t found =
      statistics == std::string_view::npos ? statistics : output.find(key, statistics);
  uint64_t number = 0;
  if (found != std::string_view::npos) {
    std::string_view digits = output.substr(found + key.size());
    digits = digits.substr(0, digits.find_first_not_of(kDigits));
    if (absl::SimpleAtoi(digits, &number)) return number;
  }
  return absl::NotFoundError(absl::StrCat("the server's last words have no ", name));
}

}  // namespace ioring

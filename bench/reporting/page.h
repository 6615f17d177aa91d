// The report as one HTML page that needs nothing besides.
#ifndef IORING_BENCH_REPORTING_PAGE_H_
#define IORING_BENCH_REPORTING_PAGE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ioring {

struct PageParts {
  std::string_view frame;   // page.html
  std::string_view script;  // page.js
  std::string_view charts;  // Chart.js
  std::string_view json;    // of ReportJson
};

// InvalidArgument when the frame has not the place for a part, or a script would end its element.
absl::StatusOr<std::string> ReportPage(const PageParts& parts);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_PAGE_H_

#include "bench/reporting/page.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace ioring {

absl::StatusOr<std::string> ReportPage(const PageParts& parts) {
  // JSON has it in strings only. "</script" would end the element, and after "<!--<script" the end
  // that is meant would be none (HTML, 4.12.1.3).
  const std::string json = absl::StrReplaceAll(parts.json, {{"<", "\\u003c"}});
  const std::pair<std::string_view, std::string_view> places[] = {
      {"{{report.json}}", json}, {"{{chart.js}}", parts.charts}, {"{{page.js}}", parts.script}};
  std::string page;
  std::string_view rest = parts.frame;
  for (const auto& [place, contents] : places) {
    const size_t found = rest.find(place);
    if (found == std::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("the page has no place ", place));
    }
    if (absl::StrContainsIgnoreCase(contents, "</script")) {
      return absl::InvalidArgumentError(absl::StrCat(place, " would end its script element"));
    }
    absl::StrAppend(&page, rest.substr(0, found), contents);
    rest.remove_prefix(found + place.size());
  }
  return absl::StrCat(page, rest);
}

}  // namespace ioring

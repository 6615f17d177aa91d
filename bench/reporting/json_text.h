// JSON, written.
#ifndef IORING_BENCH_REPORTING_JSON_TEXT_H_
#define IORING_BENCH_REPORTING_JSON_TEXT_H_

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ioring {

// Six significant digits; null for what is not a finite number.
std::string JsonNumber(double number);
// Of values that are JSON already.
std::string JsonArray(std::span<const std::string> values);
std::string JsonObject(std::initializer_list<std::pair<std::string_view, std::string>> members);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_JSON_TEXT_H_

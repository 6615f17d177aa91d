// What //bench:report has measured, before it is written down. Linux.
#ifndef IORING_BENCH_REPORTING_REPORT_H_
#define IORING_BENCH_REPORTING_REPORT_H_

#include <string>
#include <vector>

#include "bench/comparison.h"
#include "bench/json_value.h"
#include "bench/machine.h"
#include "bench/measurement.h"
#include "bench/reporting/file_copies.h"
#include "bench/reporting/target_table.h"

namespace ioring {

// All servers under one load. Series have as many rounds each.
struct ShapeResult {
  Shape shape;
  std::vector<Series> series;
};

// A promise about the library's speed, and what was measured of it.
struct Target {
  TargetId id = {};
  std::string what;   // "managed / best hand-written liburing (uring_multishot), CPU per message"
  std::string shape;  // "50 connections, 64 B, depth 1"
  double figure = 0;
  double limit = 0;
  bool at_least = false;  // whether `limit` is the least; otherwise the most
  bool reached = false;
};

// Where to read of targets that were not reached (findings.h).
struct Finding {
  std::string about;
  std::string text;
};

// What a benchmark program of a component said of itself.
struct Component {
  std::string name;  // "slab_pool_benchmark"
  std::string text;  // for people
  std::string json;  // one JSON value, as the program wrote it
  JsonValue result;  // the same, read
};

struct Report {
  std::string form;     // "quick", "full"
  std::string command;  // as a person would type it
  std::string started;  // RFC 3339
  double minutes = 0;   // that it took
  Machine machine;
  MeasurementOptions options;
  std::vector<Server> servers;
  std::vector<ShapeResult> shapes;
  std::vector<Target> targets;
  std::vector<Finding> findings;
  std::vector<Component> components;
  FileCopies files;
  std::vector<std::string> notes;  // sentences, such as what could not be measured
};

// One JSON object. Names of numbers carry their units.
std::string ReportJson(const Report& report);
// Tables in Markdown.
std::string ReportMarkdown(const Report& report);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_REPORT_H_

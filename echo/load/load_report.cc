#include "echo/load/load_report.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "echo/load/histogram.h"
#include "echo/load/load_run.h"
#include "echo/load/load_threads.h"
#include "program/json_string.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;

constexpr double kSaturated = 0.95;

Saturation Judge(const LoadOptions& options, const LoadFigures& figures) {
  const bool generator = figures.generator_utilization > kSaturated;
  const bool server = figures.server_cores.value_or(0) > kSaturated;
  if (options.spin > nanoseconds{0}) return server ? Saturation::kServer : Saturation::kUnknown;
  if (generator) return server ? Saturation::kBoth : Saturation::kGenerator;
  if (!figures.server_cores.has_value()) return Saturation::kUnknown;
  return server ? Saturation::kServer : Saturation::kNeither;
}

std::string_view SaturationName(Saturation saturation) {
  switch (saturation) {
    case Saturation::kGenerator:
      return "generator";
    case Saturation::kServer:
      return "server";
    case Saturation::kBoth:
      return "both";
    case Saturation::kNeither:
      return "neither";
    case Saturation::kUnknown:
      return "unknown";
  }
  LOG(FATAL) << "no such saturation";
}

std::string Verdict(const LoadOptions& options, const LoadFigures& figures) {
  switch (figures.saturation) {
    case Saturation::kGenerator:
      return "The generator was saturated: the throughput is the generator's limit, not the "
             "server's.";
    case Saturation::kBoth:
      return "Generator and server were both saturated: the throughput is the limit of both.";
    case Saturation::kServer:
      return *figures.server_cores > 2 - kSaturated
                 ? "The server was saturated if it has no more threads than it kept cores busy."
                 : "The server was saturated: the throughput is its limit, unless it has more "
                   "threads.";
    case Saturation::kNeither:
      if (options.rate > 0 && figures.messages_per_second > kSaturated * options.rate) {
        return "Neither side was saturated: the rate set the throughput.";
      }
      return "Neither side was saturated: latency set the throughput (more connections or depth "
             "would raise it).";
    case Saturation::kUnknown:
      return options.spin > nanoseconds{0}
                 ? "The generator spins, so it is busy whether or not it is saturated."
                 : "The generator was not saturated: the server or latency set the throughput "
                   "(--server_pid tells which).";
  }
  LOG(FATAL) << "no such saturation";
}

// "1,234,567".
std::string Grouped(uint64_t number) {
  std::string text = absl::StrCat(number);
  for (size_t end = text.size(); end > 3; end -= 3) text.insert(end - 3, 1, ',');
  return text;
}

std::string LatencyText(nanoseconds latency) {
  const double ns = static_cast<double>(latency.count());
  const auto three_digits = [](double value, std::string_view unit) {
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return absl::StrFormat("%.*f %s", decimals, value, unit);
  };
  if (ns < 999.5e3) return three_digits(ns / 1e3, "us");
  if (ns < 999.5e6) return three_digits(ns / 1e6, "ms");
  return three_digits(ns / 1e9, "s");
}

// Nothing where nothing was measured.
std::string LatencyLine(const LatencyHistogram& latency) {
  if (latency.count() == 0) return "";
  return absl::StrFormat("latency     p50 %s, p90 %s, p99 %s, p99.9 %s, max %s\n",
                         LatencyText(latency.Percentile(50)), LatencyText(latency.Percentile(90)),
                         LatencyText(latency.Percentile(99)), LatencyText(latency.Percentile(99.9)),
                         LatencyText(latency.max()));
}

// Nothing where all came back.
std::string UnansweredLine(const LoadResult& result) {
  if (result.messages_unanswered == 0) return "";
  std::string text =
      absl::StrCat("unanswered  ", Grouped(result.messages_unanswered), " at the end");
  if (result.messages_overdue > 0) {
    absl::StrAppend(&text, "; ", Grouped(result.messages_overdue),
                    " of them overdue, in latency with their age then (a lower bound)\n");
  } else {
    absl::StrAppend(&text, ", in latency until they were back or given up\n");
  }
  return text;
}

std::string JsonNumber(const std::optional<double>& number) {
  return number.has_value() ? absl::StrFormat("%.3f", *number) : "null";
}

}  // namespace

LoadFigures ComputeFigures(const LoadOptions& options, const LoadResult& result) {
  LoadFigures figures;
  const nanoseconds elapsed = result.end.time - result.begin.time;
  if (result.messages == 0 || elapsed <= nanoseconds{0}) return figures;
  const double elapsed_ns = static_cast<double>(elapsed.count());
  const double messages = static_cast<double>(result.messages);
  figures.seconds = elapsed_ns / 1e9;
  figures.messages_per_second = messages / figures.seconds;
  figures.megabytes_per_second =
      figures.messages_per_second * static_cast<double>(options.shape.message_bytes) / 1e6;
  const double generator_ns =
      static_cast<double>((result.end.generator_cpu - result.begin.generator_cpu).count());
  figures.generator_cpu_ns_per_message = generator_ns / messages;
  figures.generator_utilization = generator_ns / elapsed_ns / LoadThreads(options);
  if (result.begin.server_cpu.has_value() && result.end.server_cpu.has_value()) {
    const double server_ns =
        static_cast<double>((*result.end.server_cpu - *result.begin.server_cpu).count());
    figures.server_cpu_ns_per_message = server_ns / messages;
    figures.server_cores = server_ns / elapsed_ns;
  }
  figures.saturation = Judge(options, figures);
  return figures;
}

std::string LoadText(const LoadOptions& options, const LoadResult& result) {
  const LoadFigures figures = ComputeFigures(options, result);
  std::string text = absl::StrFormat("%s over %s: %d connections, %d B messages, depth %d, %s%s\n",
                                     options.target.ToString(), result.backend, options.connections,
                                     options.shape.message_bytes, options.shape.depth,
                                     options.shape.verify ? "every byte verified" : "not verified",
                                     result.interrupted ? ", interrupted" : "");
  if (result.messages == 0) {
    return absl::StrCat(text, "Nothing came back while it was measured.\n",
                        LatencyLine(result.latency), UnansweredLine(result));
  }
  absl::StrAppendFormat(&text, "throughput  %s msg/s, %.1f MB/s each way (%s messages in %.2f s)\n",
                        Grouped(static_cast<uint64_t>(figures.messages_per_second)),
                        figures.megabytes_per_second, Grouped(result.messages), figures.seconds);
  text += LatencyLine(result.latency);
  absl::StrAppendFormat(&text, "generator   %.2f us CPU per message, %.0f %% of %s busy\n",
                        figures.generator_cpu_ns_per_message / 1e3,
                        figures.generator_utilization * 100,
                        LoadThreads(options) == 1 ? "its thread" : "its threads");
  if (figures.server_cores.has_value()) {
    absl::StrAppendFormat(&text, "server      %.2f us CPU per message, %.2f cores busy\n",
                          *figures.server_cpu_ns_per_message / 1e3, *figures.server_cores);
  } else if (options.server_pid > 0) {
    absl::StrAppendFormat(&text, "server      the CPU time of process %d is not to be had\n",
                          options.server_pid);
  }
  if (options.rate > 0) {
    absl::StrAppendFormat(&text, "rate        %.0f of %.0f msg/s, %s messages overdue at the end\n",
                          figures.messages_per_second, options.rate,
                          Grouped(result.messages_overdue));
  }
  return absl::StrCat(text, UnansweredLine(result), Verdict(options, figures), "\n");
}

std::string LoadJson(const LoadOptions& options, const LoadResult& result) {
  const LoadFigures figures = ComputeFigures(options, result);
  std::string json = "{\n";
  const auto add = [&json](std::string_view name, std::string_view value) {
    absl::StrAppend(&json, json.size() > 2 ? ",\n" : "", "  \"", name, "\": ", value);
  };
  add("target", JsonString(options.target.ToString()));
  add("backend", JsonString(result.backend));
  add("connections", absl::StrCat(options.connections));
  add("message_bytes", absl::StrCat(options.shape.message_bytes));
  add("depth", absl::StrCat(options.shape.depth));
  add("threads", absl::StrCat(LoadThreads(options)));
  add("rate_per_second", JsonNumber(options.rate));
  add("verified", options.shape.verify ? "true" : "false");
  add("interrupted", result.interrupted ? "true" : "false");
  add("seconds", JsonNumber(figures.seconds));
  add("messages", absl::StrCat(result.messages));
  add("messages_overdue", absl::StrCat(result.messages_overdue));
  add("messages_unanswered", absl::StrCat(result.messages_unanswered));
  add("messages_per_second", JsonNumber(figures.messages_per_second));
  add("megabytes_per_second", JsonNumber(figures.megabytes_per_second));
  add("latency_min_ns", absl::StrCat(result.latency.min().count()));
  add("latency_mean_ns", absl::StrCat(result.latency.Mean().count()));
  add("latency_p50_ns", absl::StrCat(result.latency.Percentile(50).count()));
  add("latency_p90_ns", absl::StrCat(result.latency.Percentile(90).count()));
  add("latency_p99_ns", absl::StrCat(result.latency.Percentile(99).count()));
  add("latency_p999_ns", absl::StrCat(result.latency.Percentile(99.9).count()));
  add("latency_max_ns", absl::StrCat(result.latency.max().count()));
  add("generator_cpu_ns_per_message", JsonNumber(figures.generator_cpu_ns_per_message));
  add("generator_utilization", JsonNumber(figures.generator_utilization));
  add("server_cpu_ns_per_message", JsonNumber(figures.server_cpu_ns_per_message));
  add("server_cores", JsonNumber(figures.server_cores));
  add("saturated", JsonString(SaturationName(figures.saturation)));
  return json + "\n}\n";
}

}  // namespace ioring

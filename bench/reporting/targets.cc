#include "bench/reporting/targets.h"

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/comparison.h"
#include "bench/json_value.h"

namespace ioring {
namespace {

// A generator that is busier than this sets the throughput itself, so that CPU time has to tell.
constexpr double kSaturated = 0.95;

constexpr char kCpu[] = ", CPU per message";

// The promises about one shape, one after the other.
class Judge {
 public:
  Judge(const ShapeResult& result, std::vector<Target>& targets)
      : result_(result), targets_(targets) {}

  void AtMost(std::string_view name, std::string_view base, Figure figure,
              std::string_view figure_name, double limit) {
    Add(name, base, figure, figure_name, limit, false);
  }

  void AtLeast(std::string_view name, std::string_view base, Figure figure,
               std::string_view figure_name, double limit) {
    Add(name, base, figure, figure_name, limit, true);
  }

  // Throughput, or CPU time where the generator is what limits the faster of the two.
  void Faster(std::string_view name, std::string_view base, double throughput_min, double cpu_max) {
    const Series* series = FindSeries(result_.series, name);
    if (series == nullptr) return;
    if (MedianOf(series->rounds, &Sample::generator_utilization) > kSaturated) {
      AtMost(name, base, &Sample::server_cpu_us_per_message,
             ", CPU per message (the generator is saturated)", cpu_max);
    } else {
      AtLeast(name, base, &Sample::messages_per_second, ", throughput", throughput_min);
    }
  }

  // The name of the hand-written liburing server that takes the least CPU time.
  std::string BestHandWritten() const {
    std::string best;
    double least = 0;
    for (const Series& series : result_.series) {
      if (!absl::StartsWith(series.name, "uring_")) continue;
      const double cpu = MedianOf(series.rounds, &Sample::server_cpu_us_per_message);
      if (!best.empty() && cpu >= least) continue;
      best = series.name;
      least = cpu;
    }
    return best;
  }

 private:
  void Add(std::string_view name, std::string_view base, Figure figure,
           std::string_view figure_name, double limit, bool at_least) {
    const Series* series = FindSeries(result_.series, name);
    const Series* other = FindSeries(result_.series, base);
    if (series == nullptr || other == nullptr) return;
    const double ratio = RatioOf(*series, *other, figure).median;
    targets_.push_back({.what = absl::StrCat(name, " / ", base, figure_name),
                        .shape = result_.shape.ToString(),
                        .figure = ratio,
                        .limit = limit,
                        .at_least = at_least,
                        .reached = at_least ? ratio >= limit : ratio <= limit});
  }

  const ShapeResult& result_;
  std::vector<Target>& targets_;
};

// The shapes that the library is to be fastest at.
bool IsCentral(const Shape& shape) {
  if (shape.depth != 1) return false;
  if (shape.connections == 50) return shape.message_bytes <= 16 << 10;
  return shape.connections == 1000 && shape.message_bytes <= 1 << 10;
}

void JudgeCentral(const Shape& shape, Judge& judge) {
  constexpr Figure kCpuFigure = &Sample::server_cpu_us_per_message;
  judge.AtMost("managed", judge.BestHandWritten(), kCpuFigure, kCpu, 1.03);
  if (shape.connections == 50) {
    judge.AtMost("managed", "epoll_level", kCpuFigure, kCpu,
                 shape.message_bytes <= 4 << 10 ? 0.85 : 0.75);
  }
  judge.AtMost("managed_epoll", "epoll_level", kCpuFigure, kCpu, 1.05);
  const bool few = shape.connections == 50;
  for (const char* peer : {"asio", "asio_uring", "libuv", "libevent"}) {
    judge.Faster("managed", peer, few ? 1.20 : 1.10, few ? 0.80 : 0.90);
  }
  judge.AtLeast("managed", "go", &Sample::messages_per_second, ", throughput", 1.4);
}

// A member of an object in JSON that is a string.
struct Property {
  std::string_view name;
  std::string_view value;
};

// Which of the objects that a component wrote: the one that has these properties. A property
// without a name is none.
using Properties = std::array<Property, 2>;

bool Has(const JsonValue& object, const Property& property) {
  const JsonValue* value = object.Find(property.name);
  const std::string* string = value == nullptr ? nullptr : value->AsString();
  return property.name.empty() || (string != nullptr && *string == property.value);
}

// A figure, or its ratio to the one of another object.
struct ComponentPromise {
  std::string_view what;
  std::string_view load;
  std::string_view component;
  std::string_view member;
  Properties of;
  std::optional<Properties> base;
  double limit;
};

constexpr ComponentPromise kComponentPromises[] = {
    {"managed / uring_multishot, user-space instructions per message",
     "50 connections, 64 B",
     "per_message",
     "instructions",
     {{{"server", "managed"}}},
     Properties{{{"server", "uring_multishot"}}},
     1.3},
    {"mirror / uring_oneshot, user-space instructions per message",
     "50 connections, 64 B",
     "per_message",
     "instructions",
     {{{"server", "mirror"}}},
     Properties{{{"server", "uring_oneshot"}}},
     1.3},
    {"the virtual interface, part of CPU per message",
     "50 connections, 64 B",
     "virtual_call",
     "part",
     {{{"kind", "virtual_call"}}},
     std::nullopt,
     0.01},
    {"bytes per idle connection in the ring, io_uring",
     "managed receives",
     "idle_connections",
     "bytes_each",
     {{{"of", "ring"}, {"backend", "io_uring"}}},
     std::nullopt,
     128},
    {"bytes per idle connection in the ring, epoll",
     "managed receives",
     "idle_connections",
     "bytes_each",
     {{{"of", "ring"}, {"backend", "epoll"}}},
     std::nullopt,
     128},
    {"acquire and release, ns",
     "1 slab",
     "slab_pool_benchmark",
     "cpu_time",
     {{{"name", "Pair/pool/slabs/1"}}},
     std::nullopt,
     5},
    {"acquire and release, ns",
     "64 slabs",
     "slab_pool_benchmark",
     "cpu_time",
     {{{"name", "Pair/pool/slabs/64"}}},
     std::nullopt,
     5},
    {"registering by the slab / as one region",
     "1,024 buffers of 4 KiB",
     "slab_pool_benchmark",
     "cpu_time",
     {{{"name", "Register/as_a_slab/buffers/1024"}}},
     Properties{{{"name", "Register/as_one_region/buffers/1024"}}},
     1.2},
};

// The objects that a component wrote: programs that count have an array of them, Google Benchmark
// has the array "benchmarks".
std::span<const JsonValue> ObjectsOf(const Component& component) {
  const JsonValue* benchmarks = component.result.Find("benchmarks");
  return benchmarks == nullptr ? component.result.Elements() : benchmarks->Elements();
}

// The number `member` of the first object with these properties in the component called so.
std::optional<double> NumberOf(std::span<const Component> components, std::string_view name,
                               const Properties& properties, std::string_view member) {
  for (const Component& component : components) {
    if (component.name != name) continue;
    for (const JsonValue& object : ObjectsOf(component)) {
      if (!Has(object, properties[0]) || !Has(object, properties[1])) continue;
      const absl::StatusOr<double> number = object.NumberAt(member);
      if (number.ok()) return *number;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Target> EvaluateTargets(std::span<const ShapeResult> results) {
  std::vector<Target> targets;
  for (const ShapeResult& result : results) {
    Judge judge(result, targets);
    if (IsCentral(result.shape)) JudgeCentral(result.shape, judge);
    if (result.shape == Shape{.connections = 1, .message_bytes = 64, .depth = 1}) {
      judge.AtMost("managed", "epoll_level", &Sample::latency_p50_us, ", p50", 1.0);
      judge.AtMost("managed_spin", "epoll_level", &Sample::latency_p50_us, ", p50", 0.45);
    }
    if (result.shape == Shape{.connections = 1000, .message_bytes = 64, .depth = 1}) {
      judge.AtMost("managed_batch", "epoll_level", &Sample::latency_p99_us, ", p99", 0.9);
    }
  }
  return targets;
}

std::vector<Target> EvaluateComponentTargets(std::span<const Component> components) {
  std::vector<Target> targets;
  for (const ComponentPromise& promise : kComponentPromises) {
    std::optional<double> figure =
        NumberOf(components, promise.component, promise.of, promise.member);
    if (figure.has_value() && promise.base.has_value()) {
      const std::optional<double> base =
          NumberOf(components, promise.component, *promise.base, promise.member);
      figure = base.has_value() ? std::optional<double>(*figure / *base) : std::nullopt;
    }
    if (!figure.has_value()) continue;
    targets.push_back({.what = std::string(promise.what),
                       .shape = std::string(promise.load),
                       .figure = *figure,
                       .limit = promise.limit,
                       .reached = *figure <= promise.limit});
  }
  return targets;
}

}  // namespace ioring

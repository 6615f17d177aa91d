// Copies files and trees.

#include <errno.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/log/initialize.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "copy/engine.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/tree_copier.h"
#include "process/process_limits.h"
#include "program/program_output.h"
#include "program/stop_request.h"
#include "program/terminal.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

ABSL_FLAG(std::string, method, "auto",
          "How large files are copied: auto, reflink, kernel (copy_file_range), fixed (registered "
          "buffers), managed (buffers that the ring picks) or plain.");
ABSL_FLAG(std::string, reflink, "auto",
          "never: no blocks are shared. always: as --method=reflink.");
ABSL_FLAG(std::string, direct, "auto",
          "Direct I/O (O_DIRECT), which bypasses the page cache, for files of more than 64 KiB. "
          "auto: where a file has at least a quarter of the memory. always or never.");
ABSL_FLAG(uint32_t, depth, 0,
          "Chunks on their way at once. 0: what measures best, 4, and 8 with direct I/O.");
ABSL_FLAG(uint32_t, chunk, 0,
          "Bytes of a chunk: a multiple of 4096. 0: what measures best, 256 KiB, and 1 MiB with "
          "direct I/O.");
ABSL_FLAG(uint32_t, rings, 0,
          "Rings that share a tree's directories, each on a thread of its own. 0: one for every "
          "four processors.");
ABSL_FLAG(bool, verify, false, "Compares each copy with its source before it gets its name.");
ABSL_FLAG(bool, sync, false, "Brings each file and directory to the disk before it counts.");
ABSL_FLAG(
    bool, resume, false,
    "Leaves alone what has the same type, size and time (with --verify: and content) already, "
    "and removes what a killed copy left behind.");
ABSL_FLAG(bool, dry_run, false, "Tells what it would copy, and writes nothing.");
ABSL_FLAG(std::string, backend, "auto", "auto, io_uring or epoll.");
ABSL_FLAG(std::string, json, "",
          "Writes the summary to this file as JSON. -: to the standard output, instead of text.");
ABSL_FLAG(bool, progress, true, "Shows a line of progress, on a terminal only.");

namespace ioring::copy {
namespace {

// In place of a file's path.
constexpr std::string_view kStandardOutput = "-";

// What the handler of stop requests reaches.
std::atomic<Engine*> stopping_engine = nullptr;

void OnStop() {
  if (Engine* engine = stopping_engine.load()) engine->Stop();
}

// Rewrites a line on the terminal until it is destroyed.
class ProgressLine {
 public:
  explicit ProgressLine(const Counters& counters)
      : counters_(counters), thread_([this] { Run(); }) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() {
    done_.Notify();
    thread_.join();
    absl::FPrintF(stderr, "\r\033[K");
  }

 private:
  static constexpr absl::Duration kPeriod = absl::Milliseconds(250);

  void Run() {
    const absl::Time start = absl::Now();
    while (!done_.WaitForNotificationWithTimeout(kPeriod)) {
      const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
      absl::FPrintF(stderr, "\r%s\033[K", ProgressText(counters_, seconds));
      std::fflush(stderr);
    }
  }

  const Counters& counters_;
  absl::Notification done_;
  std::thread thread_;
};

void TellProblem(std::string_view path, std::string_view reason) {
  absl::FPrintF(stderr, "copy: %s: %s\n", path, reason);
}

absl::Status ReadReflink(Options& options) {
  const std::string reflink = absl::GetFlag(FLAGS_reflink);
  if (reflink == "auto") return absl::OkStatus();
  if (reflink == "never") {
    options.reflink = false;
    return absl::OkStatus();
  }
  if (reflink != "always") {
    return absl::InvalidArgumentError(
        absl::StrCat("--reflink: '", reflink, "' is none of auto, always and never"));
  }
  if (options.method != Method::kAuto && options.method != Method::kReflink) {
    return absl::InvalidArgumentError(
        absl::StrCat("--reflink=always contradicts --method=", MethodName(options.method)));
  }
  options.method = Method::kReflink;
  return absl::OkStatus();
}

absl::StatusOr<Options> OptionsFromFlags() {
  Options options;
  const absl::StatusOr<Method> method = ParseMethod(absl::GetFlag(FLAGS_method));
  if (!method.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--method: ", method.status().message()));
  }
  options.method = *method;
  if (absl::Status status = ReadReflink(options); !status.ok()) return status;
  const absl::StatusOr<Direct> direct = ParseDirect(absl::GetFlag(FLAGS_direct));
  if (!direct.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--direct: ", direct.status().message()));
  }
  options.direct = *direct;
  if (const uint32_t depth = absl::GetFlag(FLAGS_depth); depth != 0) {
    options.depth = options.direct_depth = depth;
  }
  if (const uint32_t chunk_bytes = absl::GetFlag(FLAGS_chunk); chunk_bytes != 0) {
    options.chunk_bytes = options.direct_chunk_bytes = chunk_bytes;
  }
  options.rings = absl::GetFlag(FLAGS_rings);
  options.verify = absl::GetFlag(FLAGS_verify);
  options.sync = absl::GetFlag(FLAGS_sync);
  options.resume = absl::GetFlag(FLAGS_resume);
  options.dry_run = absl::GetFlag(FLAGS_dry_run);
  options.on_problem = &TellProblem;
  if (absl::Status status = CheckOptions(options); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--depth, --chunk, --rings, --direct or --reflink: ", status.message()));
  }
  return options;
}

absl::Status Tell(const Options& options, std::string_view backend, const Report& report,
                  ResultFile& json) {
  const std::string text = ReportJson(options, backend, report);
  const bool json_only = absl::GetFlag(FLAGS_json) == kStandardOutput;
  absl::PrintF("%s", json_only ? text : ReportText(options, report));
  absl::Status status = json.Write(text);
  status.Update(FlushOutput());
  return status;
}

// Copies; fails with a sentence where it could not begin, and with none where it told the problems.
absl::Status Run(std::vector<std::string> paths) {
  const absl::StatusOr<Options> options = OptionsFromFlags();
  if (!options.ok()) return options.status();
  const absl::StatusOr<BackendKind> backend = ParseBackendKind(absl::GetFlag(FLAGS_backend));
  if (!backend.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--backend: ", backend.status().message()));
  }
  if (paths.size() < 2) {
    return absl::InvalidArgumentError("it needs a source and a destination (--help tells more)");
  }
  const std::string destination = paths.back();
  paths.pop_back();
  const std::string path = absl::GetFlag(FLAGS_json);
  absl::StatusOr<ResultFile> json =
      ResultFile::Open("json", path == kStandardOutput ? std::string() : path);
  if (!json.ok()) return json.status();
  // Those of the ring, of listings and of the work on threads.
  RaiseDescriptorLimit(2 * kFilesNeeded * RingsOf(*options));
  std::string used = "none: so little needs no ring";
  Engine engine(
      [&](const RingOptions& wanted) -> absl::StatusOr<std::unique_ptr<Ring>> {
        absl::StatusOr<CreatedRing> created = CreateRing(wanted, *backend);
        if (!created.ok()) return created.status();
        used = created->report;
        return std::move(created->ring);
      },
      *options);
  stopping_engine = &engine;
  OnStopRequest(&OnStop);
  std::optional<ProgressLine> progress;
  if (absl::GetFlag(FLAGS_progress) && StandardErrorIsTerminal()) {
    progress.emplace(engine.report().counters);
  }
  const absl::Status status = engine.Run(paths, destination);
  progress.reset();
  stopping_engine = nullptr;
  if (!status.ok()) return status;
  if (absl::Status told = Tell(*options, used, engine.report(), *json); !told.ok()) {
    return told;
  }
  const bool is_whole = engine.report().counters.problems == 0 && !engine.report().is_stopped;
  return is_whole ? absl::OkStatus() : absl::AbortedError("");
}

// Bazel's run starts programs in a folder of its own and tells where it was called: paths are seen
// from there.
absl::Status GoWhereBazelWasCalled() {
  const char* const directory = getenv("BUILD_WORKING_DIRECTORY");
  if (directory == nullptr || chdir(directory) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("BUILD_WORKING_DIRECTORY=", directory));
}

int Main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Copies files and trees, with permissions, times, owners, extended attributes, links, "
      "special files and holes.\n\n"
      "  copy SOURCE... DESTINATION\n"
      "  copy --resume --verify photos /mnt/backup\n"
      "  copy --json=- --sync photos/. /mnt/backup/photos\n\n"
      "Where the destination is a directory, the sources go into it; else one source gets its "
      "name. "
      "A source that\nends with /. goes into it with its content alone. Each file is complete or "
      "not there, also when the copy is\nkilled; --resume goes on. Ends with 0, or with 1 where "
      "something was not copied, changed meanwhile, or a flag\nis bad: it tells path and reason, "
      "and copies the rest. An interrupt ends it with the summary so far.");
  absl::FlagsUsageConfig usage;
  usage.contains_help_flags = [](std::string_view file) {
    return absl::EndsWith(file, "copy_main.cc");
  };
  absl::SetFlagsUsageConfig(usage);
  absl::Status status = BeginOutput();
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  absl::InitializeLog();
  if (status.ok()) status = GoWhereBazelWasCalled();
  if (status.ok()) status = Run({arguments.begin() + 1, arguments.end()});
  if (status.ok()) return 0;
  if (!status.message().empty()) absl::FPrintF(stderr, "copy: %s\n", status.message());
  return 1;
}

}  // namespace
}  // namespace ioring::copy

int main(int argc, char** argv) { return ioring::copy::Main(argc, argv); }

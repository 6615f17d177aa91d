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
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
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
#include "program/command_line.h"
#include "program/program_output.h"
#include "program/stop_request.h"
#include "program/terminal.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

ABSL_FLAG(std::string, method, "auto",
          "How large files are copied. auto: by a reflink where the file systems can, else as "
          "measures best. reflink: the files share their blocks. kernel: copy_file_range. fixed: "
          "through registered buffers. managed: through buffers that the ring picks. plain: "
          "through memory that is not registered. A method that the file systems lack is an "
          "error for each file.");
ABSL_FLAG(std::string, reflink, "auto",
          "Whether copies may share blocks with their sources. auto: where the file systems can. "
          "never: each copy has blocks of its own. always: the same as --method=reflink.");
ABSL_FLAG(std::string, direct, "auto",
          "Direct I/O (O_DIRECT), which bypasses the page cache, for files of more than 64 KiB. "
          "auto: for files of at least a quarter of the machine's memory, which the cache could "
          "not hold. always: for all, and an error where the file systems cannot. never.");
ABSL_FLAG(
    uint32_t, depth, 0,
    "Chunks of large files that are on their way at once on each ring, 1 to 1024. 0: 4, and 8 with "
    "direct I/O.");
ABSL_FLAG(uint32_t, chunk, 0,
          "Bytes of a chunk: a multiple of 4096, up to 64 MiB. 0: 256 KiB, and 1 MiB with direct "
          "I/O. A ring takes --depth times --chunk of memory, twice that with --verify.");
ABSL_FLAG(uint32_t, rings, 0,
          "Rings that share the directories of a tree, each on a thread of its own, up to 64. 0: "
          "one for every four processors.");
ABSL_FLAG(bool, verify, false,
          "Reads each copy again and compares it with its source before it gets its name. With "
          "--resume: compares the content of files that look complete, too.");
ABSL_FLAG(bool, sync, false,
          "Brings each file and directory to the disk (fsync) before it counts as copied, with "
          "--resume also what is complete already. Slow for many small files.");
ABSL_FLAG(bool, resume, false,
          "Goes on after a copy that was interrupted or killed: skips what has the same type, "
          "size and time already, and removes the temporary files that were left.");
ABSL_FLAG(bool, dry_run, false, "Prints what it would copy, and writes nothing.");
ABSL_FLAG(std::string, backend, "auto",
          "What the rings run on: io_uring, epoll, or auto, which is io_uring where that is.");
ABSL_FLAG(std::string, json, "",
          "Writes the summary to this file, as JSON. -: to standard output, instead of the text.");
ABSL_FLAG(bool, progress, true,
          "Shows bytes, files, rate and time left while it copies, where standard error is a "
          "terminal.");

namespace ioring::copy {
namespace {

// In place of a file's path.
constexpr std::string_view kStandardOutput = "-";

// What the handler of stop requests reaches.
std::atomic<Engine*> stopping_engine = nullptr;

void OnStop() {
  if (Engine* engine = stopping_engine.load()) engine->Stop();
}

// Whether there is a line of progress on the terminal, which a message takes the place of.
std::atomic<bool> has_progress_line = false;

constexpr std::string_view kClearLine = "\r\033[K";

// Rewrites a line on the terminal until it is destroyed. Without a thread to be had, there is none.
class ProgressLine {
 public:
  explicit ProgressLine(const Counters& counters) : counters_(counters) {
    try {
      thread_ = std::thread([this] { Run(); });
      has_progress_line = true;
    } catch (const std::system_error&) {
    }
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() {
    if (!thread_.joinable()) return;
    done_.Notify();
    thread_.join();
    has_progress_line = false;
    absl::FPrintF(stderr, "%s", kClearLine);
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
  absl::FPrintF(stderr, "%scopy: %s: %s\n", has_progress_line ? kClearLine : "",
                EscapeControls(path), EscapeControls(reason));
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
  RaiseDescriptorLimit(uint64_t{2} * kFilesNeeded * RingsOf(*options));
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

constexpr std::string_view kUsage =
    "Copies files and trees, with permissions, times, owners, extended attributes, links, special "
    "files and holes.\n\n"
    "  copy SOURCE... DESTINATION\n"
    "  copy photos /mnt/backup              to /mnt/backup/photos, where /mnt/backup is there\n"
    "  copy photos/. /mnt/backup            what is in photos, to /mnt/backup\n"
    "  copy --resume photos /mnt/backup     the same as the first one, what is missing of it\n"
    "  copy --sync --verify --json=- photos /mnt/backup\n\n"
    "Where the destination is a directory, the sources go into it. Otherwise there must be one "
    "source, whose copy\ngets the destination's name. Directories are merged, files are replaced. "
    "Nothing is deleted. Devices, FIFOs and\nsockets are not written to. A slash at a source's end "
    "follows a link; at the destination's end it asks for a\ndirectory.\n\n"
    "Each file is complete, or as it was before, at any moment, also when the copy is killed; "
    "run it again with\n--resume then. SIGINT or SIGTERM ends it with the summary so far.\n\n"
    "What cannot be copied, or changes meanwhile, is told with its path and the reason, and the "
    "rest is copied.\nEnds with 0 where everything was copied, else with 1.";

int Main(int argc, char** argv) {
  const absl::StatusOr<std::vector<std::string>> words = BeginProgram(argc, argv, kUsage, __FILE__);
  absl::Status status = words.status();
  if (status.ok()) status = GoWhereBazelWasCalled();
  if (status.ok()) status = Run(*words);
  if (status.ok()) return 0;
  if (!status.message().empty()) {
    absl::FPrintF(stderr, "copy: %s\n", EscapeControls(status.message()));
  }
  return 1;
}

}  // namespace
}  // namespace ioring::copy

int main(int argc, char** argv) { return ioring::copy::Main(argc, argv); }

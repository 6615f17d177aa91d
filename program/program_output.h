// What programs print, and write to files that flags name: nothing of it is lost without a word,
// and where it cannot be written a program says so before its run.
//
//   if (absl::Status status = BeginOutput(); !status.ok()) ...
//   auto json = ResultFile::Open("json", absl::GetFlag(FLAGS_json));
//   ... the run, which prints ...
//   absl::Status status = json->Write(figures);
//   status.Update(FlushOutput());
//
// Thread rule: one thread.
#ifndef IORING_PROGRAM_PROGRAM_OUTPUT_H_
#define IORING_PROGRAM_PROGRAM_OUTPUT_H_

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ioring {

// Call it first, before anything is opened: closed standard streams are replaced, so that what is
// printed goes into no socket. FailedPrecondition where standard output is closed.
absl::Status BeginOutput();

// Flushes standard output. Unavailable where something that was printed, now or before, is lost.
absl::Status FlushOutput();

// A file for results, which are written at the end of a run. It is opened before the run, and made
// where there is none; what it contains stays until Write.
class ResultFile {
 public:
  // `flag` is what names the file, for messages. An empty `path`: none is wanted, and Write does
  // nothing. Unavailable where it cannot be written.
  static absl::StatusOr<ResultFile> Open(std::string_view flag, std::string path);

  // Writes `text` in place of what the file contains. Where the file is standard output or standard
  // error under another name (/dev/stdout), `text` comes after what was printed, and nothing goes.
  // At most once. Unavailable where not all of it could be written.
  absl::Status Write(std::string_view text);

 private:
  struct Closer {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
  };

  ResultFile(std::string_view flag, std::string path) : flag_(flag), path_(std::move(path)) {}
  absl::Status CannotWrite() const;

  std::string flag_;
  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
};

}  // namespace ioring

#endif  // IORING_PROGRAM_PROGRAM_OUTPUT_H_

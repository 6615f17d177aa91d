// Batch: some entries of one directory, copied in one piece of blocking work.
//
// It does what takes a few system calls: small files, symbolic links, special files. The rest it
// passes on.
#ifndef IORING_COPY_BATCH_H_
#define IORING_COPY_BATCH_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "copy/options.h"

namespace ioring::copy {

inline constexpr size_t kBatchEntries = 32;
inline constexpr size_t kSmallFileBytes = 65536;
// Up to here it copies with Method::kAuto, in the kernel or piece by piece: what a ring does in
// parallel for a file costs more than it saves.
inline constexpr size_t kMediumFileBytes = 1 << 20;
// Once a batch has copied this much, it passes on what is larger than kSmallFileBytes: other
// threads copy meanwhile.
inline constexpr size_t kBatchBytes = 2 << 20;

enum class Outcome : uint8_t {
  kNotTried,  // the copy was stopped before
  kFile,      // copied, as each of the next two
  kSymbolicLink,
  kSpecialFile,
  kSkipped,    // complete already
  kDirectory,  // to be copied by others, as the next two
  kLargeFile,  // large, with holes, or with several names, or of a method that others know
  kNamedNode,  // a symbolic link or a special file with several names
  kFailed,     // nothing is there; `reason` says why
};

struct BatchEntry {
  std::string name;
  std::string target_name;    // at the destination; empty: the same
  bool is_file = false;       // the directory says that it is a regular file
  bool is_named = false;      // whoever passes it knows its other names: not kNamedNode
  bool is_asked_for = false;  // by the user: nobody has seen it before
  Outcome outcome = Outcome::kNotTried;
  uint64_t bytes = 0;  // of a file, copied or skipped
  // Why it failed, or what is wrong with what was copied: it changed meanwhile.
  std::string reason;
};

struct Batch {
  // Open directories; the caller's.
  int from = -1;
  int to = -1;  // not set in a dry run
  // Nothing but this copy has put anything into `to`.
  bool is_new = false;
  const Options* options = nullptr;
  const std::atomic<bool>* stop = nullptr;
  std::vector<BatchEntry> entries;  // at most kBatchEntries
};

// Blocks; any thread.
void CopyBatch(Batch& batch);

// "no such file or directory", as the system says it.
std::string ErrnoText(int error);

// What is wrong with a copy of a file that said that it has `told` bytes: it is another one now, or
// it has other bytes than it says.
std::string TextOfChange(uint64_t told, uint64_t copied);
std::string TextOfWrongSize(uint64_t told, uint64_t copied);

// Why an entry of a directory that nothing but this copy has put anything into cannot be copied:
// its name is in use there all the same.
inline constexpr std::string_view kNameIsTaken =
    "the destination takes its name for that of another entry, which this copy has put there "
    "(upper and lower case may be the same there): copy it under another name";

}  // namespace ioring::copy

#endif  // IORING_COPY_BATCH_H_

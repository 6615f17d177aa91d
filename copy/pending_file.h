// PendingFile: a new file that gets its name when it is complete.
//
//   PendingFile file;
//   if (int error = file.Create(directory); error != 0) ...
//   ... write to file.descriptor() ...
//   if (int error = file.Publish("name", NameInUse::kReplaced); error != 0) ...
//
// Effects: the file has no name, or a temporary one where the file system has no unnamed files.
// Publish replaces a file of that name, in one step, or leaves it. Without Publish the destructor
// leaves nothing. Threads: any, one at a time. All of these block. Functions return 0 or the
// negative of errno.
#ifndef IORING_COPY_PENDING_FILE_H_
#define IORING_COPY_PENDING_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ioring::copy {

// A name that nothing else has, and those of earlier copies that were killed.
std::string NewTemporaryName();
bool IsTemporaryName(std::string_view name);

// What becomes of an entry that has the name already.
enum class NameInUse : uint8_t {
  kReplaced,
  kKept,  // -EEXIST
};

// Gives the entry `temporary` the name `name`; where that fails, it removes `temporary`.
int RenameIntoPlace(int directory, const std::string& temporary, const char* name,
                    NameInUse in_use);

// What writes to the open file did not tell yet: network file systems tell it at a close, too late
// for who has given the file its name by then. So this closes a duplicate.
int CheckWrites(int file);

class PendingFile {
 public:
  PendingFile() = default;
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile();

  // `directory` stays the caller's, and open. A file without a name gets `permissions` (the umask,
  // or the directory's default list of access control, takes bits away); under a temporary name
  // nobody else may open it.
  int Create(int directory, mode_t permissions);
  bool is_unnamed() const { return file_ >= 0 && temporary_.empty(); }
  // Its descriptor, to be read and written, until Close.
  int descriptor() const { return file_; }
  // At most once: where it fails, the file is gone with this object.
  int Publish(const char* name, NameInUse in_use);
  // What a write could not tell may show here.
  int Close();

 private:
  int directory_ = -1;
  int file_ = -1;
  std::string temporary_;  // empty: it has no name, or its own
};

}  // namespace ioring::copy

#endif  // IORING_COPY_PENDING_FILE_H_

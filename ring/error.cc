#include "ring/error.h"

#include <array>
#include <string_view>

namespace ioring {
namespace {

struct Words {
  Error error;
  std::string_view name;
  std::string_view text;
};

// In the order of the enumerators.
constexpr std::array<Words, kErrorCount> kWords = {{
    {Error::kOk, "kOk", "nothing went wrong"},
    {Error::kCanceled, "kCanceled", "the operation was cancelled"},
    {Error::kBadId, "kBadId", "the id is stale, or this ring never gave it out"},
    {Error::kInvalidArgument, "kInvalidArgument", "an argument is not valid"},
    {Error::kBusy, "kBusy", "an operation of that kind is already in flight"},
    {Error::kNotFound, "kNotFound", "there is no such thing"},
    {Error::kNotSupported, "kNotSupported", "this socket, file or system cannot do that"},
    {Error::kNoBuffers, "kNoBuffers", "the buffer group is exhausted"},
    {Error::kNoMemory, "kNoMemory", "the system is out of memory, or of memory that may be locked"},
    {Error::kTooManyFiles, "kTooManyFiles", "the process or the system is out of descriptors"},
    {Error::kTooManyIds, "kTooManyIds", "the ring holds as many as its options allow"},
    {Error::kNoSpace, "kNoSpace", "the disk or the quota is full"},
    {Error::kMessageTooLong, "kMessageTooLong",
     "the message is longer than the memory or the network takes"},
    {Error::kConnectionReset, "kConnectionReset", "the peer reset the connection"},
    {Error::kConnectionRefused, "kConnectionRefused",
     "nothing accepts connections at that address"},
    {Error::kConnectionAborted, "kConnectionAborted", "the connection was aborted"},
    {Error::kNotConnected, "kNotConnected", "the socket is not connected"},
    {Error::kAlreadyConnected, "kAlreadyConnected", "the socket is already connected"},
    {Error::kBrokenPipe, "kBrokenPipe", "nothing can be sent on this connection any more"},
    {Error::kTimedOut, "kTimedOut", "the time was up"},
    {Error::kAddressInUse, "kAddressInUse", "the address is in use"},
    {Error::kAddressNotAvailable, "kAddressNotAvailable", "the address is not of this machine"},
    {Error::kNetworkUnreachable, "kNetworkUnreachable", "no route leads to that network"},
    {Error::kHostUnreachable, "kHostUnreachable", "no route leads to that machine"},
    {Error::kPermissionDenied, "kPermissionDenied", "permission was denied"},
    {Error::kAlreadyExists, "kAlreadyExists", "it exists already"},
    {Error::kIsDirectory, "kIsDirectory", "it is a directory"},
    {Error::kFileTooLarge, "kFileTooLarge", "the file would become too large"},
    {Error::kInputOutput, "kInputOutput", "the device reports an error"},
    {Error::kNotDirectory, "kNotDirectory", "it is no directory"},
    {Error::kNotEmpty, "kNotEmpty", "the directory is not empty"},
    {Error::kSymbolicLink, "kSymbolicLink",
     "it is a symbolic link that is not followed, or the path has too many of them"},
    {Error::kReadOnly, "kReadOnly", "the file system is read-only"},
    {Error::kDifferentFileSystem, "kDifferentFileSystem", "they lie on different file systems"},
    {Error::kNameTooLong, "kNameTooLong", "the name or the path is too long"},
    {Error::kUnknown, "kUnknown", "something went wrong that this library does not know"},
}};

constexpr bool IsInOrder() {
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (static_cast<size_t>(kWords[i].error) != i) return false;
  }
  return true;
}
static_assert(IsInOrder());

constexpr Words kNoError = {Error::kUnknown, "(no error of ioring)", "(no error of ioring)"};

const Words& WordsOf(Error error) {
  const auto index = static_cast<int32_t>(error);
  return index >= 0 && index < kErrorCount ? kWords[static_cast<size_t>(index)] : kNoError;
}

}  // namespace

std::string_view ErrorName(Error error) { return WordsOf(error).name; }

std::string_view ErrorText(Error error) { return WordsOf(error).text; }

}  // namespace ioring

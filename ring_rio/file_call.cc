#include "ring_rio/file_call.h"

#include <winioctl.h>
#include <winternl.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ring/file.h"
#include "ring/request.h"
#include "ring_rio/native_error.h"
#include "ring_rio/nt_path.h"
#include "ring_rio/windows_headers.h"

// ntdll's, which the headers of MSVC leave out.
extern "C" NTSTATUS NTAPI NtSetInformationFile(HANDLE file, PIO_STATUS_BLOCK io, PVOID information,
                                               ULONG length, FILE_INFORMATION_CLASS kind);

namespace ioring::rio {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
constexpr uint32_t kMayWrite = 0222;

// Of FILE_INFORMATION_CLASS, which does not name all of them. Those of "Ex" know POSIX' rules, from
// Windows 10 1709 on.
enum class Information : uint32_t {
  kRename = 10,
  kLink = 11,
  kDisposition = 13,
  kDispositionEx = 64,
  kRenameEx = 65,
};
constexpr ULONG kRenameReplaces = 1;
constexpr ULONG kRenameAsPosix = 2;
constexpr ULONG kDispositionDelete = 1;
constexpr ULONG kDispositionAsPosix = 2;
constexpr ULONG kDispositionIgnoresReadOnly = 0x10;

constexpr uint32_t kTagSymbolicLink = 0xA000000C;
constexpr uint32_t kTagJunction = 0xA0000003;

class OwnedHandle {
 public:
  OwnedHandle() = default;
  OwnedHandle(const OwnedHandle&) = delete;
  OwnedHandle& operator=(const OwnedHandle&) = delete;
  ~OwnedHandle() {
    if (handle_ != nullptr) CloseHandle(handle_);
  }
  HANDLE get() const { return handle_; }
  HANDLE* out() { return &handle_; }

 private:
  HANDLE handle_ = nullptr;
};

int LastCode() { return static_cast<int>(GetLastError()); }
// Of a call that says whether it succeeded.
int CodeOf(BOOL succeeded) { return succeeded ? 0 : LastCode(); }

// ---- Opening.

struct OpenMode {
  ACCESS_MASK access = 0;
  ULONG disposition = FILE_OPEN;
  ULONG options = 0;
  ULONG attributes = FILE_ATTRIBUTE_NORMAL;
};

int OpenNt(const NtPath& path, const OpenMode& mode, HANDLE* handle) {
  UNICODE_STRING name;
  name.Buffer = const_cast<wchar_t*>(path.name.c_str());  // it is only read
  constexpr size_t kNameMax = 0xFFFE / sizeof(wchar_t);
  if (path.name.size() > kNameMax) return ERROR_FILENAME_EXCED_RANGE;
  name.Length = static_cast<USHORT>(path.name.size() * sizeof(wchar_t));
  name.MaximumLength = name.Length;
  OBJECT_ATTRIBUTES attributes;
  InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, path.root, nullptr);
  IO_STATUS_BLOCK io = {};
  HANDLE opened = nullptr;
  const NTSTATUS status =
      NtCreateFile(&opened, mode.access | SYNCHRONIZE | FILE_READ_ATTRIBUTES, &attributes, &io,
                   nullptr, mode.attributes, kShareAll, mode.disposition, mode.options, nullptr, 0);
  if (status >= 0) *handle = opened;
  return NativeFromStatus(status);
}

// For calls on what the path names: a file or directory, or the symbolic link itself.
int OpenForCall(const PathAt& path, HANDLE directory, ACCESS_MASK access, FollowLink follow,
                OwnedHandle* handle) {
  NtPath resolved;
  if (const int code = ToNtPath(path.path, directory, &resolved); code != 0) return code;
  const ULONG reparse = follow == FollowLink::kYes ? 0 : FILE_OPEN_REPARSE_POINT;
  return OpenNt(resolved,
                {.access = access,
                 .options = FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_FOR_BACKUP_INTENT | reparse},
                handle->out());
}

struct Attributes {
  DWORD bits = 0;
  bool is_link = false;

  bool is_directory() const { return !is_link && (bits & FILE_ATTRIBUTE_DIRECTORY) != 0; }
};

// Those of what is no file are nothing. Not every file system knows tags.
Attributes AttributesOf(HANDLE handle) {
  FILE_ATTRIBUTE_TAG_INFO info = {};
  if (!GetFileInformationByHandleEx(handle, FileAttributeTagInfo, &info, sizeof(info))) {
    FILE_BASIC_INFO basic = {};
    GetFileInformationByHandleEx(handle, FileBasicInfo, &basic, sizeof(basic));
    return {.bits = basic.FileAttributes};
  }
  const bool is_link = (info.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 &&
                       (info.ReparseTag == kTagSymbolicLink || info.ReparseTag == kTagJunction);
  return {info.FileAttributes, is_link};
}

ACCESS_MASK AccessBits(const FileOptions& options) {
  if (options.directory) return FILE_LIST_DIRECTORY | FILE_TRAVERSE;
  ACCESS_MASK bits = 0;
  if (options.access != Access::kWrite) bits |= GENERIC_READ;
  if (options.access == Access::kRead) return bits;
  // Who may append and not write does so whatever the offset.
  return bits | (options.append ? FILE_APPEND_DATA | FILE_WRITE_ATTRIBUTES : GENERIC_WRITE);
}

// A link that is not followed would be emptied itself: see FinishUnfollowed.
ULONG DispositionOf(const FileOptions& options) {
  switch (options.create) {
    case Create::kIfNeeded:
      return FILE_OPEN_IF;
    case Create::kTruncate:
      return options.follow_link ? FILE_OVERWRITE_IF : FILE_OPEN_IF;
    case Create::kNew:
      return FILE_CREATE;
    case Create::kNever:
    case Create::kUnnamed:
      break;
  }
  return FILE_OPEN;
}

OpenMode ModeOf(const FileOptions& options) {
  ULONG bits = options.directory ? FILE_DIRECTORY_FILE | FILE_OPEN_FOR_BACKUP_INTENT
                                 : FILE_NON_DIRECTORY_FILE;
  if (options.direct_io) bits |= FILE_NO_INTERMEDIATE_BUFFERING;
  // A new file does not come into being where a link leads.
  if (!options.follow_link || options.create == Create::kNew) bits |= FILE_OPEN_REPARSE_POINT;
  const bool may_write = (options.permissions & kMayWrite) != 0;
  return {.access = AccessBits(options),
          .disposition = DispositionOf(options),
          .options = bits,
          .attributes =
              static_cast<ULONG>(may_write ? FILE_ATTRIBUTE_NORMAL : FILE_ATTRIBUTE_READONLY)};
}

int SetEnd(HANDLE handle, uint64_t size) {
  FILE_END_OF_FILE_INFO info;
  info.EndOfFile.QuadPart = static_cast<int64_t>(size);
  return CodeOf(SetFileInformationByHandle(handle, FileEndOfFileInfo, &info, sizeof(info)));
}

// A handle that may only append changes no size (AccessBits).
int Empty(HANDLE handle, bool appends) {
  if (!appends) return SetEnd(handle, 0);
  const HANDLE writing = ReOpenFile(handle, FILE_WRITE_DATA, kShareAll, 0);
  if (writing == INVALID_HANDLE_VALUE) return LastCode();
  const int code = SetEnd(writing, 0);
  CloseHandle(writing);
  return code;
}

// What is left to do to a file that was opened without following links.
int FinishUnfollowed(HANDLE handle, const FileOptions& options) {
  if (AttributesOf(handle).is_link) return ERROR_CANT_RESOLVE_FILENAME;
  return options.create == Create::kTruncate ? Empty(handle, options.append) : 0;
}

// ---- What a file is and has.

FileTime TimeOf(int64_t ticks) {
  constexpr int64_t kTicksPerSecond = 10'000'000;
  constexpr int64_t kSecondsTo1970 = 11'644'473'600;
  constexpr uint32_t kNanosPerTick = 100;
  if (ticks == 0) return {};
  return {ticks / kTicksPerSecond - kSecondsTo1970,
          static_cast<uint32_t>(ticks % kTicksPerSecond) * kNanosPerTick};
}

FileType TypeOf(const Attributes& attributes) {
  if (attributes.is_link) return FileType::kSymbolicLink;
  return attributes.is_directory() ? FileType::kDirectory : FileType::kRegular;
}

uint32_t PermissionsOf(const Attributes& attributes) {
  constexpr uint32_t kAll = 0777;
  constexpr uint32_t kReadAndWrite = 0666;
  if (attributes.is_link || attributes.is_directory()) return kAll;
  const bool is_read_only = (attributes.bits & FILE_ATTRIBUTE_READONLY) != 0;
  return is_read_only ? kReadAndWrite & ~kMayWrite : kReadAndWrite;
}

// Wine tells nothing of it.
void FillAlignments(HANDLE handle, FileInfo* info) {
  FILE_STORAGE_INFO storage = {};
  if (!GetFileInformationByHandleEx(handle, FileStorageInfo, &storage, sizeof(storage))) return;
  info->direct_io_offset_alignment = storage.LogicalBytesPerSector;
  info->direct_io_memory_alignment = storage.LogicalBytesPerSector;
}

uint64_t Joined(DWORD high, DWORD low) { return uint64_t{high} << 32 | low; }

int FillInfo(HANDLE handle, FileInfo* info) {
  switch (GetFileType(handle)) {
    case FILE_TYPE_PIPE:
      *info = {};
      info->type = FileType::kFifo;
      return 0;
    case FILE_TYPE_CHAR:
      *info = {};
      info->type = FileType::kCharacterDevice;
      return 0;
    default:
      break;
  }
  BY_HANDLE_FILE_INFORMATION file;
  FILE_BASIC_INFO basic;
  FILE_STANDARD_INFO standard;
  if (!GetFileInformationByHandle(handle, &file) ||
      !GetFileInformationByHandleEx(handle, FileBasicInfo, &basic, sizeof(basic)) ||
      !GetFileInformationByHandleEx(handle, FileStandardInfo, &standard, sizeof(standard))) {
    return LastCode();
  }
  const Attributes attributes = AttributesOf(handle);
  *info = {};
  info->type = TypeOf(attributes);
  info->permissions = PermissionsOf(attributes);
  info->links = file.nNumberOfLinks;
  info->size = static_cast<uint64_t>(standard.EndOfFile.QuadPart);
  info->allocated_bytes = static_cast<uint64_t>(standard.AllocationSize.QuadPart);
  info->device = file.dwVolumeSerialNumber;
  info->file_number = Joined(file.nFileIndexHigh, file.nFileIndexLow);
  info->accessed = TimeOf(basic.LastAccessTime.QuadPart);
  info->modified = TimeOf(basic.LastWriteTime.QuadPart);
  info->changed = TimeOf(basic.ChangeTime.QuadPart);
  info->born = TimeOf(basic.CreationTime.QuadPart);
  if (info->type == FileType::kRegular) FillAlignments(handle, info);
  return 0;
}

// ---- Space.

// A control of a handle that belongs to a completion port. The low bit of the event keeps the
// request's packet from there (GetQueuedCompletionStatus).
int Control(HANDLE handle, DWORD control, std::span<const std::byte> in, std::span<std::byte> out,
            DWORD* bytes) {
  OwnedHandle event;
  *event.out() = CreateEventW(nullptr, /*bManualReset=*/TRUE, FALSE, nullptr);
  if (event.get() == nullptr) return LastCode();
  OVERLAPPED overlapped = {};
  overlapped.hEvent = reinterpret_cast<HANDLE>(reinterpret_cast<uintptr_t>(event.get()) | 1);
  const BOOL done = DeviceIoControl(handle, control, const_cast<std::byte*>(in.data()),
                                    static_cast<DWORD>(in.size()), out.data(),
                                    static_cast<DWORD>(out.size()), nullptr, &overlapped);
  if (!done && GetLastError() != ERROR_IO_PENDING) return LastCode();
  return CodeOf(GetOverlappedResult(handle, &overlapped, bytes, TRUE));
}

int MakeSparse(HANDLE handle) {
  DWORD bytes = 0;
  return Control(handle, FSCTL_SET_SPARSE, {}, {}, &bytes);
}

int ZeroRange(HANDLE handle, uint64_t begin, uint64_t end) {
  FILE_ZERO_DATA_INFORMATION range;
  range.FileOffset.QuadPart = static_cast<int64_t>(begin);
  range.BeyondFinalZero.QuadPart = static_cast<int64_t>(end);
  DWORD bytes = 0;
  return Control(handle, FSCTL_SET_ZERO_DATA, std::as_bytes(std::span(&range, 1)), {}, &bytes);
}

int Reserve(HANDLE handle, uint64_t end, uint64_t allocated) {
  if ((AttributesOf(handle).bits & FILE_ATTRIBUTE_SPARSE_FILE) != 0) return ERROR_NOT_SUPPORTED;
  if (end <= allocated) return 0;
  FILE_ALLOCATION_INFO info;
  info.AllocationSize.QuadPart = static_cast<int64_t>(end);
  return CodeOf(SetFileInformationByHandle(handle, FileAllocationInfo, &info, sizeof(info)));
}

// ---- Names.

// As FILE_RENAME_INFORMATION and FILE_LINK_INFORMATION begin, before the name.
struct NewNameHead {
  ULONG flags;
  HANDLE root;
  ULONG name_bytes;
};
constexpr size_t kNameOffset = offsetof(NewNameHead, name_bytes) + sizeof(ULONG);

int SetInformation(HANDLE handle, Information kind, std::span<std::byte> value) {
  IO_STATUS_BLOCK io = {};
  return NativeFromStatus(NtSetInformationFile(handle, &io, value.data(),
                                               static_cast<ULONG>(value.size()),
                                               std::bit_cast<FILE_INFORMATION_CLASS>(kind)));
}

template <typename Value>
int SetValue(HANDLE handle, Information kind, Value value) {
  return SetInformation(handle, kind, std::as_writable_bytes(std::span(&value, 1)));
}

int SetName(HANDLE handle, const NtPath& name, Information kind, ULONG flags) {
  const size_t name_bytes = name.name.size() * sizeof(wchar_t);
  std::vector<std::byte> value(sizeof(NewNameHead) + name_bytes);
  const NewNameHead head = {flags, name.root, static_cast<ULONG>(name_bytes)};
  std::memcpy(value.data(), &head, kNameOffset);
  std::memcpy(value.data() + kNameOffset, name.name.data(), name_bytes);
  return SetInformation(handle, kind, value);
}

// The codes of a system or a file system that does not know the call.
bool IsUnknownCall(int code) {
  return code == ERROR_INVALID_PARAMETER || code == ERROR_INVALID_FUNCTION ||
         code == ERROR_NOT_SUPPORTED || code == ERROR_CALL_NOT_IMPLEMENTED;
}

int SetAttributes(HANDLE handle, DWORD bits) {
  FILE_BASIC_INFO info = {};  // times of 0 stay as they are, and so would attributes
  info.FileAttributes = bits == 0 ? FILE_ATTRIBUTE_NORMAL : bits;
  return CodeOf(SetFileInformationByHandle(handle, FileBasicInfo, &info, sizeof(info)));
}

// As kDispositionIgnoresReadOnly, on systems and file systems without it.
int RemoveInTheOldWay(HANDLE handle) {
  int code = SetValue(handle, Information::kDisposition, BOOLEAN{TRUE});
  const DWORD bits = AttributesOf(handle).bits;
  const bool is_read_only = (bits & FILE_ATTRIBUTE_READONLY) != 0;
  if (code == 0 || !is_read_only) return code;
  if (SetAttributes(handle, bits & ~DWORD{FILE_ATTRIBUTE_READONLY}) != 0) return code;
  code = SetValue(handle, Information::kDisposition, BOOLEAN{TRUE});
  if (code != 0) SetAttributes(handle, bits);
  return code;
}

int Remove(HANDLE handle) {
  const int code = SetValue(handle, Information::kDispositionEx,
                            kDispositionDelete | kDispositionAsPosix | kDispositionIgnoresReadOnly);
  return IsUnknownCall(code) ? RemoveInTheOldWay(handle) : code;
}

constexpr ACCESS_MASK kRemoving = DELETE | FILE_WRITE_ATTRIBUTES;

int OpenToRemove(const PathAt& path, HANDLE directory, OwnedHandle* handle) {
  const int code = OpenForCall(path, directory, kRemoving, FollowLink::kNo, handle);
  // Who may remove an entry of a directory need not be one who may change its attributes.
  if (code != ERROR_ACCESS_DENIED) return code;
  return OpenForCall(path, directory, DELETE, FollowLink::kNo, handle);
}

// What a symbolic link says.
int ReadTarget(HANDLE link, std::string* target) {
  constexpr size_t kBufferBytes = 16384;  // MAXIMUM_REPARSE_DATA_BUFFER_SIZE
  std::vector<std::byte> data(kBufferBytes);
  DWORD bytes = 0;
  if (const int code = Control(link, FSCTL_GET_REPARSE_POINT, {}, data, &bytes); code != 0) {
    return code;
  }
  const auto number = [&](size_t offset, auto value) {
    std::memcpy(&value, data.data() + offset, sizeof(value));
    return value;
  };
  // REPARSE_DATA_BUFFER: after the head, the place and the length of two names, and the names. The
  // second is the one for people, but need not be there.
  const bool is_symbolic = number(0, uint32_t{0}) == kTagSymbolicLink;
  const size_t names = is_symbolic ? 20 : 16;
  size_t offset = number(12, uint16_t{0});
  size_t length = number(14, uint16_t{0});
  if (length == 0) {
    offset = number(8, uint16_t{0});
    length = number(10, uint16_t{0});
  }
  if (names + offset + length > bytes) return ERROR_INVALID_DATA;
  std::wstring name(length / sizeof(wchar_t), L'\0');
  std::memcpy(name.data(), data.data() + names + offset, name.size() * sizeof(wchar_t));
  std::replace(name.begin(), name.end(), L'\\', L'/');
  *target = ToUtf8(name);
  return 0;
}

// Where a link at `link` leads.
bool LeadsToDirectory(const std::wstring& link, const std::wstring& target) {
  const std::wstring whole =
      IsAbsolutePath(target) ? target : JoinedPath(link.substr(0, link.rfind(L'\\')), target);
  const DWORD attributes = GetFileAttributesW(whole.c_str());
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

// ---- The calls. Each returns a code.

int Make(const request::Sync& /*call*/, const CallHandles& files) {
  return CodeOf(FlushFileBuffers(files.first));
}

int Make(const request::Stat& call, const CallHandles& files) {
  OwnedHandle handle;
  const int code = OpenForCall(call.path, files.first, 0, call.follow, &handle);
  return code != 0 ? code : FillInfo(handle.get(), call.info);
}

int Make(const request::StatFile& call, const CallHandles& files) {
  return FillInfo(files.first, call.info);
}

int Make(const request::Truncate& call, const CallHandles& files) {
  return SetEnd(files.first, call.size);
}

int Make(const request::Allocate& call, const CallHandles& files) {
  FILE_STANDARD_INFO info;
  if (!GetFileInformationByHandleEx(files.first, FileStandardInfo, &info, sizeof(info))) {
    return LastCode();
  }
  const auto size = static_cast<uint64_t>(info.EndOfFile.QuadPart);
  const uint64_t end = call.offset + call.length;
  const uint64_t end_in_file = std::min(end, size);
  int code = 0;
  switch (call.mode) {
    case AllocateMode::kExtend:
      if ((AttributesOf(files.first).bits & FILE_ATTRIBUTE_SPARSE_FILE) != 0) {
        return ERROR_NOT_SUPPORTED;
      }
      return end > size ? SetEnd(files.first, end) : 0;  // reserves the space, too
    case AllocateMode::kKeepSize:
      return Reserve(files.first, end, static_cast<uint64_t>(info.AllocationSize.QuadPart));
    case AllocateMode::kPunchHole:
      code = MakeSparse(files.first);
      if (code != 0 || call.offset >= size) return code;
      return ZeroRange(files.first, call.offset, end_in_file);
    case AllocateMode::kZero:
      if (call.offset < size) code = ZeroRange(files.first, call.offset, end_in_file);
      return code == 0 && end > size ? SetEnd(files.first, end) : code;
  }
  return ERROR_NOT_SUPPORTED;
}

int Make(const request::Advise& /*call*/, const CallHandles& /*files*/) { return 0; }

int Make(const request::Rename& call, const CallHandles& files) {
  if (call.mode == RenameMode::kExchange) return ERROR_NOT_SUPPORTED;
  NtPath to;
  if (const int code = ToNtPath(call.to.path, files.second, &to); code != 0) return code;
  OwnedHandle from;
  int code = OpenForCall(call.from, files.first, DELETE, FollowLink::kNo, &from);
  if (code != 0) return code;
  const ULONG replaces = call.mode == RenameMode::kReplace ? kRenameReplaces : 0;
  code = SetName(from.get(), to, Information::kRenameEx, replaces | kRenameAsPosix);
  return IsUnknownCall(code) ? SetName(from.get(), to, Information::kRename, replaces) : code;
}

int Make(const request::Link& call, const CallHandles& files) {
  NtPath name;
  if (const int code = ToNtPath(call.name.path, files.second, &name); code != 0) return code;
  OwnedHandle existing;
  const int code =
      OpenForCall(call.existing, files.first, FILE_WRITE_ATTRIBUTES, FollowLink::kNo, &existing);
  if (code != 0) return code;
  if (AttributesOf(existing.get()).is_directory()) return ERROR_ACCESS_DENIED;
  return SetName(existing.get(), name, Information::kLink, 0);
}

int Make(const request::LinkFile& /*call*/, const CallHandles& /*files*/) {
  return ERROR_NOT_SUPPORTED;
}

int Make(const request::Symlink& call, const CallHandles& files) {
  NtPath name;
  if (const int code = ToNtPath(call.name.path, files.first, &name); code != 0) return code;
  std::wstring target;
  if (!ToWide(call.target, &target)) return ERROR_NO_UNICODE_TRANSLATION;
  std::replace(target.begin(), target.end(), L'/', L'\\');
  const std::wstring link = Win32Path(name);
  if (link.empty()) return ERROR_PATH_NOT_FOUND;
  constexpr DWORD kWithoutPrivilege = 2;  // SYMBOLIC_LINK_FLAG_ALLOW_UNPRIVILEGED_CREATE
  const DWORD kind = LeadsToDirectory(link, target) ? SYMBOLIC_LINK_FLAG_DIRECTORY : 0;
  if (!CreateSymbolicLinkW(link.c_str(), target.c_str(), kind | kWithoutPrivilege)) {
    return LastCode();
  }
  // Wine says that it did, and did nothing.
  OwnedHandle made;
  if (OpenForCall(call.name, files.first, 0, FollowLink::kNo, &made) != 0) {
    return ERROR_NOT_SUPPORTED;
  }
  return AttributesOf(made.get()).is_link ? 0 : ERROR_ALREADY_EXISTS;
}

int Make(const request::Unlink& call, const CallHandles& files) {
  OwnedHandle handle;
  const int code = OpenToRemove(call.path, files.first, &handle);
  if (code != 0) return code;
  return AttributesOf(handle.get()).is_directory() ? kIsADirectory : Remove(handle.get());
}

int Make(const request::UnlinkDirectory& call, const CallHandles& files) {
  OwnedHandle handle;
  const int code = OpenToRemove(call.path, files.first, &handle);
  if (code != 0) return code;
  return AttributesOf(handle.get()).is_directory() ? Remove(handle.get()) : ERROR_DIRECTORY;
}

int Make(const request::MakeDirectory& call, const CallHandles& files) {
  NtPath path;
  if (const int code = ToNtPath(call.path.path, files.first, &path); code != 0) return code;
  OwnedHandle made;
  return OpenNt(
      path,
      {.access = FILE_LIST_DIRECTORY,
       .disposition = FILE_CREATE,
       .options = FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_FOR_BACKUP_INTENT},
      made.out());
}

int Make(const request::CopyRange& /*call*/, const CallHandles& /*files*/) {
  return ERROR_NOT_SUPPORTED;
}

// ---- The results.

template <typename Call>
int32_t ResultOf(const Call& call, const CallHandles& files) {
  return -Make(call, files);
}

int32_t ResultOf(const request::ReadLink& call, const CallHandles& files) {
  OwnedHandle link;
  int code = OpenForCall(call.path, files.first, 0, FollowLink::kNo, &link);
  if (code != 0) return -code;
  if (!AttributesOf(link.get()).is_link) return -ERROR_NOT_A_REPARSE_POINT;
  std::string target;
  code = ReadTarget(link.get(), &target);
  if (code != 0) return -code;
  if (target.size() > call.target.size()) return -ERROR_INSUFFICIENT_BUFFER;
  std::memcpy(call.target.data(), target.data(), target.size());
  return static_cast<int32_t>(target.size());
}

// In the order of request::FileCall.
constexpr std::array<const char*, std::variant_size_v<request::FileCall>> kNames = {
    "sync", "stat",    "stat",     "truncate", "allocate", "advise", "rename", "link",
    "link", "symlink", "readlink", "unlink",   "rmdir",    "mkdir",  "copy"};

}  // namespace

int32_t RunFileCall(const request::FileCall& call, const CallHandles& files) {
  return std::visit([&](const auto& one) { return ResultOf(one, files); }, call);
}

int32_t RunOpen(const request::Open& open, HANDLE directory, HANDLE* handle) {
  const FileOptions& options = open.options;
  if (options.create == Create::kUnnamed) return -ERROR_NOT_SUPPORTED;
  NtPath path;
  int code = ToNtPath(open.path.path, directory, &path);
  if (code == 0) code = OpenNt(path, ModeOf(options), handle);
  if (code != 0 || options.follow_link) return -code;
  code = FinishUnfollowed(*handle, options);
  if (code != 0) CloseHandle(*handle);
  return -code;
}

bool IsDirectory(HANDLE handle) { return AttributesOf(handle).is_directory(); }

const char* FileCallName(const request::FileCall& call) { return kNames[call.index()]; }

}  // namespace ioring::rio

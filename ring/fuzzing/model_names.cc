// What a completion may say of names of files, and what they are then.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/fuzzing/model.h"
#include "ring/id.h"

namespace ioring::fuzzing {
namespace {

using State = Named::State;

bool Has(const Operation& operation, int name) {
  return name != kNone && (operation.name == name || operation.new_name == name);
}

// One error for it is Linux', the other macOS'.
bool IsOfFolder(Error error) {
  return error == Error::kIsDirectory || error == Error::kPermissionDenied;
}

// Whether it is about what a symbolic link leads to.
bool Follows(const Operation& operation) {
  if (operation.kind == Kind::kStat) return operation.follow == FollowLink::kYes;
  return operation.kind == Kind::kOpen && operation.options.follow_link &&
         operation.options.create != FileOptions::Create::kNew;
}

// Whether both may be names of one file, or of one link.
bool MayBeOne(const Named& a, const Named& b) {
  const bool is_known = a.state != State::kUnknown && b.state != State::kUnknown;
  if (is_known && a.state != b.state) return false;
  for (const State state : {a.state, b.state}) {
    if (state == State::kMissing || state == State::kFolder) return false;
  }
  return a.number == b.number || a.number == 0 || b.number == 0;
}

// Two names of one file both stay. (POSIX; nothing is known where they may be of one.)
void Rename(Named& from, Named& to, RenameMode mode) {
  if (mode == RenameMode::kExchange) return std::swap(from, to);
  const bool may_be_one = MayBeOne(from, to);
  if (may_be_one && from.number == to.number && from.number != 0) return;
  to = std::exchange(from, Named{may_be_one ? State::kUnknown : State::kMissing});
}

// What a symbolic link is to lead to, or the memory for what one leads to.
std::string_view TargetOf(const Operation& operation) {
  return {reinterpret_cast<const char*>(operation.memory.data()), operation.memory.size()};
}

State StateOf(const FileInfo& info) {
  if (info.type == FileType::kDirectory) return State::kFolder;
  return info.type == FileType::kSymbolicLink ? State::kLink : State::kFile;
}

}  // namespace

// Operations that are not alone may change how many names a file has.
void Model::MarkRaces(Operation& operation) {
  for (auto& [token, other] : operations_) {
    if (&other == &operation || !IsAboutNames(other.kind)) continue;
    other.alone = false;
    operation.alone = false;
    if (!Has(other, operation.name) && !Has(other, operation.new_name)) continue;
    other.raced = true;
    operation.raced = true;
  }
}

bool Model::IsKnown(int name) const {
  return name == kNone || names[static_cast<size_t>(name)].has.state != State::kUnknown;
}

bool Model::OpenAllows(const Operation& operation, State state, Error error) const {
  const FileOptions& options = operation.options;
  const bool makes = options.create != FileOptions::Create::kNever;
  if (options.create == FileOptions::Create::kNew && state != State::kMissing) {
    return error == Error::kAlreadyExists;
  }
  switch (state) {
    case State::kMissing:
      return error == (makes ? Error::kOk : Error::kNotFound);
    case State::kFile:
      return error == (options.directory ? Error::kNotDirectory : Error::kOk);
    case State::kFolder:
      return error == (options.directory ? Error::kOk : Error::kIsDirectory);
    case State::kLink:
      // It leads nowhere. Where a directory is wanted, systems differ in which of two they tell.
      if (options.follow_link) return error == Error::kNotFound;
      return error == Error::kSymbolicLink || (options.directory && error == Error::kNotDirectory);
    case State::kUnknown:
      break;
  }
  return true;
}

bool Model::RenameAllows(const Operation& operation, Error error) const {
  const State from = names[static_cast<size_t>(operation.name)].has.state;
  const State to = names[static_cast<size_t>(operation.new_name)].has.state;
  const bool to_exists = to != State::kMissing;
  const bool may_exist = operation.rename != RenameMode::kNoReplace;
  if (operation.rename == RenameMode::kExchange) {
    const bool both = from != State::kMissing && to_exists;
    return error == Error::kNotSupported || error == (both ? Error::kOk : Error::kNotFound);
  }
  if (from == State::kMissing) {
    return error == Error::kNotFound || (!may_exist && to_exists && error == Error::kAlreadyExists);
  }
  if (!to_exists) return error == Error::kOk;
  if (!may_exist) return error == Error::kAlreadyExists;
  if (from != State::kFolder) {
    return to == State::kFolder ? IsOfFolder(error) : error == Error::kOk;
  }
  return error == (to == State::kFolder ? Error::kOk : Error::kNotDirectory);  // it is empty
}

bool Model::LinkAllows(const Operation& operation, Error error) const {
  const State existing = names[static_cast<size_t>(operation.name)].has.state;
  const bool in_use = names[static_cast<size_t>(operation.new_name)].has.state != State::kMissing;
  if (in_use && error == Error::kAlreadyExists) return true;
  if (existing == State::kMissing) return error == Error::kNotFound;
  if (existing == State::kFolder) return error == Error::kPermissionDenied;
  return !in_use && error == Error::kOk;
}

bool Model::ReadLinkAllows(const Operation& operation, Error error) const {
  const Named& has = names[static_cast<size_t>(operation.name)].has;
  if (has.state == State::kMissing) return error == Error::kNotFound;
  if (has.state != State::kLink) return error == Error::kInvalidArgument;
  if (has.target.empty()) return error == Error::kOk || error == Error::kMessageTooLong;
  const bool fits = operation.memory.size() >= has.target.size();
  return error == (fits ? Error::kOk : Error::kMessageTooLong);
}

// Whether this is what the operation ends with, as the names are now.
bool Model::NamesAllow(const Operation& operation, Error error) const {
  if (operation.opened != kNone) return error == Error::kNotFound;  // in a folder that is empty
  const State state = names[static_cast<size_t>(operation.name)].has.state;
  if (operation.raced || !IsKnown(operation.name) || !IsKnown(operation.new_name)) {
    static constexpr std::array kAny = {
        Error::kOk,           Error::kNotFound,       Error::kAlreadyExists,
        Error::kIsDirectory,  Error::kNotDirectory,   Error::kPermissionDenied,
        Error::kSymbolicLink, Error::kMessageTooLong, Error::kInvalidArgument,
        Error::kNotSupported};
    return std::find(kAny.begin(), kAny.end(), error) != kAny.end();
  }
  switch (operation.kind) {
    case Kind::kOpen:
      return OpenAllows(operation, state, error);
    case Kind::kStat: {
      const bool leads_nowhere = state == State::kLink && Follows(operation);
      return error == (state == State::kMissing || leads_nowhere ? Error::kNotFound : Error::kOk);
    }
    case Kind::kMakeFolder:
      return error == (state == State::kMissing ? Error::kOk : Error::kAlreadyExists);
    case Kind::kRename:
      return RenameAllows(operation, error);
    case Kind::kLink:
      return LinkAllows(operation, error);
    case Kind::kSymlink:
      if (state != State::kMissing) return error == Error::kAlreadyExists;
      // Windows asks for a privilege.
      return error == Error::kOk || error == Error::kPermissionDenied;
    case Kind::kReadLink:
      return ReadLinkAllows(operation, error);
    case Kind::kUnlink:
      if (state == State::kFolder) return IsOfFolder(error);
      return error == (state == State::kMissing ? Error::kNotFound : Error::kOk);
    case Kind::kRemoveFolder:
      if (state == State::kFile || state == State::kLink) return error == Error::kNotDirectory;
      return error == (state == State::kMissing ? Error::kNotFound : Error::kOk);
    default:
      return false;
  }
}

void Model::CompleteNames(const Operation& operation, const Completion& completion) {
  if (!NamesAllow(operation, Error::kOk)) {
    return Breach(completion, operation, "the names do not allow that");
  }
  if (operation.kind == Kind::kOpen) CompleteOpened(operation, completion);
  const bool tells = operation.kind == Kind::kOpen || operation.kind == Kind::kReadLink;
  if (!tells && completion.result != 0) {
    return Breach(completion, operation, "it completes with 0");
  }
  if (operation.kind == Kind::kStat && !operation.raced) CompleteStat(operation, completion);
  if (operation.kind == Kind::kReadLink) CompleteReadLink(operation, completion);
  SetNames(operation, completion);
}

// How many names a file has is known if nothing else was about names meanwhile.
void Model::CompleteStat(const Operation& operation, const Completion& completion) {
  const FileInfo& info = *operation.info;
  const Named& has = names[static_cast<size_t>(operation.name)].has;
  if (has.state == State::kUnknown) return;
  if (StateOf(info) != has.state) return Breach(completion, operation, "it is of another type");
  const std::pair numbers(info.device, info.file_number);
  uint64_t links = 0;
  bool all_known = operation.alone && has.number != 0;
  for (const Name& other : names) {
    links += other.has.number == has.number;
    all_known = all_known && other.has.state != State::kUnknown &&
                (other.has.number != 0 || other.has.state == State::kMissing);
    const auto found = file_numbers.find(other.has.number);
    if (!operation.alone || has.number == 0 || found == file_numbers.end()) continue;
    if ((other.has.number == has.number) != (found->second == numbers)) {
      return Breach(completion, operation, "it is another file");
    }
  }
  if (has.number != 0) file_numbers[has.number] = numbers;
  if (all_known && has.state != State::kFolder && info.links != links) {
    Breach(completion, operation,
           absl::StrCat("it tells of ", info.links, " names, but it has ", links));
  }
}

void Model::CompleteReadLink(const Operation& operation, const Completion& completion) {
  const auto size = static_cast<size_t>(completion.result);
  if (size == 0 || size > operation.memory.size()) {
    return Breach(completion, operation, "more than asked for, or nothing");
  }
  const std::string_view target = TargetOf(operation).substr(0, size);
  const Named& has = names[static_cast<size_t>(operation.name)].has;
  if (operation.raced || has.target.empty() || has.target == target) return;
  Breach(completion, operation, absl::StrCat("it leads to ", has.target, ", not to ", target));
}

void Model::CompleteOpened(const Operation& operation, const Completion& completion) {
  const FileId id = completion.file();
  for (const OpenedFile& other : opened) {
    if (other.id == id) return Breach(completion, operation, "that id was given out before");
  }
  if (file.open && file.id == id) Breach(completion, operation, "that id is another file's");
  opened.push_back({id, /*open=*/true, operation.options.directory});
}

// What has raced leaves names of which nothing is known, until an operation tells by itself.
void Model::SetNames(const Operation& operation, const Completion& completion) {
  if (operation.name == kNone) return;
  Named& has = names[static_cast<size_t>(operation.name)].has;
  Named* const other =
      operation.new_name == kNone ? nullptr : &names[static_cast<size_t>(operation.new_name)].has;
  if (operation.raced || completion.error() == Error::kTooManyIds) {
    has = {State::kUnknown};
    if (other != nullptr) *other = {State::kUnknown};
    return;
  }
  // A link that leads nowhere is there.
  if (completion.error() == Error::kNotFound && other == nullptr && !Follows(operation)) has = {};
  if (!completion.ok()) return;
  const auto turns_out = [&](State state) {
    if (has.state != state) has = {state};
  };
  switch (operation.kind) {
    case Kind::kOpen:
      if (has.state == State::kMissing) has = {State::kFile, completion.token.value};
      return turns_out(operation.options.directory ? State::kFolder : State::kFile);
    case Kind::kStat:
      return turns_out(StateOf(*operation.info));
    case Kind::kReadLink:
      turns_out(State::kLink);
      has.target = TargetOf(operation).substr(0, static_cast<size_t>(completion.result));
      return;
    case Kind::kMakeFolder:
      has = {State::kFolder, completion.token.value};
      return;
    case Kind::kSymlink:
      has = {State::kLink, completion.token.value, std::string(TargetOf(operation))};
      return;
    case Kind::kLink:
      *other = has;
      return;
    case Kind::kRename:
      return Rename(has, *other, operation.rename);
    default:
      has = {};
      return;
  }
}

}  // namespace ioring::fuzzing

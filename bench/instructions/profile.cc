#include "bench/instructions/profile.h"

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

// One line of /proc/PID/maps.
struct Mapping {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string file;
};

std::vector<Mapping> ReadMappings(pid_t process) {
  std::vector<Mapping> mappings;
  std::ifstream file(absl::StrCat("/proc/", process, "/maps"));
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string range, rights, offset, device, inode;
    Mapping mapping;
    words >> range >> rights >> offset >> device >> inode >> mapping.file;
    char* rest = nullptr;
    mapping.begin = std::strtoull(range.c_str(), &rest, 16);
    mapping.end = std::strtoull(rest + 1, nullptr, 16);
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

// nm's letter for a symbol.
bool IsCode(char kind) { return kind == 't' || kind == 'T' || kind == 'w' || kind == 'W'; }

// Names by the addresses at which functions begin, as they are in the file.
std::map<uint64_t, std::string> ReadSymbols(const std::string& program) {
  std::map<uint64_t, std::string> symbols;
  std::FILE* const pipe =
      popen(absl::StrCat("nm --demangle --defined-only '", program, "' 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return symbols;
  char line[4096];
  while (std::fgets(line, sizeof(line), pipe) != nullptr) {
    char* rest = nullptr;
    const uint64_t address = std::strtoull(line, &rest, 16);
    if (rest == line || !IsCode(rest[1])) continue;
    std::string_view name = rest + 3;
    symbols[address] = std::string(name.substr(0, name.find('\n')));
  }
  pclose(pipe);
  return symbols;
}

}  // namespace

std::vector<FunctionCount> CountByFunction(
    pid_t process, std::span<const std::pair<uint64_t, uint64_t>> counts_by_address) {
  std::error_code error;
  const std::string program =
      std::filesystem::read_symlink(absl::StrCat("/proc/", process, "/exe"), error).string();
  const std::vector<Mapping> mappings = ReadMappings(process);
  const std::map<uint64_t, std::string> symbols = ReadSymbols(program);
  // A program that may lie anywhere counts its addresses from its first mapping.
  uint64_t base = 0;
  for (const Mapping& mapping : mappings) {
    if (mapping.file == program && base == 0) base = mapping.begin;
  }
  if (base <= 0x400000) base = 0;  // it may not
  std::map<std::string, uint64_t> functions;
  for (const auto& [address, count] : counts_by_address) {
    const uint64_t at = address;
    const auto mapping = std::find_if(mappings.begin(), mappings.end(), [at](const Mapping& one) {
      return one.begin <= at && at < one.end;
    });
    std::string name = mapping == mappings.end() ? "?" : mapping->file;
    if (name == program) {
      const auto next = symbols.upper_bound(address - base);
      if (next != symbols.begin()) name = std::prev(next)->second;
    } else {
      name = absl::StrCat("[", std::filesystem::path(name).filename().string(), "]");
    }
    functions[name] += count;
  }
  std::vector<FunctionCount> sorted;
  sorted.reserve(functions.size());
  for (const auto& [name, count] : functions) sorted.push_back({name, count});
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& one, const auto& other) {
    return one.instructions > other.instructions;
  });
  return sorted;
}

}  // namespace ioring

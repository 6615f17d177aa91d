#include "ring/endpoint.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace ioring {
namespace {

using Ipv4Address = std::array<uint8_t, 4>;
using Ipv6Address = std::array<uint8_t, 16>;
using Ipv6Groups = std::array<uint16_t, 8>;

constexpr std::string_view kHowToWrite =
    "write it like 127.0.0.1:7777, [::1]:7777 or unix:/run/echo.sock";

absl::Status Malformed(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("the endpoint \"", absl::CHexEscape(text), "\" ", why));
}

bool IsAllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// Digits only. No leading zeros: some read them as octal.
std::optional<uint32_t> ParseDecimal(std::string_view text, uint64_t max) {
  if (!IsAllDigits(text) || text.size() > 10 || (text.size() > 1 && text[0] == '0')) {
    return std::nullopt;
  }
  uint64_t value = 0;
  for (char digit : text) value = value * 10 + static_cast<uint64_t>(digit - '0');
  if (value > max) return std::nullopt;
  return static_cast<uint32_t>(value);
}

// What stands before the first `separator`; `rest` becomes what stands after it, or unset
// where there is none.
std::string_view CutAt(char separator, std::optional<std::string_view>& rest) {
  const std::string_view all = *rest;
  const size_t position = all.find(separator);
  if (position == std::string_view::npos) {
    rest.reset();
    return all;
  }
  rest = all.substr(position + 1);
  return all.substr(0, position);
}

std::optional<Ipv4Address> ParseIpv4(std::string_view text) {
  Ipv4Address address;
  std::optional<std::string_view> rest = text;
  for (uint8_t& octet : address) {
    if (!rest.has_value()) return std::nullopt;
    const std::optional<uint32_t> value = ParseDecimal(CutAt('.', rest), 255);
    if (!value.has_value()) return std::nullopt;
    octet = static_cast<uint8_t>(*value);
  }
  if (rest.has_value()) return std::nullopt;
  return address;
}

std::optional<uint16_t> ParseGroup(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  uint32_t value = 0;
  for (char digit : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(digit))) return std::nullopt;
    const int nibble = absl::ascii_isdigit(static_cast<unsigned char>(digit))
                           ? digit - '0'
                           : absl::ascii_tolower(static_cast<unsigned char>(digit)) - 'a' + 10;
    value = value << 4 | static_cast<uint32_t>(nibble);
  }
  return static_cast<uint16_t>(value);
}

// Groups separated by single colons, the last two maybe as IPv4; none for an empty text.
// Returns how many there are, at most `groups.size()`.
std::optional<size_t> ParseGroups(std::string_view text, Ipv6Groups& groups) {
  size_t count = 0;
  std::optional<std::string_view> rest;
  if (!text.empty()) rest = text;
  while (rest.has_value()) {
    const std::string_view piece = CutAt(':', rest);
    if (!rest.has_value() && absl::StrContains(piece, '.')) {
      const std::optional<Ipv4Address> ipv4 = ParseIpv4(piece);
      if (!ipv4.has_value() || count + 2 > groups.size()) return std::nullopt;
      groups[count++] = static_cast<uint16_t>((*ipv4)[0] << 8 | (*ipv4)[1]);
      groups[count++] = static_cast<uint16_t>((*ipv4)[2] << 8 | (*ipv4)[3]);
      continue;
    }
    const std::optional<uint16_t> group = ParseGroup(piece);
    if (!group.has_value() || count == groups.size()) return std::nullopt;
    groups[count++] = *group;
  }
  return count;
}

std::optional<Ipv6Groups> ParseIpv6Groups(std::string_view text) {
  Ipv6Groups groups{};
  const size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (ParseGroups(text, groups) != groups.size()) return std::nullopt;
    return groups;
  }
  const std::string_view head = text.substr(0, gap);
  // IPv4 comes last or not at all.
  if (absl::StrContains(head, '.')) return std::nullopt;
  const std::optional<size_t> head_count = ParseGroups(head, groups);
  Ipv6Groups tail;
  const std::optional<size_t> tail_count = ParseGroups(text.substr(gap + 2), tail);
  // The gap stands for at least one group.
  if (!head_count.has_value() || !tail_count.has_value() ||
      *head_count + *tail_count >= groups.size()) {
    return std::nullopt;
  }
  std::fill(groups.begin() + *head_count, groups.end(), uint16_t{0});
  std::copy_n(tail.begin(), *tail_count, groups.end() - *tail_count);
  return groups;
}

std::optional<Ipv6Address> ParseIpv6(std::string_view text) {
  const std::optional<Ipv6Groups> groups = ParseIpv6Groups(text);
  if (!groups.has_value()) return std::nullopt;
  Ipv6Address address;
  for (size_t i = 0; i < groups->size(); ++i) {
    address[2 * i] = static_cast<uint8_t>((*groups)[i] >> 8);
    address[2 * i + 1] = static_cast<uint8_t>((*groups)[i] & 0xff);
  }
  return address;
}

bool IsScopeName(std::string_view text) {
  return !text.empty() && text.size() <= Endpoint::kScopeNameBytesMax && !IsAllDigits(text) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isgraph(static_cast<unsigned char>(c)) &&
                  !absl::StrContains("/:%[]", c);
         });
}

std::string Ipv4ToString(const uint8_t* octets) {
  return absl::StrCat(octets[0], ".", octets[1], ".", octets[2], ".", octets[3]);
}

// The prefixes that say that the last 32 bits are IPv4: ::ffff:0:0/96 (mapped) and
// 64:ff9b::/96 (translated, RFC 6052).
bool HoldsIpv4(const Ipv6Groups& groups) {
  constexpr std::array<uint16_t, 6> kMapped = {0, 0, 0, 0, 0, 0xffff};
  constexpr std::array<uint16_t, 6> kTranslated = {0x64, 0xff9b, 0, 0, 0, 0};
  return std::equal(kMapped.begin(), kMapped.end(), groups.begin()) ||
         std::equal(kTranslated.begin(), kTranslated.end(), groups.begin());
}

// The longest run of two zero groups or more, the first of equals: [begin, end).
std::pair<size_t, size_t> LongestZeros(const Ipv6Groups& groups, size_t count) {
  std::pair<size_t, size_t> longest = {count, count};
  size_t longest_size = 1;
  for (size_t begin = 0; begin < count;) {
    size_t end = begin;
    while (end < count && groups[end] == 0) ++end;
    if (end - begin > longest_size) {
      longest = {begin, end};
      longest_size = end - begin;
    }
    begin = end + 1;
  }
  return longest;
}

// RFC 5952.
std::string Ipv6ToString(const Ipv6Address& address) {
  Ipv6Groups groups;
  for (size_t i = 0; i < groups.size(); ++i) {
    groups[i] = static_cast<uint16_t>(address[2 * i] << 8 | address[2 * i + 1]);
  }
  const bool holds_ipv4 = HoldsIpv4(groups);
  const size_t count = holds_ipv4 ? groups.size() - 2 : groups.size();
  const auto [gap_begin, gap_end] = LongestZeros(groups, count);
  std::string text;
  for (size_t i = 0; i < count;) {
    if (i == gap_begin) {
      absl::StrAppend(&text, "::");
      i = gap_end;
      continue;
    }
    if (!text.empty() && text.back() != ':') absl::StrAppend(&text, ":");
    absl::StrAppend(&text, absl::Hex(groups[i]));
    ++i;
  }
  if (holds_ipv4) {
    absl::StrAppend(&text, text.back() == ':' ? "" : ":", Ipv4ToString(&address[12]));
  }
  return text;
}

struct HostAndPort {
  std::string_view host;
  uint16_t port;
};

// "HOST:PORT", where HOST may be in brackets, which go.
absl::StatusOr<HostAndPort> SplitHostAndPort(std::string_view text) {
  size_t host_end;
  if (absl::StartsWith(text, "[")) {
    host_end = text.find(']');
    if (host_end == std::string_view::npos) return Malformed(text, "lacks the closing ']'");
    ++host_end;
  } else {
    host_end = text.rfind(':');
    if (host_end != text.find(':')) {
      return Malformed(text, "has more than one ':'; write IPv6 in brackets, like [::1]:7777");
    }
  }
  if (host_end >= text.size()) {
    return Malformed(text, absl::StrCat("has no port; ", kHowToWrite));
  }
  if (text[host_end] != ':') return Malformed(text, "has something else than ':' after the ']'");
  const std::optional<uint32_t> port = ParseDecimal(text.substr(host_end + 1), 65535);
  if (!port.has_value()) {
    return Malformed(text, "has a port that is no number from 0 to 65535 without leading zeros");
  }
  return HostAndPort{text.substr(0, host_end), static_cast<uint16_t>(*port)};
}

absl::Status NoIpv4Address(std::string_view text, std::string_view host) {
  if (host.empty()) {
    return Malformed(text, "has no address; every address of this machine is 0.0.0.0 or [::]");
  }
  if (host.find_first_not_of("0123456789.") != std::string_view::npos) {
    return Malformed(
        text, absl::StrCat("has no numeric address, and names are not looked up; ", kHowToWrite));
  }
  return Malformed(text,
                   "has no IPv4 address: that is four numbers from 0 to 255, without leading "
                   "zeros, with dots between");
}

}  // namespace

Endpoint Endpoint::Ipv4(std::array<uint8_t, 4> address, uint16_t port) {
  Endpoint endpoint;
  endpoint.family_ = Family::kIpv4;
  endpoint.port_ = port;
  std::copy(address.begin(), address.end(), endpoint.address_.begin());
  return endpoint;
}

Endpoint Endpoint::Ipv6(std::array<uint8_t, 16> address, uint16_t port, uint32_t scope_id) {
  Endpoint endpoint;
  endpoint.family_ = Family::kIpv6;
  endpoint.port_ = port;
  endpoint.scope_id_ = scope_id;
  endpoint.address_ = address;
  return endpoint;
}

Endpoint Endpoint::Ipv4Loopback(uint16_t port) { return Ipv4({127, 0, 0, 1}, port); }

Endpoint Endpoint::Ipv6Loopback(uint16_t port) {
  return Ipv6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port);
}

absl::StatusOr<Endpoint> Endpoint::Unix(std::string_view path) {
  if (path.empty() || path == std::string_view("\0", 1)) {
    return absl::InvalidArgumentError("a Unix-domain endpoint needs a path or a name");
  }
  if (path.size() > kUnixPathBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the Unix-domain path \"", absl::CHexEscape(path), "\" has ", path.size(),
                     " bytes, but at most ", kUnixPathBytesMax, " fit; choose a shorter one"));
  }
  if (path[0] != '\0' && absl::StrContains(path, '\0')) {
    return absl::InvalidArgumentError(
        absl::StrCat("the Unix-domain path \"", absl::CHexEscape(path), "\" has a NUL in it"));
  }
  // Printed, it could not be told from a name of the abstract namespace.
  if (path[0] == '@') {
    return absl::InvalidArgumentError(
        absl::StrCat("the Unix-domain path \"", absl::CHexEscape(path),
                     "\" begins with '@', which marks abstract names; write ./", path));
  }
  Endpoint endpoint;
  endpoint.family_ = Family::kUnix;
  endpoint.path_bytes_ = static_cast<uint8_t>(path.size());
  std::copy(path.begin(), path.end(), endpoint.text_.begin());
  return endpoint;
}

absl::StatusOr<Endpoint> Endpoint::Parse(std::string_view text) {
  if (text.empty()) return Malformed(text, absl::StrCat("is empty; ", kHowToWrite));
  if (std::string_view path = text; absl::ConsumePrefix(&path, "unix:")) {
    if (absl::ConsumePrefix(&path, "@")) return Unix(absl::StrCat(std::string_view("\0", 1), path));
    return Unix(path);
  }
  const absl::StatusOr<HostAndPort> parts = SplitHostAndPort(text);
  if (!parts.ok()) return parts.status();
  std::string_view host = parts->host;
  if (!absl::ConsumePrefix(&host, "[")) {
    const std::optional<Ipv4Address> ipv4 = ParseIpv4(host);
    if (!ipv4.has_value()) return NoIpv4Address(text, host);
    return Ipv4(*ipv4, parts->port);
  }
  std::optional<std::string_view> scope = host.substr(0, host.size() - 1);
  const std::optional<Ipv6Address> ipv6 = ParseIpv6(CutAt('%', scope));
  if (!ipv6.has_value()) return Malformed(text, "has no IPv6 address in its brackets");
  Endpoint endpoint = Ipv6(*ipv6, parts->port);
  if (!scope.has_value()) return endpoint;
  const std::optional<uint32_t> scope_id = ParseDecimal(*scope, ~uint32_t{0});
  if (scope_id.value_or(0) != 0) {
    endpoint.scope_id_ = *scope_id;
    return endpoint;
  }
  if (!IsScopeName(*scope)) {
    return Malformed(text,
                     "has a scope after the '%' that is no interface: neither a number from 1 to "
                     "4294967295 nor a name such as eth0");
  }
  std::copy(scope->begin(), scope->end(), endpoint.text_.begin());
  return endpoint;
}

std::string Endpoint::ToString() const {
  switch (family_) {
    case Family::kNone:
      return "(none)";
    case Family::kIpv4:
      return absl::StrCat(Ipv4ToString(address_.data()), ":", port_);
    case Family::kIpv6: {
      const std::string scope =
          scope_id_ != 0 ? absl::StrCat(scope_id_) : std::string(scope_name());
      return absl::StrCat("[", Ipv6ToString(address_), scope.empty() ? "" : "%", scope,
                          "]:", port_);
    }
    case Family::kUnix:
      if (!path().empty() && path()[0] == '\0') return absl::StrCat("unix:@", path().substr(1));
      return absl::StrCat("unix:", path());
  }
  return "(none)";
}

std::string_view Endpoint::scope_name() const {
  return family_ == Family::kIpv6 ? std::string_view(text_.data()) : std::string_view();
}

std::string_view Endpoint::path() const {
  return family_ == Family::kUnix ? std::string_view(text_.data(), path_bytes_)
                                  : std::string_view();
}

}  // namespace ioring

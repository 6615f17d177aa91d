// A DNS server (RFC 1035) over UDP, for addresses of IPv4.
//
//   dns_server [ADDRESS [NAME=IPV4]...]
//
// It listens on ADDRESS (127.0.0.1:0 unless said), and is the authority for the names that are
// given: "dns_server 127.0.0.1:5300 one.test=10.0.0.1", "dig @127.0.0.1 -p 5300 one.test".
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "examples/example_main.h"
#include "program/program_output.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/error_status.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/retries.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

constexpr std::chrono::seconds kDrainTime{10};
// What a query may have; longer ones are dropped.
constexpr size_t kQueryBytesMax = 1232;
constexpr size_t kHeaderBytes = 12;
constexpr size_t kLabelBytesMax = 63;
constexpr size_t kNameBytesMax = 254;  // without the length of 0 that ends a name
constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypeAny = 255;
constexpr uint16_t kClassInternet = 1;
constexpr uint32_t kSecondsToLive = 60;

// RFC 1035, 4.1.1.
enum class Code : uint8_t {
  kNoError = 0,
  kFormatError = 1,
  kNameError = 3,
  kNotImplemented = 4,
  kRefused = 5,
};

using Address = std::array<uint8_t, 4>;
// By names as they are in messages: "\3one\4test", in lower case.
using Zone = absl::flat_hash_map<std::string, Address>;

struct Question {
  std::string name;  // as in Zone
  uint16_t type = 0;
  uint16_t network_class = 0;
  size_t end = 0;  // in the message
};

uint16_t NumberAt(std::span<const uint8_t> message, size_t at) {
  return static_cast<uint16_t>(message[at] << 8 | message[at + 1]);
}

// The question of a message that has one. Nothing where it is malformed.
std::optional<Question> ParseQuestion(std::span<const uint8_t> message) {
  Question question;
  size_t at = kHeaderBytes;
  while (at < message.size() && message[at] != 0) {
    const size_t label = message[at];
    if (label > kLabelBytesMax || label >= message.size() - at) return std::nullopt;
    at += 1 + label;
  }
  const size_t name_bytes = at - kHeaderBytes;
  // The length of 0, type and class.
  if (name_bytes > kNameBytesMax || message.size() - at < 5) return std::nullopt;
  // Lengths are below the code of 'A', and stay as they are.
  for (uint8_t byte : message.subspan(kHeaderBytes, name_bytes)) {
    question.name += absl::ascii_tolower(byte);
  }
  question.type = NumberAt(message, at + 1);
  question.network_class = NumberAt(message, at + 3);
  question.end = at + 5;
  return question;
}

// Makes the header of a query that of its answer.
void WriteHeader(std::span<uint8_t> message, Code code, uint8_t questions, uint8_t answers) {
  // A response, with authority; the query's operation and wish for recursion.
  message[2] = static_cast<uint8_t>(0x84 | (message[2] & 0x79));
  message[3] = static_cast<uint8_t>(code);
  const std::array<uint8_t, 8> counts = {0, questions, 0, answers, 0, 0, 0, 0};
  std::copy(counts.begin(), counts.end(), message.begin() + 4);
}

// Name (that of the question, by its place), type, class, time to live, length, address.
using Record = std::array<uint8_t, 16>;
Record MakeRecord(const Address& a) {
  return {0xc0, kHeaderBytes,   0, kTypeA, 0,    kClassInternet, 0,    0,
          0,    kSecondsToLive, 0, 4,      a[0], a[1],           a[2], a[3]};
}

// Makes an answer of the query that is the first `size` bytes; there is room for a Record after
// them. The bytes of the answer; 0: there is none to such a message.
size_t Answer(std::span<uint8_t> message, size_t size, const Zone& zone) {
  if (size < kHeaderBytes || (message[2] & 0x80) != 0) return 0;  // an answer
  const auto fail = [&](Code code) {
    WriteHeader(message, code, 0, 0);
    return kHeaderBytes;
  };
  if ((message[2] & 0x78) != 0) return fail(Code::kNotImplemented);
  if (NumberAt(message, 4) != 1) return fail(Code::kFormatError);
  const std::optional<Question> question = ParseQuestion(message.first(size));
  if (!question.has_value()) return fail(Code::kFormatError);
  if (question->network_class != kClassInternet) return fail(Code::kRefused);
  const auto found = zone.find(question->name);
  if (found == zone.end()) {
    WriteHeader(message, Code::kNameError, 1, 0);
    return question->end;
  }
  if (question->type != kTypeA && question->type != kTypeAny) {
    WriteHeader(message, Code::kNoError, 1, 0);
    return question->end;
  }
  WriteHeader(message, Code::kNoError, 1, 1);
  const Record record = MakeRecord(found->second);
  std::copy(record.begin(), record.end(), message.subspan(question->end).begin());
  return question->end + record.size();
}

class DnsServer {
 public:
  static absl::StatusOr<std::unique_ptr<DnsServer>> Create(const Endpoint& listen, Zone zone) {
    absl::StatusOr<CreatedRing> created =
        CreateRing({.max_connections = 1, .wake_token = MakeToken(Kind::kStop)});
    if (!created.ok()) return created.status();
    std::unique_ptr<DnsServer> server(new DnsServer(std::move(zone), *std::move(created)));
    absl::StatusOr<ConnectionId> socket = server->ring_->OpenDatagram(listen);
    if (!socket.ok()) return socket.status();
    server->socket_ = *socket;
    return server;
  }

  // Serves until the program is asked to stop, or receiving fails. Once.
  absl::Status Run() {
    const StopWakes stop_wakes(*ring_);
    absl::StatusOr<Endpoint> endpoint = ring_->LocalEndpoint(socket_);
    if (!endpoint.ok()) return endpoint.status();
    absl::PrintF("listening on %s; %d names; %s\n", endpoint->ToString(), zone_.size(), report_);
    if (absl::Status status = FlushOutput(); !status.ok()) return status;
    GoOn();
    while (!stopping_ && status_.ok()) {
      ring_->SubmitAndWait();
      for (const Completion& done : ring_->Completions()) Handle(done);
      GoOn();
      retries_.Offer();
    }
    retries_.Clear();
    status_.Update(Drain(*ring_, std::chrono::steady_clock::now() + kDrainTime));
    return status_;
  }

 private:
  enum class Kind : uint8_t { kRecv, kSend, kStop };
  struct Packet {
    std::array<uint8_t, kQueryBytesMax + sizeof(Record)> bytes;
    size_t size = 0;
    Endpoint peer;
  };

  DnsServer(Zone zone, CreatedRing created)
      : zone_(std::move(zone)),
        report_(std::move(created.report)),
        ring_(std::move(created.ring)),
        retries_(*ring_) {}

  void Handle(const Completion& done) {
    switch (KindOf<Kind>(done.token)) {
      case Kind::kRecv:
        return OnRecv(done);
      case Kind::kSend:
        // A client that cannot be reached asks again.
        sending_ = false;
        ++sent_;
        return;
      case Kind::kStop:
        stopping_ = true;
        return;
    }
  }

  void OnRecv(const Completion& done) {
    receiving_ = false;
    Packet& packet = PacketAt(received_);
    if (done.ok()) {
      packet.size = Answer(packet.bytes, static_cast<size_t>(done.result), zone_);
      if (packet.size > 0) ++received_;
      return;
    }
    switch (done.error()) {
      case Error::kMessageTooLong:
      case Error::kConnectionRefused:  // these two where a client did not wait for its answer
      case Error::kConnectionReset:
        return;
      default:
        status_ = ToStatus(done.error(), "receiving");
    }
  }

  void GoOn() {
    if (!receiving_ && received_ - sent_ < packets_.size()) {
      receiving_ = true;
      Packet& packet = PacketAt(received_);
      retries_.Prepare([socket = socket_, &packet](Ring& on) {
        const auto memory = std::as_writable_bytes(std::span(packet.bytes)).first(kQueryBytesMax);
        return on.PrepareRecvFrom(socket, memory, &packet.peer, MakeToken(Kind::kRecv));
      });
    }
    if (!sending_ && sent_ < received_) {
      sending_ = true;
      const Packet& packet = PacketAt(sent_);
      retries_.Prepare([socket = socket_, &packet](Ring& on) {
        const auto memory = std::as_bytes(std::span(packet.bytes)).first(packet.size);
        return on.PrepareSendTo(socket, memory, packet.peer, MakeToken(Kind::kSend));
      });
    }
  }

  Packet& PacketAt(uint64_t number) { return packets_[number % packets_.size()]; }

  const Zone zone_;
  const std::string report_;
  // A socket has one receive and one send in flight. Between them answers wait: from number `sent_`
  // to `received_`. The next is received into the packet after them, while there is a free one.
  std::array<Packet, 256> packets_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  bool receiving_ = false;
  bool sending_ = false;
  bool stopping_ = false;
  absl::Status status_;
  const std::unique_ptr<Ring> ring_;
  Retries retries_;
  ConnectionId socket_;
};

// "one.test=10.0.0.1".
absl::Status AddName(std::string_view text, Zone& zone) {
  const std::pair<std::string_view, std::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  std::string name;
  bool is_name = true;
  for (std::string_view label : absl::StrSplit(parts.first, '.')) {
    is_name &= !label.empty() && label.size() <= kLabelBytesMax;
    absl::StrAppend(&name, std::string(1, static_cast<char>(label.size())),
                    absl::AsciiStrToLower(label));
  }
  const absl::StatusOr<Endpoint> address = Endpoint::Parse(absl::StrCat(parts.second, ":0"));
  if (!is_name || name.size() > kNameBytesMax || !address.ok() ||
      address->family() != Endpoint::Family::kIpv4) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no NAME=IPV4, such as one.test=10.0.0.1"));
  }
  std::copy_n(address->address().begin(), sizeof(Address), zone[name].begin());
  return absl::OkStatus();
}

absl::Status ParseAndServe(std::span<char* const> arguments) {
  if (absl::Status status = BeginOutput(); !status.ok()) return status;
  absl::StatusOr<Endpoint> listen =
      Endpoint::Parse(arguments.size() > 1 ? arguments[1] : "127.0.0.1:0");
  if (!listen.ok()) return listen.status();
  if (listen->family() == Endpoint::Family::kUnix) {
    return absl::InvalidArgumentError(
        absl::StrCat(listen->ToString(), ": DNS is asked over UDP: give an IP address and a port"));
  }
  Zone zone;
  for (size_t i = 2; i < arguments.size(); ++i) {
    if (absl::Status status = AddName(arguments[i], zone); !status.ok()) return status;
  }
  absl::StatusOr<std::unique_ptr<DnsServer>> server = DnsServer::Create(*listen, std::move(zone));
  if (!server.ok()) return server.status();
  return (*server)->Run();
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  const std::span<char* const> arguments(argv, static_cast<size_t>(argc));
  return ioring::ExitCode("dns_server", ioring::ParseAndServe(arguments));
}

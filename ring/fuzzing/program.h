// Program: one random program, from its seed to its verdict.
#ifndef IORING_RING_FUZZING_PROGRAM_H_
#define IORING_RING_FUZZING_PROGRAM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ring/endpoint.h"
#include "ring/fuzzing/fuzz.h"
#include "ring/fuzzing/model.h"
#include "ring/fuzzing/random.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring::fuzzing {

class Program {
 public:
  // How long what must happen may take. Only failures take it.
  static constexpr std::chrono::seconds kPatience{10};

  struct Limits {
    // Of the program's steps only so many are done.
    uint32_t steps = ~uint32_t{0};
    // Steps of these names, between commas, are left out.
    std::string without;
    bool trace = false;
  };

  Program(const FuzzBackend& backend, uint64_t seed, const Limits& limits);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  // Empty, or what was wrong. Does not destroy what a failure left in flight.
  std::string Run();
  // Operations may still use the program's memory: it must not be destroyed. Only after a failure.
  bool alive() const { return alive_; }
  // Steps that were done.
  uint32_t steps() const { return step_; }
  const std::vector<std::string>& log() const { return model_->log(); }

 private:
  using Step = bool (Program::*)();
  // What a program does more of than others, so that its operations meet. Other steps are kOther.
  enum class About : uint8_t { kAll, kOther, kFile, kNames, kPipes };
  struct Choice {
    Step step;
    uint32_t weight;
    std::string_view name;
    About about = About::kOther;
  };
  static std::span<const Choice> Choices();

  // ---- Making things. They return false where nothing came of it.
  bool OpenListener();
  bool CloseListener();
  bool OpenPair();
  bool OpenDatagramPair();
  bool OpenDatagram();
  bool MakeGroup();
  bool GrowGroup();
  bool DropGroup();
  bool MakeBuffer();
  bool DropBuffer();
  bool OpenFile();
  bool CloseFile();
  bool Unregister();

  // ---- Operations.
  bool Accept();
  bool Connect();
  bool Recv();
  bool Send();
  bool RecvSlice();
  bool SendSlice();
  bool Managed();
  bool RecvFrom();
  bool SendTo();
  bool Shutdown();
  bool Close();
  bool Poll();
  bool PollRemove();
  bool Timeout();
  bool TimeoutAt();
  bool Deadline();
  bool DeadlineOnToken(Operation operation);
  bool DeadlineOnDirection(Operation operation);
  bool Cancel();
  bool CancelConnection();
  bool CancelAll();
  bool FileOperation();
  bool FileSlice();
  bool FileRange();
  bool SendFile();
  bool OpenName();
  bool CloseOpened();
  bool StatName();
  bool StatInFolder();
  bool MakeFolder();
  bool RemoveFolder();
  bool Unlink();
  bool Rename();
  bool Link();
  bool Symlink();
  bool ReadLink();
  bool OpenPipe();
  bool PipeRead();
  bool PipeWrite();
  bool ClosePipe();
  bool Work();
  bool Nops();

  // ---- The rest.
  bool Submit();
  bool Wait();
  bool WaitOnly();
  bool Take();
  bool ReturnBuffers();
  bool Wake();

  bool RegisterPair(Connection::Sort sort);
  RingOptions MakeOptions(const FuzzBackend& backend, Random random) const;
  void RunStep();
  // Prepares it, if need be after a submit; then it is the model's. Null where it is refused.
  template <typename Prepare>
  Operation* Start(Operation operation, Prepare prepare);
  void WaitFor(std::chrono::nanoseconds timeout, bool submit);

  // A connection to work on: mostly one that is open. kNone: an id that names none, in `id`.
  int PickConnection(ConnectionId& id);
  int PickSort(Connection::Sort sort, ConnectionId& id);
  int PickGroup();
  uint64_t PickToken();
  uint32_t PickSize();
  // A file that was opened; kNone where there is none.
  int PickOpened();
  // An operation on an end of one of the pipes, which there must be.
  Operation OnPipe(Kind kind, size_t end);
  bool StartPipeTransfer(Operation operation);
  // An operation about one of the names.
  Operation OnName(Kind kind);
  template <typename Prepare>
  bool StartOnName(Operation operation, Prepare prepare);
  // Whether an operation on the file may begin, as far as what the file holds is to be known.
  bool FileIsFree(const Operation& operation) const;
  // A place in the file, and how it is said.
  uint64_t PickPlace(Operation& operation);
  void PickRange(Operation& operation);
  // Memory of that size, in one piece or in parts. A write to the file is of new content.
  void FillTransfer(Operation& operation, uint32_t size);
  void FillParts(Operation& operation);
  // A read or write of a slice, of parts or of one piece.
  bool StartTransfer(Operation operation, FileId file, uint64_t offset);
  bool StartManagedRead(Operation operation, FileId file, uint64_t offset);
  std::chrono::nanoseconds PickDelay();
  // A slice and what is known of it; false where it and another operation must not share memory.
  bool PickSlice(Operation& operation);
  Operation OnConnection(Kind kind, int connection) const;
  // A send's bytes, as its stream or a new datagram wants them.
  void FillSend(Operation& operation, int to);
  bool MayCross(int connection);
  int DatagramPeer(int connection) const;

  // ---- The end.
  void Settle();
  void AwaitExpected();
  // Until nothing of the kind is left, or the program has failed.
  template <typename Predicate>
  void AwaitNone(std::string_view what, Predicate predicate);
  void ReturnAll();
  void CloseAll();
  void StopAll();
  void DrainAll();
  // One operation, and what it ends with.
  template <typename Prepare>
  void RunAtRest(std::string_view what, bool must_succeed, Prepare prepare);
  void ReadWholeFile();
  void RemoveNames();
  void Release();
  void Abandon();

  const FuzzBackend& backend_;
  const uint64_t seed_;
  const uint32_t steps_max_;
  const std::string without_;
  const About about_;
  Random random_;
  uint32_t step_ = 0;
  bool zero_copy_ = false;
  bool alive_ = false;
  std::unique_ptr<Model> model_;
};

}  // namespace ioring::fuzzing

#endif  // IORING_RING_FUZZING_PROGRAM_H_

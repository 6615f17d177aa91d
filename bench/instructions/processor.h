// What single-stepping must know of a processor: its registers, and a few of its instructions.
//
// x86-64 and AArch64. Where the processor is another one, `kSupported` is false and nothing else
// is of use.
#ifndef IORING_BENCH_INSTRUCTIONS_PROCESSOR_H_
#define IORING_BENCH_INSTRUCTIONS_PROCESSOR_H_

#include <sys/user.h>

#include <cstdint>
#include <string_view>

namespace ioring::processor {

// What an instruction is, as far as it matters here.
enum class Kind : uint8_t {
  kOrdinary,
  kIndirectCall,  // through a register or memory: virtual functions, pointers to functions
  kSystemCall,
  kTrap,  // Trap() below
};

#if defined(__x86_64__)

inline constexpr bool kSupported = true;
inline constexpr std::string_view kName = "x86-64";
using Registers = user_regs_struct;

// Stops the traced program at the instruction after it.
[[gnu::always_inline]] inline void Trap() { asm volatile("int3" ::: "memory"); }

inline uint64_t Address(const Registers& registers) { return registers.rip; }
// At a system call's instruction: which one.
inline uint64_t SystemCall(const Registers& registers) { return registers.rax; }
// After a stop that a trap caused: nothing, as the address is behind it already.
inline bool SkipTrap(Registers&) { return false; }

// `code`: the 8 bytes at its address, the first in the lowest bits.
inline Kind Classify(uint64_t code) {
  if ((code & 0xffff) == 0x050f) return Kind::kSystemCall;
  if ((code & 0xff) == 0xcc) return Kind::kTrap;
  if ((code & 0xff) == 0x3e) code >>= 8;           // notrack
  if ((code & 0xf0) == 0x40) code >>= 8;           // REX
  const bool is_call = (code & 0x38ff) == 0x10ff;  // FF /2
  return is_call ? Kind::kIndirectCall : Kind::kOrdinary;
}

#elif defined(__aarch64__)

inline constexpr bool kSupported = true;
inline constexpr std::string_view kName = "aarch64";
using Registers = user_regs_struct;

[[gnu::always_inline]] inline void Trap() { asm volatile("brk #0" ::: "memory"); }

inline uint64_t Address(const Registers& registers) { return registers.pc; }
inline uint64_t SystemCall(const Registers& registers) { return registers.regs[8]; }
// The address is still the trap's: true, as the registers must be written back.
inline bool SkipTrap(Registers& registers) {
  registers.pc += 4;
  return true;
}

inline Kind Classify(uint64_t code) {
  const auto instruction = static_cast<uint32_t>(code);
  if (instruction == 0xd4000001) return Kind::kSystemCall;                   // svc #0
  if (instruction == 0xd4200000) return Kind::kTrap;                         // brk #0
  if ((instruction & 0xfffffc1f) == 0xd63f0000) return Kind::kIndirectCall;  // blr
  return Kind::kOrdinary;
}

#else

inline constexpr bool kSupported = false;
inline constexpr std::string_view kName = "an unknown processor";
struct Registers {};
inline void Trap() {}
inline uint64_t Address(const Registers&) { return 0; }
inline uint64_t SystemCall(const Registers&) { return 0; }
inline bool SkipTrap(Registers&) { return false; }
inline Kind Classify(uint64_t) { return Kind::kOrdinary; }

#endif

}  // namespace ioring::processor

#endif  // IORING_BENCH_INSTRUCTIONS_PROCESSOR_H_

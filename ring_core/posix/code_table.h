// A table from a system's error codes to Error, made when the program is compiled.
#ifndef IORING_RING_CORE_POSIX_CODE_TABLE_H_
#define IORING_RING_CORE_POSIX_CODE_TABLE_H_

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "ring/error.h"

namespace ioring::posix {

struct CodeRow {
  int code;  // errno's value: positive
  std::string_view name;
  Error error;
};

// Any thread. `rows` outlive the table. Of two rows with one code the first counts.
class CodeTable {
 public:
  constexpr explicit CodeTable(std::span<const CodeRow> rows) : rows_(rows) {
    errors_.fill(Error::kUnknown);
    errors_[0] = Error::kOk;
    for (const CodeRow& row : rows) {
      if (!IsSmall(row.code)) continue;
      Error& error = errors_[static_cast<size_t>(row.code)];
      if (error == Error::kUnknown) error = row.error;
    }
  }

  // kUnknown for a code without a row; 0 is kOk. O(1) for codes below 256, O(rows) for others.
  constexpr Error ErrorOf(int code) const {
    if (IsSmall(code)) return errors_[static_cast<size_t>(code)];
    const CodeRow* const row = Find(code);
    return row == nullptr ? Error::kUnknown : row->error;
  }

  // "unnamed" for a code without a row. O(rows).
  constexpr std::string_view NameOf(int code) const {
    const CodeRow* const row = Find(code);
    return row == nullptr ? "unnamed" : row->name;
  }

 private:
  // Most codes of all systems are below. Some are not: EDQUOT is 1133 on MIPS (Linux's
  // asm/errno.h), and libc++ has codes from 9900 on of its own for names that a system lacks, such
  // as ETIME on FreeBSD and OpenBSD (its errno.h).
  static constexpr size_t kSmallEnd = 256;

  static constexpr bool IsSmall(int code) {
    return code >= 0 && static_cast<size_t>(code) < kSmallEnd;
  }

  constexpr const CodeRow* Find(int code) const {
    for (const CodeRow& row : rows_) {
      if (row.code == code) return &row;
    }
    return nullptr;
  }

  std::span<const CodeRow> rows_;
  std::array<Error, kSmallEnd> errors_{};
};

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_CODE_TABLE_H_

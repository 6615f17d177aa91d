// Inode: a file, a directory or a symbolic link of a simulated disk; and an open one.
#ifndef IORING_RING_SIM_INODE_H_
#define IORING_RING_SIM_INODE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "ring/file.h"
#include "ring_sim/content.h"

namespace ioring::sim {

struct Inode {
  Inode(uint64_t its_number, FileType its_type, std::shared_ptr<uint64_t> used)
      : number(its_number), type(its_type), content(std::move(used)) {}
  // The same inode on another disk; without names, and without entries.
  Inode(const Inode& other, std::shared_ptr<uint64_t> used)
      : number(other.number),
        type(other.type),
        permissions(other.permissions),
        accessed_ns(other.accessed_ns),
        modified_ns(other.modified_ns),
        changed_ns(other.changed_ns),
        born_ns(other.born_ns),
        content(other.content, std::move(used)),
        target(other.target) {}

  bool is_directory() const { return type == FileType::kDirectory; }
  bool is_regular() const { return type == FileType::kRegular; }

  const uint64_t number;  // on its disk
  const FileType type;
  uint32_t permissions = 0;
  uint32_t names = 0;
  bool may_get_name = false;  // it was opened without one
  // Of the world's clock.
  int64_t accessed_ns = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;
  int64_t born_ns = 0;

  Content content;                                        // of a regular file
  std::map<std::string, std::shared_ptr<Inode>> entries;  // of a directory
  std::weak_ptr<Inode> parent;                            // of a directory
  std::string target;                                     // of a symbolic link
};

struct OpenedFile {
  std::shared_ptr<Inode> inode;
  FileOptions options;
  uint64_t position = 0;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_INODE_H_

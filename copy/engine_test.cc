#include "copy/engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/system.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

// Bytes of which no two pieces are alike.
std::string Content(size_t size) {
  std::string content(size, '\0');
  uint32_t state = 1;
  for (char& c : content) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return content;
}

struct Case {
  BackendKind backend;
  Method method;
};

class EngineTest : public testing::TestWithParam<Case> {
 protected:
  absl::Status Copy(const std::vector<std::string>& sources, std::string_view destination) {
    options_.method = GetParam().method;
    std::vector<std::string> paths;
    for (const std::string& source : sources) paths.push_back(folder_.Path(source));
    engine_ = std::make_unique<Engine>(Maker(), options_);
    return engine_->Run(paths, folder_.Path(destination));
  }
  MakeRing Maker() {
    return [this](const RingOptions& wanted) -> absl::StatusOr<std::unique_ptr<Ring>> {
      absl::StatusOr<CreatedRing> created = CreateRing(wanted, GetParam().backend);
      if (!created.ok()) return created.status();
      ++rings_;
      return std::move(created->ring);
    };
  }
  // Whether the tests' file system has direct I/O.
  bool HasDirect() const {
    folder_.Write("direct", "");
    const int file = openat(folder_.handle(), "direct", O_RDONLY | O_CLOEXEC);
    const bool has = system::SetDirect(file, true) == 0;
    close(file);
    return has;
  }
  const Report& report() const { return engine_->report(); }
  std::string Problems() const {
    std::string text;
    for (const Problem& problem : report().problems) {
      absl::StrAppend(&text, problem.path, ": ", problem.reason, "\n");
    }
    return text;
  }

  TestFolder folder_;
  Options options_;
  int rings_ = 0;  // made
  std::unique_ptr<Engine> engine_;
};

TEST_P(EngineTest, CopiesALargeFileOfAnySize) {
  options_.chunk_bytes = 4096;
  options_.depth = 5;
  for (const size_t size : {65537u, 65536u + 4096u, 1000003u}) {
    folder_.Write("from", Content(size));
    ASSERT_TRUE(Copy({"from"}, "to").ok());
    EXPECT_EQ(Problems(), "");
    EXPECT_EQ(folder_.Read("to"), folder_.Read("from"));
  }
}

TEST_P(EngineTest, HolesStayHoles) {
  folder_.Write("from", Content(5000));
  ASSERT_EQ(truncate(folder_.Path("from").c_str(), 8 << 20), 0);
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(Problems(), "");
  EXPECT_EQ(folder_.Look("to").st_size, 8 << 20);
  EXPECT_LT(folder_.Look("to").st_blocks * 512, 1 << 20);
  EXPECT_TRUE(folder_.Read("to") == folder_.Read("from"));
}

TEST_P(EngineTest, VerifiesAndResumes) {
  options_.verify = true;
  folder_.Write("from", Content(300000));
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(Problems(), "");
  options_.resume = true;
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(report().counters.skipped, 1u);
  EXPECT_EQ(report().counters.files, 0u);
}

TEST_P(EngineTest, VerifiesAnEmptyFileOfSeveralNames) {
  options_.verify = true;
  folder_.MakeDirectory("from");
  folder_.Write("from/a", "");
  ASSERT_EQ(link(folder_.Path("from/a").c_str(), folder_.Path("from/b").c_str()), 0);
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(Problems(), "");
  EXPECT_EQ(folder_.Look("to/b").st_nlink, 2u);
}

TEST_P(EngineTest, CopiesATreeOfManyDirectoriesAndNames) {
  std::string deep = "from";
  for (int i = 0; i < 60; ++i) absl::StrAppend(&deep, "/d");
  folder_.MakeDirectory(deep);
  for (int i = 0; i < 40; ++i) {
    folder_.MakeDirectory(absl::StrCat("from/wide", i));
    folder_.Write(absl::StrCat("from/wide", i, "/file"), absl::StrCat(i));
  }
  folder_.Write(absl::StrCat(deep, "/file"), Content(70000));
  ASSERT_EQ(link(folder_.Path(deep + "/file").c_str(), folder_.Path("from/also").c_str()), 0);
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(Problems(), "");
  EXPECT_EQ(report().counters.directories, 101u);
  EXPECT_EQ(report().counters.hard_links, 1u);
  EXPECT_EQ(folder_.Look("to/also").st_nlink, 2u);
  EXPECT_EQ(folder_.Read("to/wide39/file"), "39");
  EXPECT_TRUE(folder_.Read("to" + deep.substr(4) + "/file") == Content(70000));
}

TEST_P(EngineTest, DirectCopiesAreWholeWhateverTheirSize) {
  if (!HasDirect()) GTEST_SKIP() << "the tests' file system has no direct I/O";
  options_.direct_chunk_bytes = 8192;
  options_.direct_depth = 3;
  options_.direct = Direct::kAlways;
  const bool has_it = GetParam().method != Method::kKernel && GetParam().method != Method::kManaged;
  for (const size_t size : {65537u, 65536u + 4096u, 1000003u}) {
    folder_.Write("from", Content(size));
    for (const bool verify : {false, true}) {
      options_.verify = verify;
      ASSERT_EQ(Copy({"from"}, "to").ok(), has_it);
      if (!has_it) continue;
      EXPECT_EQ(Problems(), "");
      EXPECT_EQ(report().counters.direct_files, 1u);
      EXPECT_TRUE(folder_.Read("to") == folder_.Read("from"));
    }
  }
}

TEST_P(EngineTest, DirectCopiesKeepHoles) {
  if (!HasDirect()) GTEST_SKIP() << "the tests' file system has no direct I/O";
  options_.direct = Direct::kAuto;
  options_.direct_bytes_min = 100000;
  const bool has_it = GetParam().method != Method::kKernel && GetParam().method != Method::kManaged;
  folder_.Write("from", Content(5000));
  ASSERT_EQ(truncate(folder_.Path("from").c_str(), 8 << 20), 0);
  std::ofstream(folder_.Path("from"), std::ios::app) << "the end";
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(Problems(), "");
  EXPECT_EQ(report().counters.direct_files, has_it ? 1u : 0u);
  EXPECT_EQ(folder_.Look("to").st_size, (8 << 20) + 7);
  EXPECT_LT(folder_.Look("to").st_blocks * 512, 1 << 20);
  EXPECT_TRUE(folder_.Read("to") == folder_.Read("from"));
  // What the cache holds goes through it.
  folder_.Write("from", Content(99999));
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(report().counters.direct_files, 0u);
}

INSTANTIATE_TEST_SUITE_P(Methods, EngineTest,
                         testing::Values(Case{BackendKind::kAuto, Method::kAuto},
                                         Case{BackendKind::kAuto, Method::kFixed},
                                         Case{BackendKind::kAuto, Method::kManaged},
                                         Case{BackendKind::kAuto, Method::kPlain},
                                         Case{BackendKind::kAuto, Method::kKernel},
                                         Case{BackendKind::kEpoll, Method::kAuto},
                                         Case{BackendKind::kEpoll, Method::kManaged},
                                         Case{BackendKind::kEpoll, Method::kKernel}),
                         [](const testing::TestParamInfo<Case>& parameter) {
                           return absl::StrCat(BackendKindName(parameter.param.backend), "_",
                                               MethodName(parameter.param.method));
                         });

// What does not depend on the method.
class EngineErrorsTest : public EngineTest {};
INSTANTIATE_TEST_SUITE_P(Backends, EngineErrorsTest,
                         testing::Values(Case{BackendKind::kAuto, Method::kAuto},
                                         Case{BackendKind::kEpoll, Method::kAuto}),
                         [](const testing::TestParamInfo<Case>& parameter) {
                           return std::string(BackendKindName(parameter.param.backend));
                         });

TEST_P(EngineErrorsTest, SmallFilesNeedNoRing) {
  folder_.Write("one", "text");
  folder_.Write("two", "more");
  folder_.MakeDirectory("to");
  ASSERT_TRUE(Copy({"one", "two"}, "to").ok());
  EXPECT_EQ(rings_, 0);
  EXPECT_EQ(folder_.Read("to/two"), "more");
  EXPECT_EQ(report().counters.found, 2u);
  EXPECT_TRUE(report().counters.is_listed);
  // Nor does a small directory, but one with a directory in it does.
  folder_.MakeDirectory("small");
  folder_.Write("small/file", "text");
  ASSERT_TRUE(Copy({"small"}, "to").ok());
  EXPECT_EQ(rings_, 0);
  EXPECT_EQ(folder_.Read("to/small/file"), "text");
  EXPECT_EQ(report().counters.found, 2u);
  EXPECT_EQ(report().counters.directories, 1u);
  folder_.MakeDirectory("small/inside");
  folder_.Write("small/inside/file", "more");
  ASSERT_TRUE(Copy({"small"}, "to").ok());
  EXPECT_EQ(rings_, 1);
  EXPECT_EQ(folder_.Read("to/small/inside/file"), "more");
  EXPECT_EQ(report().counters.found, 4u);
}

TEST_P(EngineErrorsTest, SeveralRingsShareATree) {
  // Each directory has more than one visit takes, so that it can be handed over, and names of files
  // that others copy.
  std::vector<std::string> folders;
  for (int i = 0; i < 6; ++i) {
    for (int j = 0; j < 4; ++j) folders.push_back(absl::StrCat("from/", i, "/", j));
  }
  for (const std::string& folder : folders) {
    folder_.MakeDirectory(folder);
    for (int i = 0; i < 40; ++i) {
      folder_.Write(absl::StrCat(folder, "/", i), absl::StrCat(folder, i));
    }
    const std::string first = folder_.Path(folders.front() + "/0");
    if (folder != folders.front()) {
      ASSERT_EQ(link(first.c_str(), folder_.Path(folder + "/linked").c_str()), 0);
    }
  }
  options_.rings = 3;
  for (int round = 0; round < 5; ++round) {
    const std::string to = absl::StrCat("to", round);
    ASSERT_TRUE(Copy({"from"}, to).ok());
    EXPECT_EQ(Problems(), "");
    EXPECT_EQ(report().counters.directories, 31u);
    EXPECT_EQ(report().counters.files, 24u * 40u);
    EXPECT_EQ(report().counters.hard_links, 23u);
    EXPECT_EQ(folder_.Look(to + "/0/0/0").st_nlink, 24u);
    for (const std::string& folder : folders) {
      ASSERT_EQ(folder_.Read(absl::StrCat(to, folder.substr(4), "/39")), absl::StrCat(folder, 39));
      ASSERT_EQ(ModifiedTime(folder_.Look(to + folder.substr(4))).tv_nsec,
                ModifiedTime(folder_.Look(folder)).tv_nsec);
    }
  }
  EXPECT_EQ(rings_, 15);
}

TEST_P(EngineErrorsTest, TellsWhatCannotBeCopiedAndCopiesTheRest) {
  folder_.MakeDirectory("from/sub");
  folder_.MakeDirectory("to/taken");
  folder_.Write("from/taken", "a file, and a directory there");
  folder_.Write("from/sub/good", "text");
  folder_.Write("to/file", "no directory");
  ASSERT_TRUE(Copy({"from/.", "none"}, "to").ok());
  EXPECT_EQ(Problems(),
            absl::StrCat(folder_.Path("from/."), "/taken: the destination is a directory\n",
                         folder_.Path("none"), ": it does not exist\n"));
  EXPECT_EQ(report().counters.problems, 2u);
  EXPECT_EQ(folder_.Read("to/sub/good"), "text");
}

TEST_P(EngineErrorsTest, ADirectoryDoesNotReplaceAFileOrFollowALink) {
  folder_.MakeDirectory("from/sub");
  folder_.Write("from/sub/name", "text");
  folder_.MakeDirectory("to");
  folder_.MakeDirectory("outside");
  ASSERT_EQ(symlink("../outside", folder_.Path("to/sub").c_str()), 0);
  ASSERT_TRUE(Copy({"from/."}, "to").ok());
  EXPECT_EQ(report().counters.problems, 1u) << Problems();
  EXPECT_FALSE(folder_.Has("outside/name"));
}

TEST_P(EngineErrorsTest, TheContentOfADirectoryBecomesANewOne) {
  folder_.MakeDirectory("from/sub");
  folder_.Write("from/sub/file", "copied");
  folder_.Write("from/file", "copied");
  folder_.MakeDirectory("to");
  folder_.Write("to/file", "kept");
  ASSERT_EQ(chmod(folder_.Path("from").c_str(), 0711), 0);
  const mode_t mode = folder_.Look("to").st_mode;
  for (const bool dry_run : {true, false}) {
    options_.dry_run = dry_run;
    ASSERT_TRUE(Copy({"from/."}, "to/new").ok());
    EXPECT_EQ(Problems(), "");
    EXPECT_EQ(folder_.Has("to/new"), !dry_run);
  }
  EXPECT_EQ(folder_.Read("to/new/file"), "copied");
  EXPECT_EQ(folder_.Read("to/new/sub/file"), "copied");
  EXPECT_EQ(folder_.Look("to/new").st_mode, folder_.Look("from").st_mode);
  EXPECT_EQ(folder_.Read("to/file"), "kept");
  EXPECT_EQ(folder_.Look("to").st_mode, mode);
}

TEST_P(EngineErrorsTest, ASlashAtTheEndFollowsALink) {
  folder_.MakeDirectory("from/sub");
  folder_.Write("from/sub/file", "copied");
  folder_.Write("none", "no directory");
  folder_.MakeDirectory("to");
  ASSERT_EQ(symlink("from", folder_.Path("link").c_str()), 0);
  ASSERT_TRUE(Copy({"link/", "none/"}, "to").ok());
  EXPECT_EQ(Problems(), folder_.Path("none/") + ": it cannot be opened: Not a directory\n");
  EXPECT_TRUE(S_ISDIR(folder_.Look("to/link").st_mode));
  EXPECT_EQ(folder_.Read("to/link/sub/file"), "copied");
}

// As those of regular files do.
TEST_P(EngineErrorsTest, NamesOfOneLinkOrFifoStayNamesOfOne) {
  folder_.MakeDirectory("from/sub");
  ASSERT_EQ(mkfifo(folder_.Path("from/fifo").c_str(), 0600), 0);
  ASSERT_EQ(symlink("target", folder_.Path("from/link").c_str()), 0);
  for (const char* const name : {"fifo", "link"}) {
    for (const char* const also : {"/from/also_", "/from/sub/"}) {
      ASSERT_EQ(linkat(AT_FDCWD, folder_.Path(absl::StrCat("from/", name)).c_str(), AT_FDCWD,
                       absl::StrCat(folder_.Path(""), also, name).c_str(), 0),
                0);
    }
  }
  folder_.MakeDirectory("to");
  for (const bool resume : {false, true}) {
    options_.resume = resume;
    ASSERT_TRUE(Copy({"from"}, "to").ok());
    EXPECT_EQ(Problems(), "");
    EXPECT_EQ(report().counters.hard_links, resume ? 0u : 4u);
    EXPECT_EQ(report().counters.skipped, resume ? 6u : 0u);
    for (const char* const name : {"fifo", "link"}) {
      EXPECT_EQ(folder_.Look(absl::StrCat("to/from/", name)).st_nlink, 3u);
      for (const char* const also : {"to/from/also_", "to/from/sub/"}) {
        EXPECT_EQ(folder_.Look(absl::StrCat(also, name)).st_ino,
                  folder_.Look(absl::StrCat("to/from/", name)).st_ino);
      }
    }
  }
}

TEST_P(EngineErrorsTest, RefusesTheSameFileAndADestinationInside) {
  folder_.MakeDirectory("from/sub");
  folder_.Write("from/small", "text");
  folder_.Write("from/large", Content(100000));
  EXPECT_EQ(Copy({"from"}, "from/sub").code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Copy({"from/small", "from/large"}, "from").ok());
  EXPECT_EQ(report().counters.problems, 2u);
  EXPECT_EQ(report().counters.files, 0u);
  EXPECT_EQ(folder_.Read("from/small"), "text");
  EXPECT_EQ(folder_.Look("from/large").st_size, 100000);
}

TEST_P(EngineErrorsTest, RemovesWhatAKilledCopyLeft) {
  folder_.MakeDirectory("from");
  folder_.MakeDirectory("to");
  folder_.Write("to/.ioring-copy-0123456789abcdef", "half");
  folder_.Write("to/other", "stays");
  options_.resume = true;
  ASSERT_TRUE(Copy({"from/."}, "to").ok());
  EXPECT_FALSE(folder_.Has("to/.ioring-copy-0123456789abcdef"));
  EXPECT_TRUE(folder_.Has("to/other"));
}

// Also where only files are put into a directory, and none of it is listed for that.
TEST_P(EngineErrorsTest, RemovesWhatAKilledCopyOfFilesLeft) {
  const std::string kLeft = "to/.ioring-copy-0123456789abcdef";
  const std::string kLink = "to/.ioring-copy-0123456789abcdee";
  const std::string kOthers[] = {"to/.ioring-copy-", "to/.ioring-copy-0123456789abcdeF",
                                 "to/.ioring-copy-0123456789abcdef0"};
  folder_.Write("file", "text");
  folder_.MakeDirectory("directory");
  folder_.MakeDirectory("to/.ioring-copy-0123456789abcded");
  folder_.Write(kLeft, "half");
  ASSERT_EQ(symlink("target", folder_.Path(kLink).c_str()), 0);
  for (const std::string& other : kOthers) folder_.Write(other, "not of a copy");
  // Not of a run that goes on with nothing, writes nothing, or puts no file there.
  ASSERT_TRUE(Copy({"file"}, "to").ok());
  options_.resume = true;
  ASSERT_TRUE(Copy({"directory"}, "to").ok());
  options_.dry_run = true;
  ASSERT_TRUE(Copy({"directory", "file"}, "to").ok());
  EXPECT_TRUE(folder_.Has(kLeft) && folder_.Has(kLink));
  options_.dry_run = false;
  ASSERT_TRUE(Copy({"directory", "file"}, "to").ok());
  EXPECT_FALSE(folder_.Has(kLeft) || folder_.Has(kLink));
  for (const std::string& other : kOthers) EXPECT_TRUE(folder_.Has(other)) << other;
  EXPECT_TRUE(folder_.Has("to/.ioring-copy-0123456789abcded")) << "a directory";
  // And under a name of its own.
  folder_.Write(kLeft, "half");
  ASSERT_TRUE(Copy({"file"}, "to/new").ok());
  EXPECT_FALSE(folder_.Has(kLeft));
}

TEST_P(EngineErrorsTest, ADryRunCountsAndWritesNothing) {
  folder_.MakeDirectory("from/sub");
  folder_.Write("from/sub/small", "text");
  folder_.Write("from/large", Content(100000));
  folder_.MakeDirectory("to");
  options_.dry_run = true;
  ASSERT_TRUE(Copy({"from"}, "to").ok());
  EXPECT_EQ(Problems(), "");
  EXPECT_EQ(report().counters.files, 2u);
  EXPECT_EQ(report().counters.copied_bytes, 100004u);
  EXPECT_EQ(report().counters.directories, 2u);
  EXPECT_FALSE(folder_.Has("to/from"));
}

// It fails as the copy would.
TEST_P(EngineErrorsTest, ADryRunTellsWhatIsInTheWay) {
  folder_.MakeDirectory("from/sub");
  folder_.Write("from/sub/small", "text");
  folder_.MakeDirectory("to/from");
  folder_.Write("to/from/sub", "no directory");
  for (const bool dry_run : {true, false}) {
    options_.dry_run = dry_run;
    ASSERT_TRUE(Copy({"from"}, "to").ok());
    EXPECT_EQ(report().counters.problems, 1u) << Problems();
    EXPECT_EQ(report().counters.files, 0u);
  }
}

TEST_P(EngineErrorsTest, WhatIsStoppedBeforehandCopiesNothing) {
  folder_.Write("from", Content(100000));
  Engine engine(Maker(), options_);
  engine.Stop();
  ASSERT_TRUE(engine.Run({folder_.Path("from")}, folder_.Path("to")).ok());
  EXPECT_TRUE(engine.report().is_stopped);
  EXPECT_FALSE(folder_.Has("to"));
}

}  // namespace
}  // namespace ioring::copy

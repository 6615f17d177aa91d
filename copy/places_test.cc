#include "copy/places.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

std::string SplitText(std::string_view path) {
  const SplitPath split = Split(path);
  return split.directory + " : " + split.name;
}

TEST(SplitTest, NamesAnEntryOfADirectory) {
  EXPECT_EQ(SplitText("a"), ". : a");
  EXPECT_EQ(SplitText("a/b"), "a : b");
  EXPECT_EQ(SplitText("a/b//"), "a : b");
  EXPECT_EQ(SplitText("/a"), "/ : a");
  EXPECT_EQ(SplitText("/"), "/ : ");
  EXPECT_EQ(SplitText("."), ". : ");
  EXPECT_EQ(SplitText("a/."), "a/. : ");
  EXPECT_EQ(SplitText("a/.."), "a/.. : ");
}

TEST(FindPlacesTest, ADirectoryTakesTheNamesAndElseOneSourceGetsTheName) {
  const TestFolder folder;
  folder.Write("one", "");
  folder.MakeDirectory("to");
  const Places into =
      FindPlaces({folder.Path("one"), folder.Path("two")}, folder.Path("to")).value();
  ASSERT_EQ(into.places.size(), 2u);
  EXPECT_EQ(into.directory, folder.Path("to"));
  EXPECT_EQ(into.places[0].target_name, "one");
  EXPECT_EQ(into.places[1].target_name, "two");
  const Places as = FindPlaces({folder.Path("one")}, folder.Path("to/new")).value();
  EXPECT_EQ(as.directory, folder.Path("to"));
  EXPECT_EQ(as.places[0].target_name, "new");
  EXPECT_EQ(
      FindPlaces({folder.Path("one"), folder.Path("two")}, folder.Path("to/new")).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FindPlaces({folder.Path("one")}, folder.Path("none/new")).status().code(),
            absl::StatusCode::kNotFound);
}

// One of which the system does not tell what it is does not count as one that is to be made.
TEST(FindPlacesTest, RefusesADestinationThatCannotBeLookedAt) {
  const TestFolder folder;
  folder.Write("one", "");
  ASSERT_EQ(symlink("loop", folder.Path("loop").c_str()), 0);
  EXPECT_FALSE(FindPlaces({folder.Path("one")}, folder.Path("loop")).ok());
  EXPECT_FALSE(FindPlaces({folder.Path("one")}, folder.Path("loop/new")).ok());
}

std::string Describe(const Place& place) {
  return place.source.directory + " : " + place.source.name + " : " + place.target_name;
}

// The one place that there is, or what is wrong.
std::string Describe(const absl::StatusOr<Places>& places) {
  if (!places.ok()) return std::string(absl::StatusCodeToString(places.status().code()));
  return places->directory + " : " + Describe(places->places.front());
}

// The content of a directory goes into the destination, or is made it.
TEST(FindPlacesTest, TheContentOfADirectoryBecomesANewOne) {
  const TestFolder folder;
  folder.MakeDirectory("from");
  folder.MakeDirectory("to");
  folder.Write("file", "");
  const std::string from = folder.Path("from");
  const std::string to = folder.Path("to");
  for (const char* const end : {"/.", "/./", "/.//"}) {
    SCOPED_TRACE(end);
    EXPECT_EQ(Describe(FindPlaces({from + end}, to)), to + " : " + from + end + " :  : ");
    EXPECT_EQ(Describe(FindPlaces({from + end}, to + "/new")), to + " : " + from + " : . : new");
    EXPECT_EQ(Describe(FindPlaces({from + end}, folder.Path("file"))), "INVALID_ARGUMENT");
  }
  EXPECT_EQ(Describe(FindPlaces({from + "/.."}, to + "/new")), "INVALID_ARGUMENT") << "inside";
  EXPECT_EQ(Describe(FindPlaces({"."}, to + "/new")), to + " : . : . : new");
}

TEST(FindPlacesTest, ASlashAtTheEndAsksForADirectory) {
  const TestFolder folder;
  folder.MakeDirectory("directory");
  folder.MakeDirectory("to");
  folder.Write("file", "");
  const std::string link = folder.Path("link");
  const std::string to = folder.Path("to");
  const std::string here = to.substr(0, to.rfind('/'));
  ASSERT_EQ(symlink("directory", link.c_str()), 0);
  EXPECT_EQ(Describe(FindPlaces({link}, to)), to + " : " + here + " : link : link");
  EXPECT_EQ(Describe(FindPlaces({link + "//"}, to)), to + " : " + link + " : . : link");
  EXPECT_EQ(Describe(FindPlaces({folder.Path("directory/")}, to)),
            to + " : " + here + " : directory : directory");
  // The copy then tells that it is none.
  EXPECT_EQ(Describe(FindPlaces({folder.Path("file/")}, to)),
            to + " : " + folder.Path("file") + " : . : file");
  EXPECT_EQ(Describe(FindPlaces({folder.Path("file")}, folder.Path("to/new/"))),
            "INVALID_ARGUMENT");
  EXPECT_EQ(Describe(FindPlaces({folder.Path("file")}, folder.Path("file/"))), "INVALID_ARGUMENT");
  EXPECT_EQ(Describe(FindPlaces({folder.Path("directory")}, folder.Path("to/new/"))),
            to + " : " + here + " : directory : new");
}

// A device is not written to, and nothing takes its place: /dev/null is no place for a file.
TEST(FindPlacesTest, RefusesToTakeThePlaceOfASpecialFile) {
  const TestFolder folder;
  folder.Write("file", "");
  folder.MakeDirectory("directory");
  ASSERT_EQ(mkfifo(folder.Path("fifo").c_str(), 0600), 0);
  ASSERT_EQ(mkfifo(folder.Path("other").c_str(), 0600), 0);
  ASSERT_EQ(symlink("fifo", folder.Path("link").c_str()), 0);
  for (const char* const source : {"file", "directory", "directory/."}) {
    for (const char* const destination : {"fifo", "link"}) {
      EXPECT_EQ(Describe(FindPlaces({folder.Path(source)}, folder.Path(destination))),
                "INVALID_ARGUMENT")
          << source << " " << destination;
    }
  }
  EXPECT_EQ(Describe(FindPlaces({folder.Path("file")}, "/dev/null")), "INVALID_ARGUMENT");
  EXPECT_TRUE(FindPlaces({folder.Path("other")}, folder.Path("fifo")).ok()) << "one of its kind";
}

TEST(FindPlacesTest, RefusesADestinationInsideASource) {
  const TestFolder folder;
  folder.MakeDirectory("a/b/c");
  folder.MakeDirectory("other");
  ASSERT_EQ(symlink(folder.Path("a/b").c_str(), folder.Path("link").c_str()), 0);
  for (const char* destination : {"a", "a/b/c", "a/b/new", "link"}) {
    EXPECT_EQ(FindPlaces({folder.Path("a")}, folder.Path(destination)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << destination;
    EXPECT_EQ(FindPlaces({folder.Path("a/.")}, folder.Path(destination)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << destination;
  }
  EXPECT_TRUE(FindPlaces({folder.Path("a")}, folder.Path("other")).ok());
  EXPECT_TRUE(FindPlaces({folder.Path("a/b/c")}, folder.Path("a")).ok()) << "outwards";
}

TEST(FindPlacesTest, RefusesTwoSourcesOfOneName) {
  const TestFolder folder;
  folder.MakeDirectory("a/same");
  folder.MakeDirectory("b/same");
  folder.MakeDirectory("to");
  EXPECT_EQ(
      FindPlaces({folder.Path("a/same"), folder.Path("b/same")}, folder.Path("to")).status().code(),
      absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(FindPlaces({}, folder.Path("to")).ok());
  EXPECT_FALSE(FindPlaces({""}, folder.Path("to")).ok());
  EXPECT_FALSE(FindPlaces({"a"}, "").ok());
}

}  // namespace
}  // namespace ioring::copy

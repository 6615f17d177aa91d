#include "copy/places.h"

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

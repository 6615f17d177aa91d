// What the mapper of Windows leaves behind, how it comes through other threads' mappings, and
// what it says of refusals, seen from between it and the system.
#include "buffer/mapper_windows.h"

#include <windows.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "buffer/map_result.h"
#include "buffer/memory_region.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/testing/handle_counter.h"

namespace ioring {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// What stands in for the system's calls, which the linker finds by the pointers at the end of
// this file.

// The first `after` calls come through, the next `calls` fail.
struct Refusals {
  std::atomic<int> after = 0;
  std::atomic<int> calls = 0;
  std::atomic<DWORD> error = 0;

  void Set(int new_after, int new_calls, DWORD new_error) {
    after = new_after;
    calls = new_calls;
    error = new_error;
  }
  bool Next() {
    if (calls.load() == 0) return false;
    if (after.load() > 0) {
      --after;
      return false;
    }
    --calls;
    SetLastError(error.load());
    return true;
  }
};
Refusals section_refusals;
Refusals view_refusals;      // of MapViewOfFileEx
std::atomic<int> views = 0;  // that MapViewOfFileEx has mapped
// Sections are no larger than this: views that begin behind their end fail.
std::atomic<DWORD> section_bytes_max = MAXDWORD;

constexpr int kAll = 1 << 20;

template <typename Function>
Function InSystem(const char* name) {
  return reinterpret_cast<Function>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"kernel32.dll"), name)));
}

bool ByRetries() { return mapper::MirrorMethods().front() == mapper::MirrorMethod::kRetries; }

class MapperWindowsTest : public ::testing::Test {
 protected:
  MapperWindowsTest() { views = 0; }
  ~MapperWindowsTest() override {
    section_refusals.Set(0, 0, 0);
    view_refusals.Set(0, 0, 0);
    section_bytes_max = MAXDWORD;
  }
};

size_t Regions() {
  // Whatever is mapped or reserved in this process.
  size_t regions = 0;
  MEMORY_BASIC_INFORMATION information;
  const std::byte* address = nullptr;
  while (VirtualQuery(address, &information, sizeof(information)) != 0) {
    if (information.State != MEM_FREE) ++regions;
    address = static_cast<const std::byte*>(information.BaseAddress) + information.RegionSize;
  }
  return regions;
}

TEST_F(MapperWindowsTest, TheCounterSeesAHandle) {
  const size_t handles = OpenHandles();
  const HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  EXPECT_EQ(OpenHandles(), handles + 1);
  CloseHandle(event);
  EXPECT_EQ(OpenHandles(), handles);
}

TEST_F(MapperWindowsTest, TheGranularityIsThatOfViews) {
  EXPECT_EQ(MirrorGranularity(), size_t{64} << 10);
}

// Trap 12 of the original: one descriptor stayed open per buffer.
TEST_F(MapperWindowsTest, ARegionHoldsNoHandleAndFewViews) {
  { const auto warm_up = MirroredRegion::Create(MirrorGranularity(), 1); }
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  for (const size_t count : {size_t{1}, size_t{2}, size_t{256}}) {
    MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), count);
    ASSERT_TRUE(region.ok()) << region.error().message();
    EXPECT_EQ(OpenHandles(), handles);
    EXPECT_EQ(Regions(), regions + count + 1);
  }
}

TEST_F(MapperWindowsTest, ManyRegionsComeAndGoAndLeaveNothing) {
  { const auto warm_up = MirroredRegion::Create(MirrorGranularity(), 1); }
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  for (size_t round = 0; round < 200; ++round) {
    MapResult<MirroredRegion> region =
        MirroredRegion::Create(MirrorGranularity() << (round % 4), 1 + round % 7);
    ASSERT_TRUE(region.ok()) << region.error().message();
    MapResult<MemoryRegion> plain = MemoryRegion::Create(size_t{4096} << (round % 12));
    ASSERT_TRUE(plain.ok()) << plain.error().message();
    MirroredRegion moved = *std::move(region);
  }
  EXPECT_EQ(OpenHandles(), handles);
  EXPECT_EQ(Regions(), regions);
}

TEST_F(MapperWindowsTest, RefusedRegionsLeaveNothing) {
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  for (int round = 0; round < 20; ++round) {
    EXPECT_FALSE(MirroredRegion::Create(MirrorGranularity() + 1, 1).ok());
    EXPECT_FALSE(MirroredRegion::Create(size_t{1} << 61, 1).ok());
    EXPECT_FALSE(MemoryRegion::Create(size_t{1} << 61).ok());
  }
  EXPECT_EQ(OpenHandles(), handles);
  EXPECT_EQ(Regions(), regions);
}

// TRAPS "Windows": without placeholders, another thread may take the place between giving it
// back and mapping; the mapper must do it again.
TEST_F(MapperWindowsTest, APlaceThatIsTakenMeanwhileIsSoughtAgain) {
  if (!ByRetries()) return;
  const size_t regions = Regions();
  view_refusals.Set(2, 3, ERROR_INVALID_ADDRESS);
  {
    MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), 3);
    ASSERT_TRUE(region.ok()) << region.error().message();
    // Two of the first try, none of the next two, all four of the last.
    EXPECT_EQ(views, 6);
    region->buffer(1)[0] = std::byte{42};
    EXPECT_EQ(region->buffer(1)[region->size_bytes()], std::byte{42});
  }
  EXPECT_EQ(Regions(), regions);
}

TEST_F(MapperWindowsTest, APlaceThatIsAlwaysTakenIsGivenUp) {
  if (!ByRetries()) return;
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  view_refusals.Set(0, kAll, ERROR_INVALID_ADDRESS);
  const MapError error = MirroredRegion::Create(MirrorGranularity(), 1).error();
  EXPECT_EQ(error.code(), MapErrorCode::kResourceExhausted) << error.message();
  EXPECT_THAT(error.message(), HasSubstr("other threads take them"));
  EXPECT_EQ(OpenHandles(), handles);
  EXPECT_EQ(Regions(), regions);
}

// The same with a thread that does take places, all the time.
TEST_F(MapperWindowsTest, RegionsComeThroughAThreadThatTakesPlaces) {
  const std::jthread other([](const std::stop_token& done) {
    std::vector<void*> taken;
    while (!done.stop_requested()) {
      taken.push_back(VirtualAlloc(nullptr, size_t{64} << 10, MEM_RESERVE, PAGE_NOACCESS));
      if (taken.size() < 8) continue;
      for (void* const place : taken) VirtualFree(place, 0, MEM_RELEASE);
      taken.clear();
    }
    for (void* const place : taken) VirtualFree(place, 0, MEM_RELEASE);
  });
  for (int i = 0; i < 100; ++i) {
    MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), 4);
    ASSERT_TRUE(region.ok()) << region.error().message();
    for (size_t buffer = 0; buffer < region->count(); ++buffer) {
      std::memset(region->buffer(buffer).data(), static_cast<int>(buffer) + 1,
                  region->size_bytes());
    }
    for (size_t buffer = 0; buffer < region->count(); ++buffer) {
      EXPECT_EQ(region->buffer(buffer).back(), static_cast<std::byte>(buffer + 1));
    }
  }
}

// By either way.
TEST_F(MapperWindowsTest, AViewThatFailsTakesTheOthersWithIt) {
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  for (const size_t buffers_that_fit : {1, 2, 3}) {
    section_bytes_max = static_cast<DWORD>(buffers_that_fit * MirrorGranularity());
    EXPECT_FALSE(MirroredRegion::Create(MirrorGranularity(), 4).ok());
    EXPECT_EQ(OpenHandles(), handles);
    EXPECT_EQ(Regions(), regions);
  }
  section_bytes_max = static_cast<DWORD>(4 * MirrorGranularity());
  EXPECT_TRUE(MirroredRegion::Create(MirrorGranularity(), 4).ok());
}

TEST_F(MapperWindowsTest, RefusalsAreSaid) {
  const size_t handles = OpenHandles();
  const auto refused = [](DWORD error) {
    section_refusals.Set(0, 1, error);
    return MirroredRegion::Create(MirrorGranularity(), 2).error();
  };
  EXPECT_EQ(refused(ERROR_COMMITMENT_LIMIT).code(), MapErrorCode::kResourceExhausted);
  EXPECT_THAT(refused(ERROR_COMMITMENT_LIMIT).message(),
              AllOf(HasSubstr("262144 bytes"), HasSubstr("page file")));
  EXPECT_THAT(refused(ERROR_NOT_ENOUGH_QUOTA).message(), HasSubstr("job object"));
  EXPECT_EQ(refused(ERROR_ACCESS_DENIED).code(), MapErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(ERROR_INVALID_PARAMETER).code(), MapErrorCode::kInvalidArgument);
  const MapError other = refused(ERROR_CRC);
  EXPECT_EQ(other.code(), MapErrorCode::kOther);
  EXPECT_EQ(other.system_code(), ERROR_CRC);
  EXPECT_STREQ(other.call(), "CreateFileMapping");
  EXPECT_THAT(other.message(), AllOf(HasSubstr("CreateFileMapping"), HasSubstr("net helpmsg 23")));
  EXPECT_EQ(OpenHandles(), handles);
}

TEST_F(MapperWindowsTest, WhatIsNoMatterOfThePlaceIsNotTriedAgain) {
  if (!ByRetries()) return;
  view_refusals.Set(0, kAll, ERROR_COMMITMENT_LIMIT);
  const MapError error = MirroredRegion::Create(MirrorGranularity(), 2).error();
  EXPECT_EQ(error.code(), MapErrorCode::kResourceExhausted) << error.message();
  EXPECT_EQ(view_refusals.calls, kAll - 1);
}

HANDLE WINAPI CreateSectionOrRefuse(HANDLE file, LPSECURITY_ATTRIBUTES security, DWORD protection,
                                    DWORD high, DWORD low, LPCWSTR name) {
  static const auto create = InSystem<decltype(&CreateFileMappingW)>("CreateFileMappingW");
  if (section_refusals.Next()) return nullptr;
  if (high == 0) low = std::min(low, section_bytes_max.load());
  return create(file, security, protection, high, low, name);
}

LPVOID WINAPI MapViewOrRefuse(HANDLE section, DWORD access, DWORD high, DWORD low, SIZE_T bytes,
                              LPVOID address) {
  static const auto map = InSystem<decltype(&MapViewOfFileEx)>("MapViewOfFileEx");
  if (view_refusals.Next()) return nullptr;
  ++views;
  return map(section, access, high, low, bytes, address);
}

}  // namespace
}  // namespace ioring

// Where calls of the functions of these names go: first here, then into the system's library.
extern "C" {
extern decltype(&CreateFileMappingW) __imp_CreateFileMappingW;
decltype(&CreateFileMappingW) __imp_CreateFileMappingW = ioring::CreateSectionOrRefuse;
extern decltype(&MapViewOfFileEx) __imp_MapViewOfFileEx;
decltype(&MapViewOfFileEx) __imp_MapViewOfFileEx = ioring::MapViewOrRefuse;
}

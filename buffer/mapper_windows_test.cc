// What the mapper of Windows leaves behind, how it comes through other threads' mappings, and
// what it says of refusals, seen from between it and the system.
#include "buffer/mapper_windows.h"

#include <windows.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/handle_counter.h"
#include "buffer/memory_region.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// What the next calls answer, and how many came through. The calls stand in for the system's,
// which the linker finds by these pointers (at the end of this file).
std::atomic<int> refusals = 0;
std::atomic<DWORD> refusal_error = 0;
std::atomic<int> views = 0;

void Refuse(int calls, DWORD error) {
  refusals = calls;
  refusal_error = error;
}

template <typename Function>
Function InSystem(const char* name) {
  return reinterpret_cast<Function>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"kernel32.dll"), name)));
}

bool Refused() {
  if (refusals.load() <= 0) return false;
  --refusals;
  SetLastError(refusal_error.load());
  return true;
}

bool ByRetries() { return mapper::MirrorMethods().front() == mapper::MirrorMethod::kRetries; }

class MapperWindowsTest : public ::testing::Test {
 protected:
  MapperWindowsTest() { Refuse(0, 0); }
  ~MapperWindowsTest() override { Refuse(0, 0); }
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
    absl::StatusOr<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), count);
    ASSERT_TRUE(region.ok()) << region.status();
    EXPECT_EQ(OpenHandles(), handles);
    EXPECT_EQ(Regions(), regions + count + 1);
  }
}

TEST_F(MapperWindowsTest, ManyRegionsComeAndGoAndLeaveNothing) {
  { const auto warm_up = MirroredRegion::Create(MirrorGranularity(), 1); }
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  for (size_t round = 0; round < 200; ++round) {
    absl::StatusOr<MirroredRegion> region =
        MirroredRegion::Create(MirrorGranularity() << (round % 4), 1 + round % 7);
    ASSERT_TRUE(region.ok()) << region.status();
    absl::StatusOr<MemoryRegion> plain = MemoryRegion::Create(size_t{4096} << (round % 12));
    ASSERT_TRUE(plain.ok()) << plain.status();
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
  // The third view of the first try, and so on: nothing of a try may stay.
  views = 0;
  Refuse(5, ERROR_INVALID_ADDRESS);
  {
    absl::StatusOr<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), 3);
    ASSERT_TRUE(region.ok()) << region.status();
    EXPECT_EQ(views, 4);
    region->buffer(1)[0] = std::byte{42};
    EXPECT_EQ(region->buffer(1)[region->size_bytes()], std::byte{42});
  }
  EXPECT_EQ(Regions(), regions);
}

TEST_F(MapperWindowsTest, APlaceThatIsAlwaysTakenIsGivenUp) {
  if (!ByRetries()) return;
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  Refuse(1 << 20, ERROR_INVALID_ADDRESS);
  const absl::Status status = MirroredRegion::Create(MirrorGranularity(), 1).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("other threads take them"));
  EXPECT_EQ(OpenHandles(), handles);
  EXPECT_EQ(Regions(), regions);
}

// The same with a thread that does take places, all the time.
TEST_F(MapperWindowsTest, RegionsComeThroughAThreadThatTakesPlaces) {
  std::atomic<bool> done = false;
  std::thread other([&done] {
    std::vector<void*> taken;
    while (!done) {
      taken.push_back(VirtualAlloc(nullptr, size_t{64} << 10, MEM_RESERVE, PAGE_NOACCESS));
      if (taken.size() < 8) continue;
      for (void* const place : taken) VirtualFree(place, 0, MEM_RELEASE);
      taken.clear();
    }
    for (void* const place : taken) VirtualFree(place, 0, MEM_RELEASE);
  });
  for (int i = 0; i < 100; ++i) {
    absl::StatusOr<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), 4);
    ASSERT_TRUE(region.ok()) << region.status();
    for (size_t buffer = 0; buffer < region->count(); ++buffer) {
      std::memset(region->buffer(buffer).data(), static_cast<int>(buffer) + 1,
                  region->size_bytes());
    }
    for (size_t buffer = 0; buffer < region->count(); ++buffer) {
      EXPECT_EQ(region->buffer(buffer).back(), static_cast<std::byte>(buffer + 1));
    }
  }
  done = true;
  other.join();
}

TEST_F(MapperWindowsTest, RefusalsAreSaid) {
  const size_t handles = OpenHandles();
  const size_t regions = Regions();
  const auto refused = [](DWORD error) {
    Refuse(1 << 20, error);
    const absl::Status status = MirroredRegion::Create(MirrorGranularity(), 2).status();
    Refuse(0, 0);
    return status;
  };
  if (ByRetries()) {
    EXPECT_TRUE(absl::IsResourceExhausted(refused(ERROR_COMMITMENT_LIMIT)));
    EXPECT_THAT(refused(ERROR_COMMITMENT_LIMIT).message(),
                AllOf(HasSubstr("262144 bytes"), HasSubstr("page file")));
    EXPECT_THAT(refused(ERROR_NOT_ENOUGH_QUOTA).message(), HasSubstr("job object"));
    EXPECT_TRUE(absl::IsPermissionDenied(refused(ERROR_ACCESS_DENIED)));
    EXPECT_TRUE(absl::IsInvalidArgument(refused(ERROR_INVALID_PARAMETER)));
    EXPECT_THAT(refused(ERROR_CRC).message(),
                AllOf(HasSubstr("MapViewOfFileEx"), HasSubstr("net helpmsg 23")));
  }
  EXPECT_EQ(OpenHandles(), handles);
  EXPECT_EQ(Regions(), regions);
}

LPVOID WINAPI MapViewOrRefuse(HANDLE section, DWORD access, DWORD high, DWORD low, SIZE_T bytes,
                              LPVOID address) {
  static const auto map = InSystem<decltype(&MapViewOfFileEx)>("MapViewOfFileEx");
  if (Refused()) return nullptr;
  ++views;
  return map(section, access, high, low, bytes, address);
}

}  // namespace
}  // namespace ioring

// Where calls of the function of that name go: first here, then into the system's library.
extern "C" {
extern decltype(&MapViewOfFileEx) __imp_MapViewOfFileEx;
decltype(&MapViewOfFileEx) __imp_MapViewOfFileEx = ioring::MapViewOrRefuse;
}

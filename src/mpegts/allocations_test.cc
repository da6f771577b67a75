// A packet costs the demuxer no allocation: only access units do, a few each.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "mpegts/demuxer.h"
#include "mpegts/test_stream.h"

// The sanitizers bring their own operators.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define MIRROR_COUNTS_ALLOCATIONS 1
namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace mirror::mpegts {
namespace {

using namespace test;

#ifdef MIRROR_COUNTS_ALLOCATIONS

constexpr int kVideo = 0x100;
constexpr int kAudio = 0x101;

struct CountingSink final : media::AccessUnitSink {
  void on_tracks(const std::vector<media::Track>&) override {}
  void on_access_unit(media::AccessUnit) override { ++units; }
  std::uint64_t units = 0;
};

class AllocationsTest : public testing::Test {
 protected:
  // How many allocations the demuxer makes over `bytes`, a datagram of seven packets at a time.
  std::uint64_t count(const ByteVector& bytes) {
    const std::uint64_t before = allocations;
    for (std::size_t at = 0; at < bytes.size(); at += 7 * kPacketBytes) {
      const auto size = std::min(7 * kPacketBytes, bytes.size() - at);
      demuxer_.push(std::span(bytes).subspan(at, size), at_ms(++ms_));
      demuxer_.idle(at_ms(ms_));
    }
    return allocations - before;
  }

  ByteVector picture(int number, std::size_t size) {
    return mux_.unit(kVideo, pes({.pts = 9000 + 3000 * number}, h264_picture(false, size)));
  }
  ByteVector frame(int number) {
    return mux_.unit(
        kAudio, pes({.pts = 9000 + 1920 * number, .bounded = true, .stream_id = 0xc0}, adts(300)));
  }

  CountingSink sink_;
  Demuxer demuxer_{DemuxerOptions{}, sink_};
  Muxer mux_;
  std::int64_t ms_ = 0;
};

TEST_F(AllocationsTest, PacketsOfAPictureMakeNone) {
  count(mux_.tables({{0x1b, kVideo}, {0x0f, kAudio}}));
  for (int i = 0; i < 3; ++i) count(picture(i, 1'500'000));
  const ByteVector bytes = picture(3, 1'500'000);
  // The first datagram emits the picture before and makes room for this one; the last one may grow.
  const ByteVector inside(bytes.begin() + 7 * kPacketBytes, bytes.end() - 7 * kPacketBytes);
  count({bytes.begin(), bytes.begin() + 7 * kPacketBytes});
  ASSERT_GT(inside.size() / kPacketBytes, 8'000U);
  EXPECT_EQ(count(inside), 0U);
}

TEST_F(AllocationsTest, TablesClocksAndStrangersMakeNone) {
  const std::vector<EsInfo> streams = {{0x1b, kVideo}, {0x0f, kAudio}};
  for (int i = 0; i < 3; ++i) count(mux_.tables(streams));  // the lock takes three packets
  ByteVector bytes;
  for (int i = 0; i < 1'000; ++i) {
    append(bytes, mux_.tables(streams));
    append(bytes, mux_.packet(kVideo, false, {}, {0x10, 0, 0, 0, 0, 0x7e, 0}));
    append(bytes, mux_.packet(0x1ff, false, ByteVector(184, 0x55)));
    append(bytes, mux_.packet(kNullPid, false, ByteVector(184, 0xff)));
    append(bytes, ByteVector(50, 0x11));  // and the lock is lost
  }
  EXPECT_EQ(count(bytes), 0U);
}

TEST_F(AllocationsTest, AccessUnitsMakeAFew) {
  count(mux_.tables({{0x1b, kVideo}, {0x0f, kAudio}}));
  ByteVector bytes;
  for (int i = 0; i < 500; ++i) {
    append(bytes, picture(i, 20'000));
    append(bytes, frame(i));
  }
  count({bytes.begin(), bytes.begin() + 100 * kPacketBytes});
  const std::uint64_t units = sink_.units;
  const auto made = count({bytes.begin() + 100 * kPacketBytes, bytes.end()});
  ASSERT_GT(sink_.units - units, 900U);
  EXPECT_LE(made, 3 * (sink_.units - units));
}

#else

TEST(AllocationsTest, AreCountedByTheCompilerOfTheRelease) {
  GTEST_SKIP() << "the sanitizers bring their own operator new";
}

#endif

}  // namespace
}  // namespace mirror::mpegts

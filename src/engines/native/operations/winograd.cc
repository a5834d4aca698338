#include "winograd.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>

#include <sys/mman.h>

namespace fcn {
namespace winograd {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

std::mutex work_memory_mutex;
void *mapping = nullptr;
size_t mapping_bytes = 0;
float *work_memory = nullptr;
size_t work_memory_floats = 0;

// Pages of its own, so that what is outgrown goes back to the system.
void Grow(size_t floats) {
  if (mapping != nullptr) munmap(mapping, mapping_bytes);
  mapping = nullptr;
  work_memory_floats = 0;
  const size_t bytes = (floats * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
  // Somewhere in it a huge page begins; what is outside is never touched.
  mapping_bytes = bytes + kHugePage;
  void *memory = mmap(nullptr, mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mapping = memory;
  const auto place = reinterpret_cast<uintptr_t>(memory);
  work_memory = reinterpret_cast<float *>((place + kHugePage - 1) / kHugePage * kHugePage);
  work_memory_floats = bytes / sizeof(float);
#if defined(__linux__)
  madvise(work_memory, bytes, MADV_HUGEPAGE);
#endif
}

InstructionSet Detect() {
#if FCN_WINOGRAD
  const char *limit = std::getenv("FCN_INSTRUCTIONS");
  const auto at_most = [limit](const char *name) { return limit != nullptr && std::strcmp(limit, name) == 0; };
  if (at_most("none")) return InstructionSet::kNone;
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
  if (avx512 && !at_most("avx2")) return InstructionSet::kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return InstructionSet::kAvx2;
#endif
  return InstructionSet::kNone;
}

}  // namespace

InstructionSet InstructionSetHere() {
  static const InstructionSet set = Detect();
  return set;
}

Geometry ForwardGeometry(int64_t images, int64_t height, int64_t width, int64_t inputs, int64_t outputs, int64_t dilation,
                         int64_t padding) {
  const int64_t growth = 2 * padding - 2 * dilation;
  return {images, height, width, height + growth, width + growth, inputs, outputs, dilation, padding};
}

Geometry InputGradientGeometry(const Geometry &forward) {
  return {forward.images, forward.output_height, forward.output_width, forward.height,
          forward.width,  forward.outputs,       forward.inputs,       forward.dilation,
          2 * forward.dilation - forward.padding};
}

std::vector<Tile> TilesOf(const Geometry &geometry, int m) {
  std::vector<Tile> tiles;
  const int64_t step = m * geometry.dilation;
  for (int64_t image = 0; image < geometry.images; ++image) {
    for (int64_t row = 0; row < std::min(geometry.dilation, geometry.output_height); ++row) {
      for (int64_t column = 0; column < std::min(geometry.dilation, geometry.output_width); ++column) {
        for (int64_t y = row; y < geometry.output_height; y += step) {
          for (int64_t x = column; x < geometry.output_width; x += step) {
            tiles.push_back({static_cast<int32_t>(image), static_cast<int32_t>(y), static_cast<int32_t>(x)});
          }
        }
      }
    }
  }
  return tiles;
}

template <int M>
void FilterMatrix(double (&g)[M + 2][3]) {
  constexpr int finite = M + 1;
  const double of_two[] = {0, 1, -1};
  const double of_four[] = {0, kA, -kA, kB, -kB};
  const double *points = M == 2 ? of_two : of_four;
  for (int p = 0; p < finite; ++p) {
    double product = 1;
    for (int q = 0; q < finite; ++q) product *= q == p ? 1 : points[p] - points[q];
    // Bᵀ of F(2×2) has the row of the point 0 with its signs turned, so that its last input is subtracted.
    if (M == 2 && p == 0) product = -product;
    g[p][0] = 1 / product;
    g[p][1] = points[p] / product;
    g[p][2] = points[p] * points[p] / product;
  }
  g[finite][0] = g[finite][1] = 0;
  g[finite][2] = 1;
}

template void FilterMatrix<2>(double (&g)[4][3]);
template void FilterMatrix<4>(double (&g)[6][3]);

WorkMemory::WorkMemory(size_t floats) {
  work_memory_mutex.lock();
  if (floats > work_memory_floats) {
    try {
      Grow(floats);
    } catch (...) {
      work_memory_mutex.unlock();
      throw;
    }
  }
  next_ = work_memory;
  end_ = work_memory + work_memory_floats;
}

WorkMemory::~WorkMemory() { work_memory_mutex.unlock(); }

float *WorkMemory::Take(size_t floats) {
  float *part = next_;
  next_ += Padded(floats);
  if (next_ > end_) throw std::logic_error("a convolution takes more work memory than it asked for");
  return part;
}

}  // namespace winograd
}  // namespace fcn

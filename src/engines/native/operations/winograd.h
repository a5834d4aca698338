// What Winograd's convolutions and their gradients share. F(M×M, 3×3) computes M×M outputs of a 3×3 convolution of stride 1
// from a tile of (M+2)×(M+2) inputs, with (M+2)² multiplications for each pair of channels instead of 9·M²:
//
//   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A        (Lavin and Gray, CVPR 2016)
//
// and the filter's gradient from the same tile and the M×M gradients of its outputs:
//
//   g′ = Gᵀ [ (Bᵀ d B) ⊙ (A y′ Aᵀ) ] G      summed over the tiles
//
// The input's gradient is a convolution of the output's gradient with the filter turned by 180° and its channels exchanged
// (InputGradientGeometry). G is applied in double arithmetic (FilterMatrix), for images of 16 bits in single; Bᵀ, Aᵀ and A are applied to vectors of channels
// by winograd-vector.h, which a source file includes once for each instruction set.
//
// How to use it: make a Geometry; TilesOf lists the tiles of its output, also over the phases of a dilated convolution; a
// tile reads input pixel (InputRow(i), InputColumn(j)), 0 ≤ i, j < M + 2, or 0 where that lies outside. Which instruction
// set to use, if any, InstructionSetHere says. Work memory comes from WorkMemory.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// The kernels need x86-64 and function attributes of GCC and Clang; elsewhere nothing is compiled and nothing is offered.
#if defined(__x86_64__) && defined(__GNUC__)
#define FCN_WINOGRAD 1
#else
#define FCN_WINOGRAD 0
#endif

namespace fcn {
namespace winograd {

enum class InstructionSet { kNone = 0, kAvx2 = 1, kAvx512 = 2 };

// The best instruction set of this processor and system, or a lower one if FCN_INSTRUCTIONS says so ("none", "avx2",
// "avx512"; for tests). Read once.
InstructionSet InstructionSetHere();

// A convolution 3×3 of stride 1, images in NHWC: output pixel y takes input pixels y − padding + i·dilation, i = 0, 1, 2. The
// padding may be negative: then the border of the input is not read.
struct Geometry {
  int64_t images;
  int64_t height, width;                // of the input
  int64_t output_height, output_width;  // of the output
  int64_t inputs, outputs;              // channels
  int64_t dilation, padding;
};

// Of a convolution: output sizes from input sizes.
Geometry ForwardGeometry(int64_t images, int64_t height, int64_t width, int64_t inputs, int64_t outputs, int64_t dilation,
                         int64_t padding);

// The convolution that takes the gradient of `forward`'s output to that of its input.
Geometry InputGradientGeometry(const Geometry &forward);

// One tile by its first output pixel: it has the outputs (y + i·dilation, x + j·dilation), 0 ≤ i, j < M, as far as they
// exist. Its inputs begin at (y − padding, x − padding), in the same steps.
struct Tile {
  int32_t image, y, x;

  int64_t InputRow(const Geometry &geometry, int i) const { return y - geometry.padding + i * geometry.dilation; }
  int64_t InputColumn(const Geometry &geometry, int j) const { return x - geometry.padding + j * geometry.dilation; }
  int64_t OutputRow(const Geometry &geometry, int i) const { return y + i * geometry.dilation; }
  int64_t OutputColumn(const Geometry &geometry, int j) const { return x + j * geometry.dilation; }
};

// All tiles of M×M outputs, image by image. A convolution of dilation d is d² plain ones of the pixels that are d apart: in
// an image, phase by phase, then row by row. An image's tiles do not depend on the others'.
std::vector<Tile> TilesOf(const Geometry &geometry, int m);

// The points at which F(4×4, 3×3) evaluates polynomials: 0, ±kA, ±kB and ∞. They are exact in float32, and so are their
// squares and cubes. Of the pairs of sixteenths these give nearly the least rounding errors, a half of those of ±1, ±2.
// F(2×2, 3×3) has 0, ±1 and ∞.
constexpr double kA = 11.0 / 16;
constexpr double kB = 3.0 / 2;

// G of F(M×M, 3×3), M = 2 or 4: (M+2)×3, row by row. With the points p: row p is [1, p, p²] / Π_{q≠p} (p − q), and the
// last row, of ∞, is [0, 0, 1]. The rows' signs agree with the transforms of winograd-vector.h.
template <int M>
void FilterMatrix(double (&g)[M + 2][3]);

// Work memory shared by all convolutions of the process: grown to the largest need, never given back; on huge pages where
// the system has them. Hold one for as long as the memory is used: a second caller waits.
class WorkMemory {
 public:
  // @throws std::bad_alloc if the system has not as much.
  explicit WorkMemory(size_t floats);
  WorkMemory(const WorkMemory &) = delete;
  ~WorkMemory();

  // The next `floats` floats, aligned to 64 bytes (a cache line). @throws std::logic_error beyond what was asked for; Padded
  // says how much a part takes.
  float *Take(size_t floats);
  static size_t Padded(size_t floats) { return (floats + 15) / 16 * 16; }

 private:
  float *next_;
  float *end_;
};

}  // namespace winograd
}  // namespace fcn

// The four steps of Winograd's filter gradient on some tiles and channels, in one thread, for one instruction set.

#pragma once

#include "element.h"
#include "winograd.h"

namespace fcn {
namespace winograd {

// Channels lie together in groups of as many: of the input, and of the output's gradient.
constexpr int64_t kInputGroup = 16;
constexpr int64_t kOutputGroup = 32;

// Tiles that are transformed together, so that what is written lies together.
constexpr int64_t kTilesOfCall = 4;

// Numbers of floats from one position of the transform to the next, and from one group of channels to the next.
struct Strides {
  size_t position;
  size_t group;
};

// Images, gradients and the filter's gradient are stored as T, all between in float32.
template <typename T>
struct FilterGradientKernels {
  // Bᵀ d B of at most kTilesOfCall tiles, for input channels [begin, end). `zeros`: as many values as channels, for pixels
  // outside the image.
  void (*transform_input)(const Geometry &geometry, const T *images, const T *zeros, const Tile *tiles, int64_t count,
                          int64_t begin, int64_t end, float *to, const Strides &strides);

  // A y′ Aᵀ of at most kTilesOfCall tiles, for output channels [begin, end), filled up to groups with zeros.
  void (*transform_gradient)(const Geometry &geometry, const T *gradients, const T *zeros, const Tile *tiles,
                             int64_t count, int64_t begin, int64_t end, float *to, const Strides &strides);

  // to[16][32] = Σ over tiles of input[tile][16] · gradient[tile][32], added to what is there if `add`; rows of `to` are
  // `stride` apart. One sum after the other, in the order of the tiles.
  void (*multiply)(const float *input, const float *gradient, int64_t tiles, float *to, size_t stride, bool add);

  // Gᵀ m G for one input channel and `outputs` outputs, a multiple of 16: the position (i, j) of m is at
  // `from + (i·(M + 2) + j)·stride`, the result's (i, j) at `to + (3·i + j)·tap`.
  void (*transform_filter)(int64_t outputs, const float *from, size_t stride, T *to, size_t tap);
};

// The kernels of F(M×M, 3×3), M = 2 or 4. @throws std::invalid_argument for InstructionSet::kNone.
template <int M, typename T>
FilterGradientKernels<T> FilterGradientKernelsOf(InstructionSet set);

}  // namespace winograd
}  // namespace fcn

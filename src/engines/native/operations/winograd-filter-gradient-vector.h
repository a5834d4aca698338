// The kernels of winograd-filter-gradient-kernels.h in the vectors of one instruction set. Without include guard, like
// winograd-vector.h: winograd-filter-gradient-kernels.cc includes it once for each set.

#include <algorithm>

#include "winograd-vector.h"

namespace fcn {
namespace winograd {
namespace FCN_VECTOR_NAMESPACE {

template <int M, typename T>
FCN_TARGET void TransformInput(const Geometry &geometry, const T *images, const T *zeros, const Tile *tiles, int64_t count,
                               int64_t begin, int64_t end, float *to, const Strides &strides) {
  const T *pixels[kTilesOfCall][M + 2][M + 2];
  for (int64_t tile = 0; tile < count; ++tile) InputPixels<M>(geometry, images, zeros, tiles[tile], pixels[tile]);
  for (int64_t group = begin; group < end; group += kInputGroup) {
    for (int64_t tile = 0; tile < count; ++tile) {
      for (int64_t lane = 0; lane < kInputGroup; lane += kLanes) {
        InputTile<M>(pixels[tile], group + lane, to + tile * kInputGroup + lane, strides.position);
      }
    }
    to += strides.group;
  }
}

template <int M, typename T>
FCN_TARGET FCN_INLINE void GradientTile(const T *const (&pixels)[M][M], int64_t channel, float *to, size_t stride) {
  constexpr int n = M + 2;
  Vector rows[n][M];
  FCN_UNROLL
  for (int j = 0; j < M; ++j) {
    Vector y[M], r[n];
    FCN_UNROLL
    for (int i = 0; i < M; ++i) y[i] = LoadElements(pixels[i][j] + channel);
    Transform<M>::Gradient(y, r);
    FCN_UNROLL
    for (int i = 0; i < n; ++i) rows[i][j] = r[i];
  }
  FCN_UNROLL
  for (int i = 0; i < n; ++i) {
    Vector r[n];
    Transform<M>::Gradient(rows[i], r);
    FCN_UNROLL
    for (int j = 0; j < n; ++j) Store(to + (i * n + j) * stride, r[j]);
  }
}

template <int M, typename T>
FCN_INLINE void GradientPixels(const Geometry &geometry, const T *gradients, const T *zeros, const Tile &tile,
                               const T *(&pixels)[M][M]) {
  for (int i = 0; i < M; ++i) {
    const int64_t row = tile.OutputRow(geometry, i);
    for (int j = 0; j < M; ++j) {
      const int64_t column = tile.OutputColumn(geometry, j);
      const bool inside = row < geometry.output_height && column < geometry.output_width;
      const int64_t pixel = (tile.image * geometry.output_height + row) * geometry.output_width + column;
      pixels[i][j] = inside ? gradients + pixel * geometry.outputs : zeros;
    }
  }
}

template <int M, typename T>
FCN_TARGET void TransformGradient(const Geometry &geometry, const T *gradients, const T *zeros, const Tile *tiles,
                                  int64_t count, int64_t begin, int64_t end, float *to, const Strides &strides) {
  const T *pixels[kTilesOfCall][M][M];
  for (int64_t tile = 0; tile < count; ++tile) GradientPixels<M>(geometry, gradients, zeros, tiles[tile], pixels[tile]);
  // The last group may have channels in its first half alone.
  const T *none[M][M];
  for (auto &row : none) std::fill_n(row, M, zeros);
  for (int64_t group = begin; group < end; group += kOutputGroup) {
    for (int64_t tile = 0; tile < count; ++tile) {
      for (int64_t lane = 0; lane < kOutputGroup; lane += kLanes) {
        const bool exists = group + lane < end;
        GradientTile<M>(exists ? pixels[tile] : none, exists ? group + lane : 0, to + tile * kOutputGroup + lane,
                        strides.position);
      }
    }
    to += strides.group;
  }
}

// Two vectors of columns and as many rows as the registers have room for sums.
template <int kRows>
FCN_TARGET FCN_INLINE void MultiplyRows(const float *input, const float *gradient, int64_t tiles, float *to,
                                        size_t stride, bool add) {
  Vector sums[kRows][2];
  FCN_UNROLL
  for (int row = 0; row < kRows; ++row) {
    sums[row][0] = sums[row][1] = Zero();
    _mm_prefetch(reinterpret_cast<const char *>(to + row * stride), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char *>(to + row * stride + 2 * kLanes - 1), _MM_HINT_T0);
  }
#pragma GCC unroll 2
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const Vector left = Load(gradient + tile * kOutputGroup);
    const Vector right = Load(gradient + tile * kOutputGroup + kLanes);
    FCN_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const Vector value = Spread(input[tile * kInputGroup + row]);
      sums[row][0] = MultiplyAdd(value, left, sums[row][0]);
      sums[row][1] = MultiplyAdd(value, right, sums[row][1]);
    }
  }
  FCN_UNROLL
  for (int row = 0; row < kRows; ++row) {
    FCN_UNROLL
    for (int half = 0; half < 2; ++half) {
      float *at = to + row * stride + half * kLanes;
      Store(at, add ? Add(Load(at), sums[row][half]) : sums[row][half]);
    }
  }
}

FCN_TARGET void MultiplyTiles(const float *input, const float *gradient, int64_t tiles, float *to, size_t stride,
                              bool add) {
#if FCN_VECTOR_AVX512
  // 16 of 32 registers hold sums.
  MultiplyRows<8>(input, gradient, tiles, to, stride, add);
  MultiplyRows<8>(input + 8, gradient, tiles, to + 8 * stride, stride, add);
#else
  // 12, 10 and 10 of 16 registers hold sums.
  for (int64_t column = 0; column < kOutputGroup; column += 2 * kLanes) {
    MultiplyRows<6>(input, gradient + column, tiles, to + column, stride, add);
    MultiplyRows<5>(input + 6, gradient + column, tiles, to + 6 * stride + column, stride, add);
    MultiplyRows<5>(input + 11, gradient + column, tiles, to + 11 * stride + column, stride, add);
  }
#endif
}

// Gᵀ m
template <int M>
FCN_TARGET FCN_INLINE void TransformBack(const Vector (&g)[M + 2][3], const Vector (&m)[M + 2], Vector (&r)[3]) {
  FCN_UNROLL
  for (int i = 0; i < 3; ++i) {
    r[i] = Multiply(g[0][i], m[0]);
    FCN_UNROLL
    for (int p = 1; p < M + 2; ++p) r[i] = MultiplyAdd(g[p][i], m[p], r[i]);
  }
}

template <int M, typename T>
FCN_TARGET void TransformFilter(int64_t outputs, const float *from, size_t stride, T *to, size_t tap) {
  constexpr int n = M + 2;
  double matrix[n][3];
  FilterMatrix<M>(matrix);
  Vector g[n][3];
  for (int p = 0; p < n; ++p) {
    for (int i = 0; i < 3; ++i) g[p][i] = Spread(static_cast<float>(matrix[p][i]));
  }
  for (int64_t output = 0; output < outputs; output += kLanes) {
    Vector rows[3][n];
    FCN_UNROLL
    for (int j = 0; j < n; ++j) {
      Vector m[n], r[3];
      FCN_UNROLL
      for (int i = 0; i < n; ++i) {
        const float *at = from + (i * n + j) * stride + output;
        m[i] = Load(at);
        // More streams than a processor foresees by itself; rows follow each other.
        _mm_prefetch(reinterpret_cast<const char *>(at + 4 * kLanes), _MM_HINT_T0);
      }
      TransformBack<M>(g, m, r);
      FCN_UNROLL
      for (int i = 0; i < 3; ++i) rows[i][j] = r[i];
    }
    FCN_UNROLL
    for (int i = 0; i < 3; ++i) {
      Vector r[3];
      TransformBack<M>(g, rows[i], r);
      FCN_UNROLL
      for (int j = 0; j < 3; ++j) StoreElements(to + (3 * i + j) * tap + output, r[j]);
    }
  }
}

template <int M, typename T>
FilterGradientKernels<T> Kernels() {
  return {TransformInput<M, T>, TransformGradient<M, T>, MultiplyTiles, TransformFilter<M, T>};
}

}  // namespace FCN_VECTOR_NAMESPACE
}  // namespace winograd
}  // namespace fcn

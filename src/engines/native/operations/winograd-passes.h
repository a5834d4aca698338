// The four passes of a Winograd convolution for one instruction set. Without include guard, like winograd-vector.h, which it
// includes: it defines `kPasses<M, T>` for F(M×M, 3×3), M = 2 or 4, of images stored as T.

#include <algorithm>
#include <type_traits>

#include "winograd-convolution.h"
#include "winograd-vector.h"

namespace fcn {
namespace winograd {
namespace FCN_VECTOR_NAMESPACE {

// Columns of a panel of the transformed filter, and the most tiles that a product keeps in registers with them: of 32
// registers 28 hold sums, of 16 12 do.
constexpr int kPanel = 2 * kLanes;
constexpr int kMostRows = FCN_VECTOR_AVX512 ? 14 : 6;

// ---- filter

// Columns of a filter, with the arithmetic that transforms them: in double precision, a half of a Vector at a time; or in single
// precision, for images of 16 bits, whose results are rounded to far less.
struct DoublePrecision {
#if FCN_VECTOR_AVX512
  using Columns = __m512d;
  FCN_TARGET FCN_INLINE static Columns Load(const float *at) { return _mm512_cvtps_pd(_mm256_loadu_ps(at)); }
  FCN_TARGET FCN_INLINE static Columns Combination(const double (&g)[3], const Columns (&f)[3]) {
    const Columns last = _mm512_mul_pd(_mm512_set1_pd(g[2]), f[2]);
    return _mm512_fmadd_pd(_mm512_set1_pd(g[0]), f[0], _mm512_fmadd_pd(_mm512_set1_pd(g[1]), f[1], last));
  }
  FCN_TARGET FCN_INLINE static void Store(float *at, Columns v) { _mm256_storeu_ps(at, _mm512_cvtpd_ps(v)); }
#else
  using Columns = __m256d;
  FCN_TARGET FCN_INLINE static Columns Load(const float *at) { return _mm256_cvtps_pd(_mm_loadu_ps(at)); }
  FCN_TARGET FCN_INLINE static Columns Combination(const double (&g)[3], const Columns (&f)[3]) {
    const Columns last = _mm256_mul_pd(_mm256_set1_pd(g[2]), f[2]);
    return _mm256_fmadd_pd(_mm256_set1_pd(g[0]), f[0], _mm256_fmadd_pd(_mm256_set1_pd(g[1]), f[1], last));
  }
  FCN_TARGET FCN_INLINE static void Store(float *at, Columns v) { _mm_storeu_ps(at, _mm256_cvtpd_ps(v)); }
#endif
  using Number = double;
  static constexpr int kColumns = kLanes / 2;
};

struct SinglePrecision {
  using Columns = Vector;
  FCN_TARGET FCN_INLINE static Columns Load(const float *at) { return FCN_VECTOR_NAMESPACE::Load(at); }
  FCN_TARGET FCN_INLINE static Columns Combination(const float (&g)[3], const Columns (&f)[3]) {
    return MultiplyAdd(Spread(g[0]), f[0], MultiplyAdd(Spread(g[1]), f[1], Multiply(Spread(g[2]), f[2])));
  }
  FCN_TARGET FCN_INLINE static void Store(float *at, Columns v) { FCN_VECTOR_NAMESPACE::Store(at, v); }
  using Number = float;
  static constexpr int kColumns = kLanes;
};

template <typename T>
using FilterPrecision = std::conditional_t<std::is_same<T, float>::value, DoublePrecision, SinglePrecision>;

// G g Gᵀ of some columns. `taps` has the nine places of the columns' first.
template <int M, typename Precision>
FCN_TARGET FCN_INLINE void FilterColumns(const typename Precision::Number (&g)[M + 2][3], const float *const (&taps)[9],
                                         int64_t offset, float *to, size_t stride) {
  constexpr int n = M + 2;
  typename Precision::Columns half[n][3];
  FCN_UNROLL
  for (int j = 0; j < 3; ++j) {
    const typename Precision::Columns column[3] = {Precision::Load(taps[j] + offset), Precision::Load(taps[3 + j] + offset),
                                                   Precision::Load(taps[6 + j] + offset)};
    FCN_UNROLL
    for (int i = 0; i < n; ++i) half[i][j] = Precision::Combination(g[i], column);
  }
  FCN_UNROLL
  for (int i = 0; i < n; ++i) {
    FCN_UNROLL
    for (int j = 0; j < n; ++j) Precision::Store(to + (i * n + j) * stride, Precision::Combination(g[j], half[i]));
  }
}

// The channels [first, first + kFilterPiece) of a turned filter, columns [column, column + count), as [tap][channel][kPanel].
inline void CopyTurned(const FilterBlock &block, int64_t first, int64_t column, int64_t count, float *to) {
  for (int tap = 0; tap < 9; ++tap) {
    const float *from = block.filter + ((8 - tap) * block.columns + column) * block.channels + first;
    for (int64_t c = 0; c < count; ++c) {
      for (int64_t k = 0; k < kFilterPiece; ++k) to[(tap * kFilterPiece + k) * kPanel + c] = from[c * block.channels + k];
    }
  }
}

template <int M, typename Precision>
FCN_TARGET void TransformFilter(const FilterBlock &block, int64_t panel, int64_t piece) {
  double matrix[M + 2][3];
  FilterMatrix<M>(matrix);
  typename Precision::Number g[M + 2][3];
  for (int p = 0; p < M + 2; ++p) {
    for (int i = 0; i < 3; ++i) g[p][i] = static_cast<typename Precision::Number>(matrix[p][i]);
  }
  const int64_t first = piece * kFilterPiece;
  const int64_t column = block.first_column + panel * kPanel;
  const int64_t count = std::min<int64_t>(kPanel, block.first_column + block.column_count - column);
  float *to = block.transformed + (panel * block.depth + first) * kPanel;
  alignas(64) float turned[9 * kFilterPiece * kPanel];
  const float *taps[9];
  for (int tap = 0; tap < 9; ++tap) {
    taps[tap] = block.turned ? turned + tap * kFilterPiece * kPanel
                             : block.filter + (tap * block.channels + block.first_channel + first) * block.columns + column;
  }
  if (block.turned) CopyTurned(block, block.first_channel + first, column, count, turned);
  const int64_t row = block.turned ? kPanel : block.columns;
  for (int64_t k = 0; k < kFilterPiece; ++k) {
    int64_t c = 0;
    for (; c < count; c += Precision::kColumns) {
      FilterColumns<M, Precision>(g, taps, k * row + c, to + k * kPanel + c, block.stride);
    }
    for (; c < kPanel; c += Precision::kColumns) {
      for (int point = 0; point < (M + 2) * (M + 2); ++point) {
        for (int lane = 0; lane < Precision::kColumns; ++lane) to[point * block.stride + k * kPanel + c + lane] = 0;
      }
    }
  }
}

// ---- input

template <int M, typename T>
FCN_TARGET void TransformInput(const Geometry &geometry, const T *images, const T *zeros, const Tile &tile, int64_t first,
                               int64_t depth, float *to, size_t stride) {
  const T *pixels[M + 2][M + 2];
  InputPixels<M>(geometry, images, zeros, tile, pixels);
  for (int64_t c = 0; c < depth; c += kLanes) InputTile<M>(pixels, first + c, to + c, stride);
}

// ---- product

// c[Rows][kPanel] = (add ? c : 0) + a[Rows][depth] · b[depth][kPanel]. Sums of kLongestSum products are added to c, in the order of
// the channels. Meanwhile the lines from `ahead` on are fetched.
template <int Rows>
FCN_TARGET void MultiplyPanel(const float *a, const float *b, float *c, size_t row, int64_t depth, bool add,
                              const float *ahead) {
  if (add) {
    FCN_UNROLL
    for (int i = 0; i < Rows; ++i) {
      _mm_prefetch(reinterpret_cast<const char *>(c + i * row), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char *>(c + i * row + kPanel - 1), _MM_HINT_T0);
    }
  }
  for (int64_t from = 0; from < depth; from += kLongestSum) {
    Vector sums[Rows][2];
    FCN_UNROLL
    for (int i = 0; i < Rows; ++i) sums[i][0] = sums[i][1] = Zero();
    for (int64_t k = std::min(depth - from, kLongestSum); k > 0; k -= 2) {
      _mm_prefetch(reinterpret_cast<const char *>(ahead), _MM_HINT_T1);
      ahead += 16;
      FCN_UNROLL
      for (int step = 0; step < 2; ++step) {
        const Vector left = Load(b + step * kPanel), right = Load(b + step * kPanel + kLanes);
        FCN_UNROLL
        for (int i = 0; i < Rows; ++i) {
          const Vector value = Spread(a[i * kTileRow + step]);
          sums[i][0] = MultiplyAdd(value, left, sums[i][0]);
          sums[i][1] = MultiplyAdd(value, right, sums[i][1]);
        }
      }
      a += 2;
      b += 2 * kPanel;
    }
    FCN_UNROLL
    for (int i = 0; i < Rows; ++i) {
      float *to = c + i * row;
      Store(to, add ? Add(Load(to), sums[i][0]) : sums[i][0]);
      Store(to + kLanes, add ? Add(Load(to + kLanes), sums[i][1]) : sums[i][1]);
    }
    add = true;
  }
}

using PanelProduct = void (*)(const float *, const float *, float *, size_t, int64_t, bool, const float *);
constexpr PanelProduct kPanelProducts[] = {
    nullptr,          MultiplyPanel<1>, MultiplyPanel<2>, MultiplyPanel<3>,
    MultiplyPanel<4>, MultiplyPanel<5>, MultiplyPanel<6>,
#if FCN_VECTOR_AVX512
    MultiplyPanel<7>, MultiplyPanel<8>, MultiplyPanel<9>, MultiplyPanel<10>,
    MultiplyPanel<11>, MultiplyPanel<12>, MultiplyPanel<13>, MultiplyPanel<14>,
#endif
};

// Multiplies the tiles' rows, in parts as even as possible, with each panel.
inline void Multiply(const float *tiles, int64_t count, int64_t depth, const float *panels, int64_t panel_count,
                     float *products, size_t row, bool add) {
  constexpr int64_t ahead_parts = kPanel / 8;
  const int64_t parts = (count + kMostRows - 1) / kMostRows;
  for (int64_t panel = 0; panel < panel_count; ++panel) {
    const float *b = panels + panel * depth * kPanel;
    const float *next = b + depth * kPanel;
    int64_t begin = 0;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t end = count * (part + 1) / parts;
      const float *ahead = next + std::min(part, ahead_parts - 1) * (depth / 2) * 16;
      kPanelProducts[end - begin](tiles + begin * kTileRow, b, products + begin * row + panel * kPanel, row, depth, add,
                                  ahead);
      begin = end;
    }
  }
}

// ---- output

template <int M, typename T>
FCN_TARGET void TransformOutput(const Geometry &geometry, const Tile &tile, const float *products, size_t stride,
                                int64_t first_column, int64_t columns, const Epilogue<T> &epilogue, T *images) {
  constexpr int n = M + 2;
  int64_t places[M][M];
  for (int i = 0; i < M; ++i) {
    for (int j = 0; j < M; ++j) {
      const int64_t row = tile.OutputRow(geometry, i), column = tile.OutputColumn(geometry, j);
      const int64_t pixel = (tile.image * geometry.output_height + row) * geometry.output_width + column;
      const bool inside = row < geometry.output_height && column < geometry.output_width;
      places[i][j] = inside ? pixel * geometry.outputs + first_column : -1;
    }
  }
  for (int64_t c = 0; c < columns; c += kLanes) {
    Vector rows[M][n];
    FCN_UNROLL
    for (int j = 0; j < n; ++j) {
      Vector m[n], y[M];
      FCN_UNROLL
      for (int i = 0; i < n; ++i) m[i] = Load(products + (i * n + j) * stride + c);
      Transform<M>::Output(m, y);
      FCN_UNROLL
      for (int i = 0; i < M; ++i) rows[i][j] = y[i];
    }
    const Vector bias = epilogue.bias == nullptr ? Zero() : Load(epilogue.bias + first_column + c);
    FCN_UNROLL
    for (int i = 0; i < M; ++i) {
      Vector y[M];
      Transform<M>::Output(rows[i], y);
      FCN_UNROLL
      for (int j = 0; j < M; ++j) {
        if (places[i][j] < 0) continue;
        Vector value = Add(y[j], bias);
        if (epilogue.residual != nullptr) {
          value = Add(value, LoadElements(epilogue.residual + places[i][j] + c));
        }
        if (epilogue.relu) value = AtLeast(Zero(), value);
        StoreElements(images + places[i][j] + c, value);
      }
    }
  }
}

template <int M, typename T>
constexpr Passes<T> kPasses = {kPanel, TransformFilter<M, FilterPrecision<T>>, TransformInput<M, T>, Multiply,
                               TransformOutput<M, T>};

}  // namespace FCN_VECTOR_NAMESPACE
}  // namespace winograd
}  // namespace fcn

// Vectors of channels for one instruction set, and Winograd's one-dimensional transforms on them. Without include guard: a
// source file defines FCN_VECTOR_AVX512 as 1 or 0 and includes this once, or once for each set:
//
//   #define FCN_VECTOR_AVX512 1
//   #include "winograd-vector.h"      // fcn::winograd::avx512
//
// Every function that uses it must be marked FCN_TARGET, and its helpers FCN_TARGET FCN_INLINE: then the whole library needs
// no compiler flags. A lambda does not inherit the mark. FMAs are explicit, and both sets do the same operations in the same
// order on each channel: they give the same bits.

#include <immintrin.h>

#include "element.h"
#include "operation.h"
#include "winograd.h"

// Keeps arrays of vectors in registers: only loops without a counter leave them there.
#undef FCN_UNROLL
#define FCN_UNROLL _Pragma("GCC unroll 16")

#undef FCN_TARGET
#undef FCN_VECTOR_NAMESPACE
#if FCN_VECTOR_AVX512
#define FCN_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#define FCN_VECTOR_NAMESPACE avx512
#else
#define FCN_TARGET __attribute__((target("avx2,fma")))
#define FCN_VECTOR_NAMESPACE avx2
#endif

namespace fcn {
namespace winograd {
namespace FCN_VECTOR_NAMESPACE {

#if FCN_VECTOR_AVX512
using Vector = __m512;
constexpr int kLanes = 16;
FCN_TARGET FCN_INLINE Vector Zero() { return _mm512_setzero_ps(); }
FCN_TARGET FCN_INLINE Vector Spread(float value) { return _mm512_set1_ps(value); }
FCN_TARGET FCN_INLINE Vector Load(const float *at) { return _mm512_loadu_ps(at); }
FCN_TARGET FCN_INLINE void Store(float *at, Vector v) { _mm512_storeu_ps(at, v); }
FCN_TARGET FCN_INLINE Vector Add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
FCN_TARGET FCN_INLINE Vector Subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
FCN_TARGET FCN_INLINE Vector Multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
// a·b + c and c − a·b, rounded once.
FCN_TARGET FCN_INLINE Vector MultiplyAdd(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
FCN_TARGET FCN_INLINE Vector SubtractProduct(Vector a, Vector b, Vector c) { return _mm512_fnmadd_ps(a, b, c); }
// NaN stays NaN: the instruction returns its second operand if one is NaN.
FCN_TARGET FCN_INLINE Vector AtLeast(Vector least, Vector v) { return _mm512_max_ps(least, v); }
// As Load and Store of element.h, which they would be confused with if they had its names.
FCN_TARGET FCN_INLINE Vector LoadElements(const Bfloat16 *at) {
  const __m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(at)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}
FCN_TARGET FCN_INLINE void StoreElements(Bfloat16 *at, Vector v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), last);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_mov_epi32(_mm512_srli_epi32(rounded, 16), nan, _mm512_set1_epi32(0x7fc0));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(at), _mm512_cvtepi32_epi16(kept));
}
#else
using Vector = __m256;
constexpr int kLanes = 8;
FCN_TARGET FCN_INLINE Vector Zero() { return _mm256_setzero_ps(); }
FCN_TARGET FCN_INLINE Vector Spread(float value) { return _mm256_set1_ps(value); }
FCN_TARGET FCN_INLINE Vector Load(const float *at) { return _mm256_loadu_ps(at); }
FCN_TARGET FCN_INLINE void Store(float *at, Vector v) { _mm256_storeu_ps(at, v); }
FCN_TARGET FCN_INLINE Vector Add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
FCN_TARGET FCN_INLINE Vector Subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
FCN_TARGET FCN_INLINE Vector Multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
// a·b + c and c − a·b, rounded once.
FCN_TARGET FCN_INLINE Vector MultiplyAdd(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
FCN_TARGET FCN_INLINE Vector SubtractProduct(Vector a, Vector b, Vector c) { return _mm256_fnmadd_ps(a, b, c); }
// NaN stays NaN: the instruction returns its second operand if one is NaN.
FCN_TARGET FCN_INLINE Vector AtLeast(Vector least, Vector v) { return _mm256_max_ps(least, v); }
// As Load and Store of element.h, which they would be confused with if they had its names.
FCN_TARGET FCN_INLINE Vector LoadElements(const Bfloat16 *at) {
  const __m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(at)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}
FCN_TARGET FCN_INLINE void StoreElements(Bfloat16 *at, Vector v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i last = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), last);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i kept = _mm256_blendv_epi8(_mm256_srli_epi32(rounded, 16), _mm256_set1_epi32(0x7fc0), nan);
  // Each half of the register is packed by itself: twice its four values.
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(kept, kept), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(at), _mm256_castsi256_si128(packed));
}
#endif
FCN_TARGET FCN_INLINE Vector LoadElements(const float *at) { return Load(at); }
FCN_TARGET FCN_INLINE void StoreElements(float *at, Vector v) { Store(at, v); }

template <int M>
struct Transform;

template <>
struct Transform<2> {
  // Bᵀ d
  FCN_TARGET FCN_INLINE static void Input(const Vector (&d)[4], Vector (&r)[4]) {
    r[0] = Subtract(d[0], d[2]);
    r[1] = Add(d[2], d[1]);
    r[2] = Subtract(d[2], d[1]);
    r[3] = Subtract(d[3], d[1]);
  }
  // Aᵀ m
  FCN_TARGET FCN_INLINE static void Output(const Vector (&m)[4], Vector (&y)[2]) {
    y[0] = Add(m[0], Add(m[1], m[2]));
    y[1] = Add(Subtract(m[1], m[2]), m[3]);
  }
  // A y
  FCN_TARGET FCN_INLINE static void Gradient(const Vector (&y)[2], Vector (&r)[4]) {
    r[0] = y[0];
    r[1] = Add(y[0], y[1]);
    r[2] = Subtract(y[0], y[1]);
    r[3] = y[1];
  }
};

template <>
struct Transform<4> {
  // Bᵀ d. Row p has the coefficients of the product of all x − q, q ≠ p; ±p share an even and an odd part.
  FCN_TARGET FCN_INLINE static void Input(const Vector (&d)[6], Vector (&r)[6]) {
    const Vector a = Spread(kA), b = Spread(kB), aa = Spread(kA * kA), bb = Spread(kB * kB);
    const Vector product = Spread(kA * kA * kB * kB), sum = Spread(kA * kA + kB * kB);
    r[0] = MultiplyAdd(product, d[0], SubtractProduct(sum, d[2], d[4]));
    r[5] = MultiplyAdd(product, d[1], SubtractProduct(sum, d[3], d[5]));
    const Vector even_a = SubtractProduct(bb, d[2], d[4]), odd_a = SubtractProduct(bb, d[1], d[3]);
    r[1] = MultiplyAdd(a, odd_a, even_a);
    r[2] = SubtractProduct(a, odd_a, even_a);
    const Vector even_b = SubtractProduct(aa, d[2], d[4]), odd_b = SubtractProduct(aa, d[1], d[3]);
    r[3] = MultiplyAdd(b, odd_b, even_b);
    r[4] = SubtractProduct(b, odd_b, even_b);
  }
  // Aᵀ m: row i has the points' powers i; ∞ counts in the last alone.
  FCN_TARGET FCN_INLINE static void Output(const Vector (&m)[6], Vector (&y)[4]) {
    const Vector a = Spread(kA), b = Spread(kB), aa = Spread(kA * kA), bb = Spread(kB * kB);
    const Vector aaa = Spread(kA * kA * kA), bbb = Spread(kB * kB * kB);
    const Vector sum_a = Add(m[1], m[2]), difference_a = Subtract(m[1], m[2]);
    const Vector sum_b = Add(m[3], m[4]), difference_b = Subtract(m[3], m[4]);
    y[0] = Add(m[0], Add(sum_a, sum_b));
    y[1] = MultiplyAdd(a, difference_a, Multiply(b, difference_b));
    y[2] = MultiplyAdd(aa, sum_a, Multiply(bb, sum_b));
    y[3] = MultiplyAdd(aaa, difference_a, MultiplyAdd(bbb, difference_b, m[5]));
  }
  // A y
  FCN_TARGET FCN_INLINE static void Gradient(const Vector (&y)[4], Vector (&r)[6]) {
    const Vector a = Spread(kA), b = Spread(kB), aa = Spread(kA * kA), bb = Spread(kB * kB);
    const Vector aaa = Spread(kA * kA * kA), bbb = Spread(kB * kB * kB);
    r[0] = y[0];
    r[5] = y[3];
    const Vector even_a = MultiplyAdd(aa, y[2], y[0]), odd_a = MultiplyAdd(aaa, y[3], Multiply(a, y[1]));
    r[1] = Add(even_a, odd_a);
    r[2] = Subtract(even_a, odd_a);
    const Vector even_b = MultiplyAdd(bb, y[2], y[0]), odd_b = MultiplyAdd(bbb, y[3], Multiply(b, y[1]));
    r[3] = Add(even_b, odd_b);
    r[4] = Subtract(even_b, odd_b);
  }
};

// Bᵀ d B of one tile for kLanes channels: `pixels[i][j]` is where the tile's input (i, j) has them; position (i, j) of the
// result goes to `to + (i·(M+2) + j)·stride`.
template <int M, typename T>
FCN_TARGET FCN_INLINE void InputTile(const T *const (&pixels)[M + 2][M + 2], int64_t channel, float *to,
                                     size_t stride) {
  constexpr int n = M + 2;
  Vector rows[n][n];
  FCN_UNROLL
  for (int j = 0; j < n; ++j) {
    Vector d[n], r[n];
    FCN_UNROLL
    for (int i = 0; i < n; ++i) d[i] = LoadElements(pixels[i][j] + channel);
    Transform<M>::Input(d, r);
    FCN_UNROLL
    for (int i = 0; i < n; ++i) rows[i][j] = r[i];
  }
  FCN_UNROLL
  for (int i = 0; i < n; ++i) {
    Vector r[n];
    Transform<M>::Input(rows[i], r);
    FCN_UNROLL
    for (int j = 0; j < n; ++j) Store(to + (i * n + j) * stride, r[j]);
  }
}

// Where each input of a tile lies in NHWC images; `zeros` (as many as channels) stands for what lies outside.
template <int M, typename T>
FCN_INLINE void InputPixels(const Geometry &geometry, const T *images, const T *zeros, const Tile &tile,
                            const T *(&pixels)[M + 2][M + 2]) {
  for (int i = 0; i < M + 2; ++i) {
    const int64_t row = tile.InputRow(geometry, i);
    for (int j = 0; j < M + 2; ++j) {
      const int64_t column = tile.InputColumn(geometry, j);
      const bool inside = row >= 0 && row < geometry.height && column >= 0 && column < geometry.width;
      pixels[i][j] =
          inside ? images + ((tile.image * geometry.height + row) * geometry.width + column) * geometry.inputs : zeros;
    }
  }
}

}  // namespace FCN_VECTOR_NAMESPACE
}  // namespace winograd
}  // namespace fcn

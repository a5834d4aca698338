#include "batch-norm-rows.h"

#include <algorithm>

namespace fcn {
namespace {

// The gradient that reaches the normalised value: none where the ReLU gave 0.
template <bool kRelu>
FCN_INLINE float Masked(float gradient, float centred, float scale, float shift) {
  return kRelu && !(centred * scale + shift > 0.0f) ? 0.0f : gradient;
}

template <typename T>
FCN_INLINE void AddMoments(const T *FCN_RESTRICT x, const float *FCN_RESTRICT shift, int64_t rows, int64_t channels,
                           float *partial, double *FCN_RESTRICT sums) {
  float *FCN_RESTRICT sum = partial;
  float *FCN_RESTRICT square = partial + channels;
  for (int64_t first = 0; first < rows; first += kRowsOfFloatSum) {
    const int64_t last = std::min(rows, first + kRowsOfFloatSum);
    std::fill(partial, partial + 2 * channels, 0.0f);
    for (int64_t row = first; row < last; ++row) {
      const T *at = x + row * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const float value = Load(at + c) - shift[c];
        sum[c] += value;
        square[c] += value * value;
      }
    }
    for (int64_t i = 0; i < 2 * channels; ++i) sums[i] += partial[i];
  }
}

template <bool kResidual, bool kRelu, typename T>
FCN_INLINE void Rescale(const T *FCN_RESTRICT x, const T *FCN_RESTRICT residual, const Affine &affine, int64_t rows,
                        int64_t channels, T *FCN_RESTRICT y) {
  const float *FCN_RESTRICT mean = affine.mean;
  const float *FCN_RESTRICT scale = affine.scale;
  const float *FCN_RESTRICT shift = affine.shift;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      float value = (Load(x + at + c) - mean[c]) * scale[c] + shift[c];
      if (kResidual) value += Load(residual + at + c);
      // A NaN passes, as in PyTorch: a run must see it.
      if (kRelu) value = value < 0.0f ? 0.0f : value;
      Store(y + at + c, value);
    }
  }
}

template <typename T>
FCN_INLINE void RescaleRows(const T *x, const T *residual, bool relu, const Affine &affine, int64_t rows,
                            int64_t channels, T *y) {
  if (residual != nullptr) {
    if (relu) {
      Rescale<true, true>(x, residual, affine, rows, channels, y);
    } else {
      Rescale<true, false>(x, residual, affine, rows, channels, y);
    }
  } else if (relu) {
    Rescale<false, true>(x, residual, affine, rows, channels, y);
  } else {
    Rescale<false, false>(x, residual, affine, rows, channels, y);
  }
}

template <bool kRelu, typename T>
FCN_INLINE void AddGradientSums(const T *FCN_RESTRICT gradient, const T *FCN_RESTRICT x, const Affine &affine,
                                int64_t rows, int64_t channels, float *partial, double *FCN_RESTRICT sums) {
  const float *FCN_RESTRICT mean = affine.mean;
  const float *FCN_RESTRICT scale = affine.scale;
  const float *FCN_RESTRICT shift = affine.shift;
  float *FCN_RESTRICT sum = partial;
  float *FCN_RESTRICT product = partial + channels;
  for (int64_t first = 0; first < rows; first += kRowsOfFloatSum) {
    const int64_t last = std::min(rows, first + kRowsOfFloatSum);
    std::fill(partial, partial + 2 * channels, 0.0f);
    for (int64_t row = first; row < last; ++row) {
      const int64_t at = row * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const float centred = Load(x + at + c) - mean[c];
        const float masked = Masked<kRelu>(Load(gradient + at + c), centred, scale[c], shift[c]);
        sum[c] += masked;
        product[c] += masked * centred;
      }
    }
    for (int64_t i = 0; i < 2 * channels; ++i) sums[i] += partial[i];
  }
}

template <typename T>
FCN_INLINE void GradientSumsOf(const T *gradient, const T *x, bool relu, const Affine &affine, int64_t rows,
                               int64_t channels, float *partial, double *sums) {
  if (relu) {
    AddGradientSums<true>(gradient, x, affine, rows, channels, partial, sums);
  } else {
    AddGradientSums<false>(gradient, x, affine, rows, channels, partial, sums);
  }
}

template <bool kRelu, typename T>
FCN_INLINE void Correct(const T *FCN_RESTRICT gradient, const T *FCN_RESTRICT x, const Affine &affine,
                        const Correction &correction, int64_t rows, int64_t channels, T *FCN_RESTRICT dx) {
  const float *FCN_RESTRICT mean = affine.mean;
  const float *FCN_RESTRICT scale = affine.scale;
  const float *FCN_RESTRICT shift = affine.shift;
  const float *FCN_RESTRICT offset = correction.offset;
  const float *FCN_RESTRICT slope = correction.slope;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float centred = Load(x + at + c) - mean[c];
      const float masked = Masked<kRelu>(Load(gradient + at + c), centred, scale[c], shift[c]);
      Store(dx + at + c, scale[c] * (masked - offset[c] - centred * slope[c]));
    }
  }
}

template <typename T>
FCN_INLINE void CorrectRows(const T *gradient, const T *x, bool relu, const Affine &affine,
                            const Correction &correction, int64_t rows, int64_t channels, T *dx) {
  if (relu) {
    Correct<true>(gradient, x, affine, correction, rows, channels, dx);
  } else {
    Correct<false>(gradient, x, affine, correction, rows, channels, dx);
  }
}

}  // namespace

FCN_CLONES void Moments(const float *x, const float *shift, int64_t rows, int64_t channels, float *partial,
                        double *sums) {
  AddMoments(x, shift, rows, channels, partial, sums);
}

FCN_CLONES void Moments(const Bfloat16 *x, const float *shift, int64_t rows, int64_t channels, float *partial,
                        double *sums) {
  AddMoments(x, shift, rows, channels, partial, sums);
}

FCN_CLONES void Normalise(const float *x, const float *residual, bool relu, const Affine &affine, int64_t rows,
                          int64_t channels, float *y) {
  RescaleRows(x, residual, relu, affine, rows, channels, y);
}

FCN_CLONES void Normalise(const Bfloat16 *x, const Bfloat16 *residual, bool relu, const Affine &affine, int64_t rows,
                          int64_t channels, Bfloat16 *y) {
  RescaleRows(x, residual, relu, affine, rows, channels, y);
}

FCN_CLONES void GradientSums(const float *gradient, const float *x, bool relu, const Affine &affine, int64_t rows,
                             int64_t channels, float *partial, double *sums) {
  GradientSumsOf(gradient, x, relu, affine, rows, channels, partial, sums);
}

FCN_CLONES void GradientSums(const Bfloat16 *gradient, const Bfloat16 *x, bool relu, const Affine &affine, int64_t rows,
                             int64_t channels, float *partial, double *sums) {
  GradientSumsOf(gradient, x, relu, affine, rows, channels, partial, sums);
}

FCN_CLONES void InputGradient(const float *gradient, const float *x, bool relu, const Affine &affine,
                              const Correction &correction, int64_t rows, int64_t channels, float *dx) {
  CorrectRows(gradient, x, relu, affine, correction, rows, channels, dx);
}

FCN_CLONES void InputGradient(const Bfloat16 *gradient, const Bfloat16 *x, bool relu, const Affine &affine,
                              const Correction &correction, int64_t rows, int64_t channels, Bfloat16 *dx) {
  CorrectRows(gradient, x, relu, affine, correction, rows, channels, dx);
}

}  // namespace fcn

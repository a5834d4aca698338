// Batch norm of some rows of [rows, channels], in one thread. Images are float32 or bfloat16, all else is float32.

#pragma once

#include "element.h"

namespace fcn {

// Rows that are summed in float32; longer sums are in float64.
constexpr int64_t kRowsOfFloatSum = 64;

// What each channel is normalised with: (x − mean)·scale + shift.
struct Affine {
  const float *mean;
  const float *scale;
  const float *shift;
};

// What the statistics take from a channel's gradient: scale·(gradient − offset − (x − mean)·slope) is that of x.
struct Correction {
  const float *offset;
  const float *slope;
};

// Sums of x − shift and of its square, added to `sums`: first all channels' sums, then all channels' squares. `partial`
// is room for 2·channels values.
void Moments(const float *x, const float *shift, int64_t rows, int64_t channels, float *partial, double *sums);
void Moments(const Bfloat16 *x, const float *shift, int64_t rows, int64_t channels, float *partial, double *sums);

// y = (x − mean)·scale + shift, plus the residual where there is one, and the ReLU of that where asked for.
void Normalise(const float *x, const float *residual, bool relu, const Affine &affine, int64_t rows, int64_t channels,
               float *y);
void Normalise(const Bfloat16 *x, const Bfloat16 *residual, bool relu, const Affine &affine, int64_t rows,
               int64_t channels, Bfloat16 *y);

// Sums of the gradient (of what comes before the ReLU, where there was one) and of gradient·(x − mean), added to
// `sums`.
void GradientSums(const float *gradient, const float *x, bool relu, const Affine &affine, int64_t rows,
                  int64_t channels, float *partial, double *sums);
void GradientSums(const Bfloat16 *gradient, const Bfloat16 *x, bool relu, const Affine &affine, int64_t rows,
                  int64_t channels, float *partial, double *sums);

// The gradient of x.
void InputGradient(const float *gradient, const float *x, bool relu, const Affine &affine, const Correction &correction,
                   int64_t rows, int64_t channels, float *dx);
void InputGradient(const Bfloat16 *gradient, const Bfloat16 *x, bool relu, const Affine &affine,
                   const Correction &correction, int64_t rows, int64_t channels, Bfloat16 *dx);

}  // namespace fcn

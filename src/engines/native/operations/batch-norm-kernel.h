// What the operations of batch norm share: blocks of rows, sums over them in a fixed order, and the attributes.

#pragma once

#include <algorithm>
#include <cmath>

#include "batch-norm-rows.h"
#include "operation.h"
#include "threads.h"

namespace fcn {

constexpr int64_t kElementsOfNormBlock = 32768;

struct Rows {
  int64_t count = 0;
  int64_t channels = 0;
  int64_t of_block = 0;

  explicit Rows(const TF_Tensor *x) {
    const int axes = TF_NumDims(x);
    Require(axes >= 1, "batch norm needs at least one axis");
    channels = TF_Dim(x, axes - 1);
    Require(channels > 0 && TF_TensorElementCount(x) > 0, "batch norm of no values");
    count = TF_TensorElementCount(x) / channels;
    of_block = std::max(kRowsOfFloatSum, kElementsOfNormBlock / channels);
  }

  int64_t Blocks() const { return (count + of_block - 1) / of_block; }
  int64_t Begin(int64_t block) const { return block * of_block; }
  int64_t End(int64_t block) const { return std::min(count, (block + 1) * of_block); }
};

// The factors γ/√(variance + ε).
inline std::vector<float> Scale(const float *variance, const float *gamma, float epsilon, int64_t channels) {
  std::vector<float> scale(channels);
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = static_cast<float>(gamma[c] / std::sqrt(static_cast<double>(variance[c]) + epsilon));
  }
  return scale;
}

inline const float *Channels(Call &call, int index, int64_t channels) {
  TF_Tensor *tensor = call.Input(index);
  Require(TF_TensorElementCount(tensor) == channels, "batch norm needs one value a channel");
  return Data<float>(tensor);
}

// Adds `block(begin, end, partial, sums)` up over all blocks of rows, in their order.
template <typename Block>
std::vector<double> SumOverBlocks(const Rows &rows, const Block &block) {
  const int64_t width = 2 * rows.channels;
  std::vector<double> sums(rows.Blocks() * width, 0.0);
  ParallelFor(rows.Blocks(), [&](int64_t index) {
    std::vector<float> partial(width);
    block(rows.Begin(index), rows.End(index), partial.data(), sums.data() + index * width);
  });
  for (int64_t index = 1; index < rows.Blocks(); ++index) {
    for (int64_t i = 0; i < width; ++i) sums[i] += sums[index * width + i];
  }
  sums.resize(width);
  return sums;
}

// Near the mean, so that the sum of squares about it loses no digits: the mean of some rows spread over all of them.
template <typename T>
std::vector<float> RoughMean(const T *x, const Rows &rows) {
  const int64_t samples = std::min<int64_t>(rows.count, 16);
  std::vector<float> mean(rows.channels, 0.0f);
  for (int64_t sample = 0; sample < samples; ++sample) {
    const T *at = x + (sample * rows.count / samples) * rows.channels;
    for (int64_t c = 0; c < rows.channels; ++c) mean[c] += Load(at + c) / static_cast<float>(samples);
  }
  return mean;
}

template <typename T>
void WriteNormalised(const Rows &rows, const Affine &affine, const T *x, const T *residual, bool relu, T *y) {
  ParallelFor(rows.Blocks(), [&](int64_t index) {
    const int64_t at = rows.Begin(index) * rows.channels;
    const int64_t count = rows.End(index) - rows.Begin(index);
    Normalise(x + at, residual == nullptr ? nullptr : residual + at, relu, affine, count, rows.channels, y + at);
  });
}

template <typename T>
void WriteInputGradient(const Rows &rows, const Affine &affine, const Correction &correction, const T *gradient,
                        const T *x, bool relu, T *dx) {
  ParallelFor(rows.Blocks(), [&](int64_t index) {
    const int64_t at = rows.Begin(index) * rows.channels;
    const int64_t count = rows.End(index) - rows.Begin(index);
    InputGradient(gradient + at, x + at, relu, affine, correction, count, rows.channels, dx + at);
  });
}

// What the operations share: which storage, what follows the normalisation.
template <typename Kernel>
class BatchNormKernel : public StoredKernel<Kernel> {
 public:
  explicit BatchNormKernel(Attributes &attributes)
      : StoredKernel<Kernel>(attributes.Type("T")),
        epsilon_(attributes.Float("epsilon")),
        relu_(attributes.Bool("relu")),
        add_(attributes.Bool("add")) {}

 protected:
  template <typename T>
  const T *Residual(Call &call, int index, const TF_Tensor *x) const {
    if (!add_) return nullptr;
    TF_Tensor *residual = call.Input(index);
    Require(TF_TensorElementCount(residual) == TF_TensorElementCount(x), "the residual must have the shape of x");
    return Data<T>(residual);
  }

  float epsilon_;
  bool relu_;
  // Whether the residual is one: operations have no optional inputs.
  bool add_;
};

}  // namespace fcn

// Batch norm over the rows of [rows, channels], with what follows it in the networks done in the same pass: a residual
// added, a ReLU. The order of summation does not depend on the number of threads.

#include "batch-norm.h"

#include <algorithm>
#include <cmath>

#include "batch-norm-rows.h"
#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int64_t kElementsOfBlock = 32768;

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
    of_block = std::max(kRowsOfFloatSum, kElementsOfBlock / channels);
  }

  int64_t Blocks() const { return (count + of_block - 1) / of_block; }
  int64_t Begin(int64_t block) const { return block * of_block; }
  int64_t End(int64_t block) const { return std::min(count, (block + 1) * of_block); }
};

// The factors γ/√(variance + ε).
std::vector<float> Scale(const float *variance, const float *gamma, float epsilon, int64_t channels) {
  std::vector<float> scale(channels);
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = static_cast<float>(gamma[c] / std::sqrt(static_cast<double>(variance[c]) + epsilon));
  }
  return scale;
}

const float *Channels(Call &call, int index, int64_t channels) {
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

// What the three operations share: which storage, what follows the normalisation.
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

class BatchNorm : public BatchNormKernel<BatchNorm> {
 public:
  using BatchNormKernel::BatchNormKernel;

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *input = call.Input(0);
    const Rows rows(input);
    const T *x = Data<T>(input);
    const float *gamma = Channels(call, 1, rows.channels);
    const float *beta = Channels(call, 2, rows.channels);
    const T *residual = this->template Residual<T>(call, 3, input);
    T *y = Data<T>(call.Output(0, this->type_, Shape(input)));
    float *mean = Data<float>(call.Output(1, TF_FLOAT, {rows.channels}));
    float *variance = Data<float>(call.Output(2, TF_FLOAT, {rows.channels}));

    const std::vector<float> rough = RoughMean(x, rows);
    const std::vector<double> sums = SumOverBlocks(rows, [&](int64_t begin, int64_t end, float *partial, double *sums) {
      Moments(x + begin * rows.channels, rough.data(), end - begin, rows.channels, partial, sums);
    });
    for (int64_t c = 0; c < rows.channels; ++c) {
      const double offset = sums[c] / rows.count;
      mean[c] = static_cast<float>(rough[c] + offset);
      variance[c] = static_cast<float>(std::max(0.0, sums[rows.channels + c] / rows.count - offset * offset));
      // std::max drops a NaN.
      if (std::isnan(offset)) variance[c] = static_cast<float>(offset);
    }
    const std::vector<float> scale = Scale(variance, gamma, this->epsilon_, rows.channels);
    WriteNormalised(rows, {mean, scale.data(), beta}, x, residual, this->relu_, y);
  }
};

class BatchNormApply : public BatchNormKernel<BatchNormApply> {
 public:
  using BatchNormKernel::BatchNormKernel;

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *input = call.Input(0);
    const Rows rows(input);
    const float *gamma = Channels(call, 1, rows.channels);
    const float *beta = Channels(call, 2, rows.channels);
    const T *residual = this->template Residual<T>(call, 3, input);
    const float *mean = Channels(call, 4, rows.channels);
    const float *variance = Channels(call, 5, rows.channels);
    T *y = Data<T>(call.Output(0, this->type_, Shape(input)));
    const std::vector<float> scale = Scale(variance, gamma, this->epsilon_, rows.channels);
    WriteNormalised(rows, {mean, scale.data(), beta}, Data<T>(input), residual, this->relu_, y);
  }
};

class BatchNormGradient : public BatchNormKernel<BatchNormGradient> {
 public:
  using BatchNormKernel::BatchNormKernel;

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *given = call.Input(0);
    TF_Tensor *input = call.Input(1);
    const Rows rows(input);
    Require(TF_TensorElementCount(given) == TF_TensorElementCount(input), "the gradient must have the shape of x");
    const T *gradient = Data<T>(given);
    const T *x = Data<T>(input);
    const float *gamma = Channels(call, 2, rows.channels);
    const float *beta = Channels(call, 3, rows.channels);
    const float *mean = Channels(call, 4, rows.channels);
    const float *variance = Channels(call, 5, rows.channels);
    T *dx = Data<T>(call.Output(0, this->type_, Shape(input)));
    float *dgamma = Data<float>(call.Output(1, TF_FLOAT, {rows.channels}));
    float *dbeta = Data<float>(call.Output(2, TF_FLOAT, {rows.channels}));

    const std::vector<float> scale = Scale(variance, gamma, this->epsilon_, rows.channels);
    const Affine affine = {mean, scale.data(), beta};
    const std::vector<double> sums = SumOverBlocks(rows, [&](int64_t begin, int64_t end, float *partial, double *sums) {
      const int64_t at = begin * rows.channels;
      GradientSums(gradient + at, x + at, this->relu_, affine, end - begin, rows.channels, partial, sums);
    });
    std::vector<float> offset(rows.channels);
    std::vector<float> slope(rows.channels);
    for (int64_t c = 0; c < rows.channels; ++c) {
      const double inverse = 1 / std::sqrt(static_cast<double>(variance[c]) + this->epsilon_);
      const double product = sums[rows.channels + c];
      dbeta[c] = static_cast<float>(sums[c]);
      dgamma[c] = static_cast<float>(product * inverse);
      offset[c] = static_cast<float>(sums[c] / rows.count);
      slope[c] = static_cast<float>(product * inverse * inverse / rows.count);
    }
    const Correction correction = {offset.data(), slope.data()};
    ParallelFor(rows.Blocks(), [&](int64_t index) {
      const int64_t at = rows.Begin(index) * rows.channels;
      const int64_t count = rows.End(index) - rows.Begin(index);
      InputGradient(gradient + at, x + at, this->relu_, affine, correction, count, rows.channels, dx + at);
    });
  }
};

// running ← (1 − momentum)·running + momentum·batch, in the memory of the running statistics. The running variance takes the
// batch's unbiased one, as in PyTorch.
class RunningStatistics {
 public:
  explicit RunningStatistics(Attributes &attributes)
      : momentum_(attributes.Float("momentum")), unbiased_(attributes.Float("unbiased")) {}

  void Compute(Call &call) const {
    const int64_t channels = TF_TensorElementCount(call.Input(0));
    Blend(Channels(call, 0, channels), momentum_, call.Input(2), channels);
    Blend(Channels(call, 1, channels), momentum_ * unbiased_, call.Input(3), channels);
  }

 private:
  void Blend(const float *batch, float share, TF_Tensor *running, int64_t channels) const {
    Require(TF_TensorElementCount(running) == channels, "each channel has a running mean and a running variance");
    float *value = Data<float>(running);
    for (int64_t c = 0; c < channels; ++c) value[c] = (1 - momentum_) * value[c] + share * batch[c];
  }

  // Share of the batch's statistics, and count/(count − 1) of its values.
  const float momentum_, unbiased_;
};

}  // namespace

void RegisterBatchNorm() {
  const std::vector<const char *> attributes = {"T: {float, bfloat16}", "epsilon: float", "relu: bool", "add: bool"};
  Register<BatchNorm>({"FcnBatchNorm",
                       {"x: T", "gamma: float", "beta: float", "residual: T"},
                       {"y: T", "mean: float", "variance: float"},
                       attributes});
  Register<BatchNormApply>({"FcnBatchNormApply",
                            {"x: T", "gamma: float", "beta: float", "residual: T", "mean: float", "variance: float"},
                            {"y: T"},
                            attributes});
  Register<BatchNormGradient>({"FcnBatchNormGradient",
                               {"gradient: T", "x: T", "gamma: float", "beta: float", "mean: float", "variance: float"},
                               {"dx: T", "dgamma: float", "dbeta: float"},
                               attributes});
  Register<RunningStatistics>({"FcnRunningStatistics",
                               {"mean: float", "variance: float", "running_mean: float", "running_variance: float"},
                               {},
                               {"momentum: float", "unbiased: float"}});
}

}  // namespace fcn

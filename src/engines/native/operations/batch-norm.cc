// Batch norm over the rows of [rows, channels], with what follows it in the networks done in the same pass: a residual
// added, a ReLU. The order of summation does not depend on the number of threads.

#include "batch-norm.h"

#include <algorithm>
#include <cmath>

#include "batch-norm-kernel.h"

namespace fcn {
namespace {

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
    WriteInputGradient(rows, affine, {offset.data(), slope.data()}, gradient, x, this->relu_, dx);
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

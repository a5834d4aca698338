// Batch norm of a batch that is divided into shards of the same size, in one process or in several. An operation takes one shard. What
// the shards must know of each other, two numbers a channel, is an array of its own in float64: [1, 2, channels] of one shard,
// [shards, 2, channels] of all. They are added up by a binary tree over the shards, so the results depend neither on which process has
// which shard nor on the number of threads.

#include "batch-norm-shards.h"

#include "batch-norm-kernel.h"

namespace fcn {
namespace {

// A shard's numbers in double precision, and how many shards there are.
struct OfShards {
  int64_t shards;
  int64_t channels;
  const double *values;

  OfShards(Call &call, int index, int64_t channels_of_x) {
    TF_Tensor *tensor = call.Input(index);
    Require(TF_NumDims(tensor) == 3 && TF_Dim(tensor, 0) > 0 && TF_Dim(tensor, 1) == 2 &&
                TF_Dim(tensor, 2) == channels_of_x,
            "batch norm of shards needs two numbers a channel of each shard");
    shards = TF_Dim(tensor, 0);
    channels = channels_of_x;
    values = Data<double>(tensor);
  }

  double First(int64_t shard, int64_t channel) const { return values[2 * shard * channels + channel]; }
  double Second(int64_t shard, int64_t channel) const { return values[(2 * shard + 1) * channels + channel]; }
};

// Shards in the left half of a tree over `count` of them: the largest power of two below it. src/support/shard-tree.ts has the same tree.
int64_t LeftHalf(int64_t count) {
  int64_t half = 1;
  while (2 * half < count) half *= 2;
  return half;
}

double TreeSum(const OfShards &shards, int64_t begin, int64_t end, int64_t channel, bool second) {
  if (end - begin == 1) return second ? shards.Second(begin, channel) : shards.First(begin, channel);
  const int64_t middle = begin + LeftHalf(end - begin);
  return TreeSum(shards, begin, middle, channel, second) + TreeSum(shards, middle, end, channel, second);
}

// Mean, and sum of squares about it.
struct ChannelMoments {
  double mean;
  double squares;
};

// Those of several shards from their own (Chan, Golub, LeVeque 1979); `rows` is a shard's number of rows.
ChannelMoments Combine(const OfShards &shards, int64_t begin, int64_t end, int64_t channel, int64_t rows) {
  if (end - begin == 1) return {shards.First(begin, channel), shards.Second(begin, channel)};
  const int64_t middle = begin + LeftHalf(end - begin);
  const ChannelMoments left = Combine(shards, begin, middle, channel, rows);
  const ChannelMoments right = Combine(shards, middle, end, channel, rows);
  const double share = static_cast<double>(end - middle) / static_cast<double>(end - begin);
  const double distance = right.mean - left.mean;
  const double both = static_cast<double>(middle - begin) * static_cast<double>(rows) * share;
  return {left.mean + distance * share, left.squares + right.squares + distance * distance * both};
}

class BatchNormMoments : public StoredKernel<BatchNormMoments> {
 public:
  explicit BatchNormMoments(Attributes &attributes) : StoredKernel(attributes.Type("T")) {}

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *input = call.Input(0);
    const Rows rows(input);
    const T *x = Data<T>(input);
    double *moments = Data<double>(call.Output(0, TF_DOUBLE, {1, 2, rows.channels}));
    const std::vector<float> rough = RoughMean(x, rows);
    const std::vector<double> sums = SumOverBlocks(rows, [&](int64_t begin, int64_t end, float *partial, double *sums) {
      Moments(x + begin * rows.channels, rough.data(), end - begin, rows.channels, partial, sums);
    });
    for (int64_t c = 0; c < rows.channels; ++c) {
      const double offset = sums[c] / rows.count;
      moments[c] = rough[c] + offset;
      moments[rows.channels + c] = sums[rows.channels + c] - offset * offset * rows.count;
    }
  }
};

class BatchNormOfShards : public BatchNormKernel<BatchNormOfShards> {
 public:
  using BatchNormKernel::BatchNormKernel;

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *input = call.Input(0);
    const Rows rows(input);
    const float *gamma = Channels(call, 1, rows.channels);
    const float *beta = Channels(call, 2, rows.channels);
    const T *residual = this->template Residual<T>(call, 3, input);
    const OfShards shards(call, 4, rows.channels);
    T *y = Data<T>(call.Output(0, this->type_, Shape(input)));
    float *mean = Data<float>(call.Output(1, TF_FLOAT, {rows.channels}));
    float *variance = Data<float>(call.Output(2, TF_FLOAT, {rows.channels}));
    for (int64_t c = 0; c < rows.channels; ++c) {
      const ChannelMoments all = Combine(shards, 0, shards.shards, c, rows.count);
      mean[c] = static_cast<float>(all.mean);
      variance[c] = static_cast<float>(std::max(0.0, all.squares / (rows.count * shards.shards)));
      // std::max drops a NaN.
      if (std::isnan(all.mean)) variance[c] = static_cast<float>(all.mean);
    }
    const std::vector<float> scale = Scale(variance, gamma, this->epsilon_, rows.channels);
    WriteNormalised(rows, {mean, scale.data(), beta}, Data<T>(input), residual, this->relu_, y);
  }
};

class BatchNormGradientSums : public BatchNormKernel<BatchNormGradientSums> {
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
    double *result = Data<double>(call.Output(0, TF_DOUBLE, {1, 2, rows.channels}));
    const std::vector<float> scale = Scale(variance, gamma, this->epsilon_, rows.channels);
    const Affine affine = {mean, scale.data(), beta};
    const std::vector<double> sums = SumOverBlocks(rows, [&](int64_t begin, int64_t end, float *partial, double *sums) {
      const int64_t at = begin * rows.channels;
      GradientSums(gradient + at, x + at, this->relu_, affine, end - begin, rows.channels, partial, sums);
    });
    std::copy(sums.begin(), sums.end(), result);
  }
};

class BatchNormGradientOfShards : public BatchNormKernel<BatchNormGradientOfShards> {
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
    const OfShards shards(call, 6, rows.channels);
    T *dx = Data<T>(call.Output(0, this->type_, Shape(input)));
    float *dgamma = Data<float>(call.Output(1, TF_FLOAT, {rows.channels}));
    float *dbeta = Data<float>(call.Output(2, TF_FLOAT, {rows.channels}));

    std::vector<float> offset(rows.channels);
    std::vector<float> slope(rows.channels);
    for (int64_t c = 0; c < rows.channels; ++c) {
      const double sum = TreeSum(shards, 0, shards.shards, c, false);
      const double product = TreeSum(shards, 0, shards.shards, c, true);
      WriteChannel(rows.count * shards.shards, sum, product, variance[c], dgamma + c, dbeta + c, &offset[c], &slope[c]);
    }
    const std::vector<float> scale = Scale(variance, gamma, this->epsilon_, rows.channels);
    WriteInputGradient(rows, {mean, scale.data(), beta}, {offset.data(), slope.data()}, gradient, x, this->relu_, dx);
  }

 private:
  void WriteChannel(int64_t count, double sum, double product, float variance, float *dgamma, float *dbeta,
                    float *offset, float *slope) const {
    const double inverse = 1 / std::sqrt(static_cast<double>(variance) + this->epsilon_);
    *dbeta = static_cast<float>(sum);
    *dgamma = static_cast<float>(product * inverse);
    *offset = static_cast<float>(sum / count);
    *slope = static_cast<float>(product * inverse * inverse / count);
  }
};

}  // namespace

void RegisterBatchNormOfShards() {
  const std::vector<const char *> attributes = {"T: {float, bfloat16}", "epsilon: float", "relu: bool", "add: bool"};
  Register<BatchNormMoments>({"FcnBatchNormMoments", {"x: T"}, {"moments: double"}, {"T: {float, bfloat16}"}});
  Register<BatchNormOfShards>({"FcnBatchNormOfShards",
                               {"x: T", "gamma: float", "beta: float", "residual: T", "moments: double"},
                               {"y: T", "mean: float", "variance: float"},
                               attributes});
  Register<BatchNormGradientSums>(
      {"FcnBatchNormGradientSums",
       {"gradient: T", "x: T", "gamma: float", "beta: float", "mean: float", "variance: float"},
       {"sums: double"},
       attributes});
  Register<BatchNormGradientOfShards>(
      {"FcnBatchNormGradientOfShards",
       {"gradient: T", "x: T", "gamma: float", "beta: float", "mean: float", "variance: float", "sums: double"},
       {"dx: T", "dgamma: float", "dbeta: float"},
       attributes});
}

}  // namespace fcn

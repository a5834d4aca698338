// What follows a convolution in inference, in one pass and in place: a bias for each channel, the sum with another image, ReLU.
// Writes into the memory of its first input and has no output.

#include "activation.h"

#include <algorithm>

#include "element.h"
#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int64_t kElementsOfBlock = 65536;

// NaN stays NaN.
template <bool kAdd, bool kRelu, typename T>
FCN_INLINE void PixelOf(T *FCN_RESTRICT y, const float *FCN_RESTRICT bias, const T *FCN_RESTRICT residual,
                        int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) {
    float value = Load(y + c) + bias[c];
    if (kAdd) value += Load(residual + c);
    if (kRelu) value = value < 0 ? 0.0f : value;
    Store(y + c, value);
  }
}

template <typename T>
FCN_INLINE void PixelsOf(T *y, const float *bias, const T *residual, bool relu, int64_t channels, int64_t count) {
  for (int64_t pixel = 0; pixel < count; ++pixel) {
    T *at = y + pixel * channels;
    const T *added = residual == nullptr ? nullptr : residual + pixel * channels;
    if (residual != nullptr && relu) PixelOf<true, true>(at, bias, added, channels);
    if (residual != nullptr && !relu) PixelOf<true, false>(at, bias, added, channels);
    if (residual == nullptr && relu) PixelOf<false, true>(at, bias, added, channels);
    if (residual == nullptr && !relu) PixelOf<false, false>(at, bias, added, channels);
  }
}

FCN_CLONES void Pixels(float *y, const float *bias, const float *residual, bool relu, int64_t channels, int64_t count) {
  PixelsOf(y, bias, residual, relu, channels, count);
}
FCN_CLONES void Pixels(Bfloat16 *y, const float *bias, const Bfloat16 *residual, bool relu, int64_t channels,
                       int64_t count) {
  PixelsOf(y, bias, residual, relu, channels, count);
}

class BiasActivation : public StoredKernel<BiasActivation> {
 public:
  explicit BiasActivation(Attributes &attributes)
      : StoredKernel(attributes.Type("T")), add_(attributes.Bool("add")), relu_(attributes.Bool("relu")) {}

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *image = call.Input(0), *given = call.Input(1), *other = call.Input(2);
    const int64_t channels = TF_TensorElementCount(given);
    const int64_t count = TF_TensorElementCount(image);
    Require(!Shape(image).empty() && Shape(image).back() == channels, "the bias must have a value for each channel");
    Require(!add_ || Shape(other) == Shape(image), "both images must have one shape");
    if (count == 0) return;
    T *y = Data<T>(image);
    const float *bias = Data<float>(given);
    const T *residual = add_ ? Data<T>(other) : nullptr;
    const int64_t pixels = count / channels;
    const int64_t of_block = std::max<int64_t>(1, kElementsOfBlock / channels);
    ParallelFor((pixels + of_block - 1) / of_block, [&, this](int64_t block) {
      const int64_t first = block * of_block;
      const T *added = residual == nullptr ? nullptr : residual + first * channels;
      Pixels(y + first * channels, bias, added, relu_, channels, std::min(of_block, pixels - first));
    });
  }

 private:
  const bool add_, relu_;
};

}  // namespace

void RegisterActivation() {
  Register<BiasActivation>({"FcnBiasActivation",
                            {"image: T", "bias: float", "residual: T"},
                            {},
                            {"T: {float, bfloat16}", "add: bool", "relu: bool"}});
}

}  // namespace fcn

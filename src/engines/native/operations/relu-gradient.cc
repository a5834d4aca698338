// The gradient of a ReLU from its output: what reaches it, up to two gradients added, where the output is positive, 0 elsewhere.
// In one pass and in place: writes into the memory of its first input and has no output.

#include "relu-gradient.h"

#include <algorithm>

#include "element.h"
#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int64_t kElementsOfBlock = 65536;

template <bool kAdd, typename T>
FCN_INLINE void MaskOf(T *FCN_RESTRICT gradient, const T *FCN_RESTRICT other, const T *FCN_RESTRICT y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    float value = Load(gradient + i);
    if (kAdd) value += Load(other + i);
    Store(gradient + i, Load(y + i) > 0.0f ? value : 0.0f);
  }
}

template <typename T>
FCN_INLINE void MaskValues(T *gradient, const T *other, const T *y, int64_t count) {
  if (other == nullptr) {
    MaskOf<false>(gradient, other, y, count);
  } else {
    MaskOf<true>(gradient, other, y, count);
  }
}

FCN_CLONES void Mask(float *gradient, const float *other, const float *y, int64_t count) {
  MaskValues(gradient, other, y, count);
}
FCN_CLONES void Mask(Bfloat16 *gradient, const Bfloat16 *other, const Bfloat16 *y, int64_t count) {
  MaskValues(gradient, other, y, count);
}

class ReluGradient : public StoredKernel<ReluGradient> {
 public:
  explicit ReluGradient(Attributes &attributes) : StoredKernel(attributes.Type("T")), add_(attributes.Bool("add")) {}

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *given = call.Input(0), *second = call.Input(1), *output = call.Input(2);
    const int64_t count = TF_TensorElementCount(given);
    Require(TF_TensorElementCount(second) == count && TF_TensorElementCount(output) == count,
            "gradients and output must have one shape");
    T *gradient = Data<T>(given);
    const T *other = add_ ? Data<T>(second) : nullptr;
    const T *y = Data<T>(output);
    ParallelFor((count + kElementsOfBlock - 1) / kElementsOfBlock, [=](int64_t block) {
      const int64_t at = block * kElementsOfBlock;
      Mask(gradient + at, other == nullptr ? nullptr : other + at, y + at, std::min(kElementsOfBlock, count - at));
    });
  }

 private:
  // Whether the second gradient is one: operations have no optional inputs.
  const bool add_;
};

}  // namespace

void RegisterReluGradient() {
  Register<ReluGradient>(
      {"FcnReluGradient", {"gradient: T", "other: T", "y: T"}, {}, {"T: {float, bfloat16}", "add: bool"}});
}

}  // namespace fcn

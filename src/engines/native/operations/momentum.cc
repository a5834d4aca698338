// SGD with momentum as PyTorch's, in one pass and in place: velocity ← momentum·velocity + (gradient + decay·parameter);
// parameter ← parameter − rate·velocity. Writes into the memory of its inputs and has no output.

#include "momentum.h"

#include <algorithm>

#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int64_t kElementsOfBlock = 65536;

FCN_CLONES void Step(float *FCN_RESTRICT parameter, const float *FCN_RESTRICT gradient, float *FCN_RESTRICT velocity,
                     float rate, float momentum, float decay, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float next = momentum * velocity[i] + (gradient[i] + decay * parameter[i]);
    velocity[i] = next;
    parameter[i] -= rate * next;
  }
}

class MomentumStep {
 public:
  explicit MomentumStep(Attributes &) {}

  void Compute(Call &call) const {
    TF_Tensor *parameter = call.Input(0);
    TF_Tensor *gradient = call.Input(1);
    TF_Tensor *velocity = call.Input(2);
    // Not attributes: TensorFlow keeps a kernel for each set of those, and the rate changes at every step.
    TF_Tensor *settings = call.Input(3);
    const int64_t count = TF_TensorElementCount(parameter);
    Require(TF_TensorElementCount(gradient) == count && TF_TensorElementCount(velocity) == count,
            "parameter, gradient and velocity must have one shape");
    Require(TF_TensorElementCount(settings) == 3, "the settings are learning rate, momentum and weight decay");
    const float rate = Data<float>(settings)[0];
    const float momentum = Data<float>(settings)[1];
    const float decay = Data<float>(settings)[2];
    float *p = Data<float>(parameter);
    const float *g = Data<float>(gradient);
    float *v = Data<float>(velocity);
    ParallelFor((count + kElementsOfBlock - 1) / kElementsOfBlock, [=](int64_t block) {
      const int64_t at = block * kElementsOfBlock;
      Step(p + at, g + at, v + at, rate, momentum, decay, std::min(kElementsOfBlock, count - at));
    });
  }
};

}  // namespace

void RegisterMomentum() {
  Register<MomentumStep>({"FcnMomentumStep",
                          {"parameter: float", "gradient: float", "velocity: float", "settings: float"},
                          {},
                          {}});
}

}  // namespace fcn

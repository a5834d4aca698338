// SGD with momentum as PyTorch's, in one pass and in place:
// velocity ← momentum·velocity + (factor·gradient + decay·parameter); parameter ← parameter − rate·velocity.
// Writes into the memory of its inputs and has no output.

#include "momentum.h"

#include <algorithm>

#include "element.h"
#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int64_t kElementsOfBlock = 65536;

struct Settings {
  float rate;
  float momentum;
  float decay;
  // What the gradient is multiplied with first: 1 over the loss scale.
  float factor;
};

template <typename G>
FCN_INLINE void StepOf(float *FCN_RESTRICT parameter, const G *FCN_RESTRICT gradient, float *FCN_RESTRICT velocity,
                       const Settings &settings, int64_t count) {
  const auto [rate, momentum, decay, factor] = settings;
  for (int64_t i = 0; i < count; ++i) {
    const float next = momentum * velocity[i] + (factor * Load(gradient + i) + decay * parameter[i]);
    velocity[i] = next;
    parameter[i] -= rate * next;
  }
}

FCN_CLONES void Step(float *parameter, const float *gradient, float *velocity, const Settings &settings,
                     int64_t count) {
  StepOf(parameter, gradient, velocity, settings, count);
}
FCN_CLONES void Step(float *parameter, const Bfloat16 *gradient, float *velocity, const Settings &settings,
                     int64_t count) {
  StepOf(parameter, gradient, velocity, settings, count);
}

class MomentumStep : public StoredKernel<MomentumStep> {
 public:
  explicit MomentumStep(Attributes &attributes) : StoredKernel(attributes.Type("G")) {}

  template <typename G>
  void Run(Call &call) const {
    TF_Tensor *parameter = call.Input(0);
    TF_Tensor *gradient = call.Input(1);
    TF_Tensor *velocity = call.Input(2);
    // Not attributes: TensorFlow keeps a kernel for each set of those, and the rate changes at every step.
    TF_Tensor *given = call.Input(3);
    const int64_t count = TF_TensorElementCount(parameter);
    Require(TF_TensorElementCount(gradient) == count && TF_TensorElementCount(velocity) == count,
            "parameter, gradient and velocity must have one shape");
    Require(TF_TensorElementCount(given) == 4, "the settings are learning rate, momentum, weight decay and factor");
    const float *values = Data<float>(given);
    const Settings settings = {values[0], values[1], values[2], values[3]};
    float *p = Data<float>(parameter);
    const G *g = Data<G>(gradient);
    float *v = Data<float>(velocity);
    ParallelFor((count + kElementsOfBlock - 1) / kElementsOfBlock, [=](int64_t block) {
      const int64_t at = block * kElementsOfBlock;
      Step(p + at, g + at, v + at, settings, std::min(kElementsOfBlock, count - at));
    });
  }
};

}  // namespace

void RegisterMomentum() {
  Register<MomentumStep>({"FcnMomentumStep",
                          {"parameter: float", "gradient: G", "velocity: float", "settings: float"},
                          {},
                          {"G: {float, bfloat16}"}});
}

}  // namespace fcn

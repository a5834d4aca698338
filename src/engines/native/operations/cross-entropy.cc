// Cross-entropy of logits [pixels, classes] with labels [pixels], averaged over all pixels; one label is ignored: loss
// and gradient 0. Loss, gradient and count of right predictions in one pass, without a temporary of the logits' size.

#include "cross-entropy.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int64_t kPixelsOfBlock = 2048;

// e^x for x ≤ 0, to about 1e-7 of it, in a form that compilers vectorise: 2^n times a polynomial of the rest, whose
// coefficients are those of Cephes' expf (Moshier). Stays above 0 from −87 downwards. A NaN stays one.
FCN_INLINE float Exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  // Adding and taking away 1.5·2^23 rounds to the nearest whole number.
  const float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
  const float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * (r * r) + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return y * power;
}

struct Outcome {
  double loss = 0;
  int64_t correct = 0;
};

struct Settings {
  int64_t classes;
  int32_t ignored;
  // 1 over the number of all pixels.
  float weight;
};

// Labels must be classes, or the ignored one.
FCN_CLONES Outcome OfPixels(const float *logits, const int32_t *labels, const Settings &settings, int64_t pixels,
                            float *gradients) {
  Outcome outcome;
  const int64_t classes = settings.classes;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const float *FCN_RESTRICT x = logits + pixel * classes;
    float *FCN_RESTRICT gradient = gradients + pixel * classes;
    const int32_t label = labels[pixel];
    if (label == settings.ignored) {
      std::fill(gradient, gradient + classes, 0.0f);
      continue;
    }
    int64_t largest = 0;
    for (int64_t c = 1; c < classes; ++c) largest = x[c] > x[largest] ? c : largest;
    const float top = x[largest];
    for (int64_t c = 0; c < classes; ++c) gradient[c] = Exponential(x[c] - top);
    float sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += gradient[c];
    const float factor = settings.weight / sum;
    for (int64_t c = 0; c < classes; ++c) gradient[c] *= factor;
    gradient[label] -= settings.weight;
    outcome.loss += std::log(static_cast<double>(sum)) - (static_cast<double>(x[label]) - top);
    outcome.correct += largest == label ? 1 : 0;
  }
  return outcome;
}

class CrossEntropy {
 public:
  explicit CrossEntropy(Attributes &attributes) : ignored_(attributes.Int("ignored")) {}

  void Compute(Call &call) const {
    TF_Tensor *given = call.Input(0);
    TF_Tensor *marks = call.Input(1);
    const int64_t pixels = TF_TensorElementCount(marks);
    const int64_t classes = TF_Dim(given, TF_NumDims(given) - 1);
    Require(pixels > 0 && TF_TensorElementCount(given) == pixels * classes,
            "logits and labels must have the same pixels");
    const float *logits = Data<float>(given);
    const int32_t *labels = Data<int32_t>(marks);
    float *loss = Data<float>(call.Output(0, TF_FLOAT, {}));
    float *correct = Data<float>(call.Output(1, TF_FLOAT, {}));
    float *gradient = Data<float>(call.Output(2, TF_FLOAT, Shape(given)));

    const Settings settings = {classes, ignored_, 1.0f / static_cast<float>(pixels)};
    const int64_t blocks = (pixels + kPixelsOfBlock - 1) / kPixelsOfBlock;
    std::vector<Outcome> outcomes(blocks);
    std::atomic<bool> valid{true};
    ParallelFor(blocks, [&](int64_t block) {
      const int64_t at = block * kPixelsOfBlock;
      const int64_t count = std::min(kPixelsOfBlock, pixels - at);
      for (int64_t pixel = at; pixel < at + count; ++pixel) {
        const int32_t label = labels[pixel];
        if (label != ignored_ && (label < 0 || label >= classes)) {
          valid = false;
          return;
        }
      }
      outcomes[block] = OfPixels(logits + at * classes, labels + at, settings, count, gradient + at * classes);
    });
    Require(valid, "a label is neither a class nor the ignored one");
    Outcome total;
    for (const Outcome &outcome : outcomes) {
      total.loss += outcome.loss;
      total.correct += outcome.correct;
    }
    *loss = static_cast<float>(total.loss / static_cast<double>(pixels));
    *correct = static_cast<float>(total.correct);
  }

 private:
  int32_t ignored_;
};

}  // namespace

void RegisterCrossEntropy() {
  Register<CrossEntropy>({"FcnCrossEntropy",
                          {"logits: float", "labels: int32"},
                          {"loss: float", "correct: float", "gradient: float"},
                          {"ignored: int"}});
}

}  // namespace fcn

// Gradient of the max pool 3×3, stride 2, padding 1, NHWC. Of equal maxima the first in row-major order takes it. First the
// place of each window's maximum, then each input's sum over the windows that it may be the maximum of, in their order: so no
// two threads write to one place, and sums do not depend on their number.

#include "max-pool.h"

#include <algorithm>
#include <vector>

#include "element.h"
#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int32_t kNowhere = 9;

struct Shapes {
  int64_t height, width, pooled_height, pooled_width, channels;
};

// For one row of windows the tap (0 to 8, row-major) of each maximum: going backwards, the first one is set last.
template <typename T>
FCN_INLINE void PlacesOf(const T *x, const T *FCN_RESTRICT y, const Shapes &shapes, int64_t row,
                         int32_t *FCN_RESTRICT places) {
  const int64_t channels = shapes.channels;
  for (int64_t column = 0; column < shapes.pooled_width; ++column) {
    const T *top = y + column * channels;
    int32_t *place = places + column * channels;
    std::fill(place, place + channels, kNowhere);
    for (int tap = 8; tap >= 0; --tap) {
      const int64_t at_row = 2 * row - 1 + tap / 3;
      const int64_t at_column = 2 * column - 1 + tap % 3;
      if (at_row < 0 || at_row >= shapes.height || at_column < 0 || at_column >= shapes.width) continue;
      const T *FCN_RESTRICT values = x + (at_row * shapes.width + at_column) * channels;
      for (int64_t c = 0; c < channels; ++c) {
        place[c] = Load(values + c) == Load(top + c) ? static_cast<int32_t>(tap) : place[c];
      }
    }
  }
}

// One row of the input's gradient. Sums are in float32, in `sums`, which holds a pixel.
template <typename T>
FCN_INLINE void GradientOf(const T *gradient, const int32_t *places, const Shapes &shapes, int64_t row,
                           float *FCN_RESTRICT sums, T *FCN_RESTRICT result) {
  const int64_t channels = shapes.channels;
  for (int64_t column = 0; column < shapes.width; ++column) {
    std::fill(sums, sums + channels, 0.0f);
    // An even row is in the middle of one window, an odd one at the end of one and the beginning of the next.
    for (int64_t i = row / 2; i <= std::min((row + 1) / 2, shapes.pooled_height - 1); ++i) {
      for (int64_t j = column / 2; j <= std::min((column + 1) / 2, shapes.pooled_width - 1); ++j) {
        const auto tap = static_cast<int32_t>(3 * (row - 2 * i + 1) + column - 2 * j + 1);
        const int64_t window = (i * shapes.pooled_width + j) * channels;
        const T *FCN_RESTRICT from = gradient + window;
        const int32_t *FCN_RESTRICT place = places + window;
        for (int64_t c = 0; c < channels; ++c) {
          // Loaded in any case: compilers vectorise no loop that loads only sometimes.
          const float value = Load(from + c);
          sums[c] += place[c] == tap ? value : 0.0f;
        }
      }
    }
    for (int64_t c = 0; c < channels; ++c) Store(result + column * channels + c, sums[c]);
  }
}

FCN_CLONES void Places(const float *x, const float *y, const Shapes &shapes, int64_t row, int32_t *places) {
  PlacesOf(x, y, shapes, row, places);
}
FCN_CLONES void Places(const Bfloat16 *x, const Bfloat16 *y, const Shapes &shapes, int64_t row, int32_t *places) {
  PlacesOf(x, y, shapes, row, places);
}
FCN_CLONES void Gradient(const float *gradient, const int32_t *places, const Shapes &shapes, int64_t row, float *sums,
                         float *result) {
  GradientOf(gradient, places, shapes, row, sums, result);
}
FCN_CLONES void Gradient(const Bfloat16 *gradient, const int32_t *places, const Shapes &shapes, int64_t row,
                         float *sums, Bfloat16 *result) {
  GradientOf(gradient, places, shapes, row, sums, result);
}

class MaxPoolGradient : public StoredKernel<MaxPoolGradient> {
 public:
  explicit MaxPoolGradient(Attributes &attributes) : StoredKernel(attributes.Type("T")) {}

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *given = call.Input(0);
    TF_Tensor *input = call.Input(1);
    TF_Tensor *output = call.Input(2);
    const std::vector<int64_t> shape = Shape(input);
    const std::vector<int64_t> pooled = Shape(output);
    Require(shape.size() == 4 && pooled.size() == 4 && Shape(given) == pooled,
            "input, output and its gradient must be images, the last two of one shape");
    const Shapes shapes = {shape[1], shape[2], pooled[1], pooled[2], shape[3]};
    Require(pooled[0] == shape[0] && pooled[3] == shapes.channels && shapes.pooled_height == (shapes.height + 1) / 2 &&
                shapes.pooled_width == (shapes.width + 1) / 2,
            "the output must be half as high and wide as the input, rounded up");
    const T *gradient = Data<T>(given);
    const T *x = Data<T>(input);
    const T *y = Data<T>(output);
    T *result = Data<T>(call.Output(0, type_, shape));

    const int64_t row_size = shapes.width * shapes.channels;
    const int64_t pooled_row_size = shapes.pooled_width * shapes.channels;
    // Of one image: four bytes a place are what compilers vectorise best.
    std::vector<int32_t> places(shapes.pooled_height * pooled_row_size);
    for (int64_t image = 0; image < shape[0]; ++image) {
      const int64_t at = image * shapes.height * row_size;
      const int64_t pooled_at = image * shapes.pooled_height * pooled_row_size;
      ParallelFor(shapes.pooled_height, [&](int64_t row) {
        const int64_t offset = row * pooled_row_size;
        Places(x + at, y + pooled_at + offset, shapes, row, places.data() + offset);
      });
      ParallelFor(shapes.height, [&](int64_t row) {
        std::vector<float> sums(shapes.channels);
        Gradient(gradient + pooled_at, places.data(), shapes, row, sums.data(), result + at + row * row_size);
      });
    }
  }
};

}  // namespace

void RegisterMaxPool() {
  Register<MaxPoolGradient>({"FcnMaxPoolGradient",
                             {"gradient: T", "input: T", "output: T"},
                             {"result: T"},
                             {"T: {float, bfloat16}"}});
}

}  // namespace fcn

// The filter gradient of 3×3 convolutions of stride 1 by Winograd's minimal filtering (winograd.h says how).
//
// The tiles are taken in strips, the input channels in blocks, the output channels in sections. Both transforms are stored as
// the product reads them:
//
//   input      [position][inputs of a block / 16][tile][16]        of a strip
//   gradient   [position][outputs of a section / 32][tile][32]     of a strip; of all strips if there is more than one block
//   product    [position][input of a block][outputs of a section]  added up over the strips
//
// Every sum over tiles is made of partial ones of kTilesOfSum tiles, added in their order: neither strips, blocks and sections
// nor threads change a bit of the result.

#include "winograd-filter-gradient.h"

#include <algorithm>

#include "operation.h"
#include "threads.h"
#include "winograd-filter-gradient-kernels.h"

namespace fcn {
namespace {

using winograd::Geometry;
using winograd::kInputGroup;
using winograd::kOutputGroup;
using winograd::kTilesOfCall;
using winograd::WorkMemory;

// Tiles whose products are added up in registers: as few as the rounding of longer sums asks for. Twice as many would have a
// quarter more error and save 2 % of the time.
constexpr int64_t kTilesOfSum = 64;
// The work memory is about 65 MB at most, what other convolutions need, too: up to 47 MB are the gradient's, whose tiles
// times channels kMostKept limits. src/engines/tensorflow/scratch.ts has the same three numbers.
constexpr int64_t kTilesOfStrip = 512;
constexpr int64_t kInputsOfBlock = 128;
constexpr int64_t kMostKept = 5 << 16;
// So the rows of an array lie an odd number of cache lines apart, and fall into different sets of a cache.
constexpr int64_t kPadding = 16;
// Groups of output channels that a thread takes at a time.
constexpr int64_t kGroupsOfThread = 4;

int64_t Parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

// The gradient of a filter of `geometry`, by tiles of M×M outputs, in one execution.
template <int M, typename T>
class FilterGradient {
 public:
  // `strip`: tiles of a strip, at most; 0: as is best.
  FilterGradient(const Geometry &geometry, const T *images, const T *gradients, int64_t strip)
      : geometry_(geometry),
        images_(images),
        gradients_(gradients),
        kernels_(winograd::FilterGradientKernelsOf<M, T>(winograd::InstructionSetHere())),
        tiles_(winograd::TilesOf(geometry, M)),
        count_(static_cast<int64_t>(tiles_.size())),
        zeros_(std::max(geometry.inputs, geometry.outputs), T{}) {
    strip_ = std::min(count_, strip == 0 ? kTilesOfStrip : Parts(strip, kTilesOfSum) * kTilesOfSum);
    block_ = std::min(geometry.inputs, kInputsOfBlock);
    const int64_t kept = geometry.inputs > block_ ? count_ : strip_;
    const int64_t sections = Parts(kept * geometry.outputs, std::max(kMostKept, kept * kOutputGroup));
    section_ = Parts(Parts(geometry.outputs, sections), kOutputGroup) * kOutputGroup;
    of_input_ = {static_cast<size_t>(strip_ * block_ + kPadding), static_cast<size_t>(strip_ * kInputGroup)};
    of_gradient_ = {static_cast<size_t>(kept * section_ + kPadding), static_cast<size_t>(kept * kOutputGroup)};
    row_ = section_ + kPadding;
    product_position_ = block_ * row_ + kPadding;
  }

  void Write(T *filter) {
    WorkMemory memory(kPositions * (of_input_.position + of_gradient_.position + product_position_));
    input_ = memory.Take(kPositions * of_input_.position);
    gradient_ = memory.Take(kPositions * of_gradient_.position);
    product_ = memory.Take(kPositions * product_position_);
    for (int64_t output = 0; output < geometry_.outputs; output += section_) {
      const Channels outputs = {output, std::min(geometry_.outputs, output + section_)};
      for (int64_t input = 0; input < geometry_.inputs; input += block_) {
        WriteBlock({input, std::min(geometry_.inputs, input + block_)}, outputs, filter);
      }
    }
  }

 private:
  static constexpr int64_t kPositions = (M + 2) * (M + 2);

  struct Channels {
    int64_t begin, end;
  };

  void WriteBlock(const Channels &inputs, const Channels &outputs, T *filter) const {
    for (int64_t first = 0; first < count_; first += strip_) {
      const int64_t count = std::min(strip_, count_ - first);
      float *gradient = gradient_ + (geometry_.inputs > block_ ? first * kOutputGroup : 0);
      TransformStrip(inputs, outputs, first, count, gradient);
      MultiplyStrip(inputs.end - inputs.begin, outputs.end - outputs.begin, count, gradient, first > 0);
    }
    ParallelFor(inputs.end - inputs.begin, [&](int64_t channel) {
      kernels_.transform_filter(outputs.end - outputs.begin, product_ + channel * row_, product_position_,
                                filter + (inputs.begin + channel) * geometry_.outputs + outputs.begin,
                                geometry_.inputs * geometry_.outputs);
    });
  }

  void TransformStrip(const Channels &inputs, const Channels &outputs, int64_t first, int64_t count,
                      float *gradient) const {
    ParallelFor(Parts(count, kTilesOfCall), [&](int64_t call) {
      const int64_t tile = call * kTilesOfCall;
      const winograd::Tile *tiles = tiles_.data() + first + tile;
      const int64_t some = std::min(count - tile, kTilesOfCall);
      kernels_.transform_input(geometry_, images_, zeros_.data(), tiles, some, inputs.begin, inputs.end,
                               input_ + tile * kInputGroup, of_input_);
      // Of later blocks it is there already.
      if (inputs.begin > 0) return;
      kernels_.transform_gradient(geometry_, gradients_, zeros_.data(), tiles, some, outputs.begin, outputs.end,
                                  gradient + tile * kOutputGroup, of_gradient_);
    });
  }

  void MultiplyStrip(int64_t inputs, int64_t outputs, int64_t count, const float *gradient, bool add) const {
    const int64_t groups = Parts(outputs, kOutputGroup);
    const int64_t shares = Parts(groups, kGroupsOfThread);
    ParallelFor(kPositions * shares, [&](int64_t item) {
      const int64_t position = item / shares, share = item % shares;
      const float *a = input_ + position * of_input_.position;
      const float *b = gradient + position * of_gradient_.position;
      float *c = product_ + position * product_position_;
      for (int64_t tile = 0; tile < count; tile += kTilesOfSum) {
        const int64_t some = std::min(kTilesOfSum, count - tile);
        for (int64_t group = groups * share / shares; group < groups * (share + 1) / shares; ++group) {
          for (int64_t channel = 0; channel < inputs; channel += kInputGroup) {
            kernels_.multiply(a + channel / kInputGroup * of_input_.group + tile * kInputGroup,
                              b + group * of_gradient_.group + tile * kOutputGroup, some,
                              c + channel * row_ + group * kOutputGroup, row_, add || tile > 0);
          }
        }
      }
    });
  }

  const Geometry geometry_;
  const T *images_;
  const T *gradients_;
  const winograd::FilterGradientKernels<T> kernels_;
  const std::vector<winograd::Tile> tiles_;
  const int64_t count_;
  const std::vector<T> zeros_;
  int64_t strip_, block_, section_;
  winograd::Strides of_input_, of_gradient_;
  int64_t row_, product_position_;
  float *input_ = nullptr, *gradient_ = nullptr, *product_ = nullptr;
};

class WinogradFilterGradient : public StoredKernel<WinogradFilterGradient> {
 public:
  explicit WinogradFilterGradient(Attributes &attributes)
      : StoredKernel(attributes.Type("T")),
        tile_(attributes.Int("tile")),
        dilation_(attributes.Int("dilation")),
        padding_(attributes.Int("padding")),
        strip_(attributes.Int("strip")) {
    Require(tile_ == 2 || tile_ == 4, "tiles have 2×2 or 4×4 outputs");
    Require(dilation_ > 0, "the dilation must be positive");
    Require(strip_ >= 0, "a strip has no negative number of tiles");
  }

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *gradient = call.Input(0);
    TF_Tensor *image = call.Input(1);
    Require(TF_NumDims(gradient) == 4 && TF_NumDims(image) == 4, "images and their gradients have four axes");
    const Geometry geometry =
        winograd::ForwardGeometry(TF_Dim(image, 0), TF_Dim(image, 1), TF_Dim(image, 2), TF_Dim(image, 3),
                                  TF_Dim(gradient, 3), dilation_, padding_);
    Require(TF_Dim(gradient, 0) == geometry.images && TF_Dim(gradient, 1) == geometry.output_height &&
                TF_Dim(gradient, 2) == geometry.output_width,
            "the gradient must have the size of the convolution's output");
    Require(TF_TensorElementCount(gradient) > 0, "the convolution has no output");
    Require(geometry.inputs % kInputGroup == 0 && geometry.outputs % kInputGroup == 0,
            "Winograd's filter gradient needs channels in multiples of 16");
    T *filter = Data<T>(call.Output(0, type_, {3, 3, geometry.inputs, geometry.outputs}));
    if (tile_ == 2) {
      FilterGradient<2, T>(geometry, Data<T>(image), Data<T>(gradient), strip_).Write(filter);
    } else {
      FilterGradient<4, T>(geometry, Data<T>(image), Data<T>(gradient), strip_).Write(filter);
    }
  }

 private:
  int32_t tile_, dilation_, padding_, strip_;
};

}  // namespace

void RegisterWinogradFilterGradient() {
  // `strip`, the tiles that are computed together, is for tests: it must not change a bit.
  Register<WinogradFilterGradient>({"FcnWinogradFilterGradient",
                                    {"gradient: T", "x: T"},
                                    {"filter: T"},
                                    {"T: {float, bfloat16}", "tile: int", "dilation: int", "padding: int", "strip: int = 0"}});
}

}  // namespace fcn

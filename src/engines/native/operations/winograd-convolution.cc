// Convolutions 3×3 of stride 1 and their input gradients by Winograd's minimal filtering, NHWC. Images are stored in float32 or
// bfloat16; tiles, the filter and sums are float32, so that results are rounded once.
//
// The work goes over strips of tiles, and in each over blocks of input channels: transform the tiles (V), multiply by the
// transformed filter (U) at each of the points, add to the products (R); after the last block transform the products to
// outputs. Narrow layers: the whole transformed filter is small, and each thread has strips of its own, which stay in its
// second-level cache. Wide ones: the threads share a strip and split the points; the products of a section of strips are
// kept while the filter passes by a block of channels at a time, so that only a block of it is ever in memory.
//
// Every sum is taken in the order of the channels whatever the strip, the section and the number of threads, and a tile's
// outputs do not depend on other tiles: so neither do the bits.

#include "winograd-convolution.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "threads.h"
#include "winograd.h"

#if FCN_WINOGRAD
#define FCN_VECTOR_AVX512 1
#include "winograd-passes.h"
#undef FCN_VECTOR_AVX512
#define FCN_VECTOR_AVX512 0
#include "winograd-passes.h"
#endif

namespace fcn {
namespace winograd {
namespace {

// Layers up to this size are narrow.
constexpr int64_t kNarrowFilter = 128 * 128;
// Columns of a wide layer that are computed together: more of them are so many convolutions of the same images.
constexpr int64_t kMostColumns = 512;
// Tiles of F(4×4): of a thread's own strip, of a shared strip, and of a section at kMostColumns. F(2×2) takes twice as many.
constexpr int64_t kOwnStrip = 28;
constexpr int64_t kSharedStrip = 128;
constexpr int64_t kSection = 512;
// Tiles that a thread takes at a time from a shared strip.
constexpr int64_t kTilesOfBlock = 4;

int64_t Parts(int64_t count, int64_t size) { return (count + size - 1) / size; }

template <typename T>
const Passes<T> &PassesFor(int m) {
#if FCN_WINOGRAD
  switch (InstructionSetHere()) {
    case InstructionSet::kAvx512:
      return m == 2 ? avx512::kPasses<2, T> : avx512::kPasses<4, T>;
    case InstructionSet::kAvx2:
      return m == 2 ? avx2::kPasses<2, T> : avx2::kPasses<4, T>;
    case InstructionSet::kNone:
      break;
  }
#endif
  throw std::runtime_error("this processor lacks the instructions for Winograd convolutions");
}

// Of float arrays, one for each point; padded so that not all points begin in the same set of a cache.
size_t PointStride(int64_t rows, int64_t row) {
  const auto floats = static_cast<size_t>(rows * row);
  return floats / 16 % 2 == 0 ? floats + 16 : floats;
}

// Images that have some of the input channels: one beside the other they are the input.
template <typename T>
struct Source {
  const T *images;
  int64_t channels;
};

template <typename T>
class Convolution {
 public:
  // `strip`: tiles of a strip; 0: as is best.
  Convolution(const Geometry &geometry, int m, int64_t strip, const std::vector<Source<T>> &sources, const float *filter,
              bool turned, const Epilogue<T> &epilogue, T *outputs)
      : geometry_(geometry),
        passes_(PassesFor<T>(m)),
        points_((m + 2) * (m + 2)),
        sources_(sources),
        filter_(filter),
        turned_(turned),
        epilogue_(epilogue),
        outputs_(outputs),
        tiles_(TilesOf(geometry, m)),
        factor_(m == 2 ? 2 : 1),
        given_strip_(strip) {}

  void Run() {
    if (tiles_.empty()) return;
    if (geometry_.inputs * geometry_.outputs <= kNarrowFilter) {
      RunNarrow();
    } else {
      RunWide();
    }
  }

 private:
  struct Strip {
    const Tile *tiles;
    int64_t count;
    float *v;
    float *products;
  };

  int64_t PaddedColumns(int64_t columns) const { return Parts(columns, passes_.panel) * passes_.panel; }
  // Of products: an odd number of cache lines.
  static int64_t ProductRow(int64_t padded_columns) { return padded_columns / 16 % 2 == 0 ? padded_columns + 16 : padded_columns; }
  int64_t Depth(int64_t first_channel) const { return std::min(kMostDepth, geometry_.inputs - first_channel); }

  FilterBlock Block(int64_t first_channel, float *transformed) const {
    const int64_t depth = Depth(first_channel);
    return {filter_, turned_, geometry_.inputs, geometry_.outputs, first_channel, depth, first_column_, columns_, transformed,
            PointStride(padded_, depth)};
  }

  void TransformFilter(const FilterBlock &block) const {
    const int64_t pieces = block.depth / kFilterPiece;
    ParallelFor(padded_ / passes_.panel * pieces,
                [&](int64_t item) { passes_.filter(block, item / pieces, item % pieces); });
  }

  void TransformInput(const Strip &strip, size_t stride, int64_t first_channel, int64_t begin, int64_t end) const {
    const int64_t end_channel = first_channel + Depth(first_channel);
    int64_t offset = 0;  // The source's first channel among all.
    for (const Source<T> &source : sources_) {
      const int64_t first = std::max(first_channel, offset), depth = std::min(end_channel, offset + source.channels) - first;
      Geometry geometry = geometry_;
      geometry.inputs = source.channels;
      for (int64_t tile = begin; depth > 0 && tile < end; ++tile) {
        passes_.input(geometry, source.images, zeros_, strip.tiles[tile], first - offset, depth,
                      strip.v + tile * kTileRow + first - first_channel, stride);
      }
      offset += source.channels;
    }
  }

  void TransformOutput(const Strip &strip, size_t stride, int64_t begin, int64_t end) const {
    for (int64_t tile = begin; tile < end; ++tile) {
      passes_.output(geometry_, strip.tiles[tile], strip.products + tile * row_, stride, first_column_, columns_, epilogue_,
                     outputs_);
    }
  }

  void SetColumns(int64_t first, int64_t count) {
    first_column_ = first;
    columns_ = count;
    padded_ = PaddedColumns(count);
    row_ = ProductRow(padded_);
  }

  void TakeZeros(WorkMemory &memory) {
    float *zeros = memory.Take(geometry_.inputs);
    std::memset(zeros, 0, geometry_.inputs * sizeof(float));
    zeros_ = reinterpret_cast<const T *>(zeros);
  }

  void RunNarrow() {
    SetColumns(0, geometry_.outputs);
    const auto count = static_cast<int64_t>(tiles_.size());
    const int64_t threads = ThreadCount();
    const int64_t most = given_strip_ > 0 ? given_strip_ : kOwnStrip * factor_;
    // So many that every thread gets the same number of them.
    const int64_t strips = Parts(Parts(count, most), threads) * threads;
    const int64_t longest = Parts(count, strips);
    const size_t v_stride = PointStride(longest, kTileRow), product_stride = PointStride(longest, row_);

    std::vector<FilterBlock> blocks;
    size_t filter_size = 0;
    for (int64_t channel = 0; channel < geometry_.inputs; channel += kMostDepth) {
      blocks.push_back(Block(channel, nullptr));
      filter_size += WorkMemory::Padded(points_ * blocks.back().stride);
    }
    const size_t own = points_ * (v_stride + product_stride);
    WorkMemory memory(WorkMemory::Padded(geometry_.inputs) + filter_size + threads * own);
    TakeZeros(memory);
    for (FilterBlock &block : blocks) {
      block.transformed = memory.Take(points_ * block.stride);
      TransformFilter(block);
    }
    std::vector<float *> work;
    for (int64_t i = 0; i < threads; ++i) work.push_back(memory.Take(own));

    std::atomic<int64_t> next{0};
    ParallelFor(threads, [&](int64_t thread) {
      float *v = work[thread];
      for (int64_t i = next.fetch_add(1); i < strips; i = next.fetch_add(1)) {
        const int64_t begin = count * i / strips, end = count * (i + 1) / strips;
        const Strip strip = {tiles_.data() + begin, end - begin, v, v + points_ * v_stride};
        if (strip.count == 0) continue;
        for (const FilterBlock &block : blocks) {
          TransformInput(strip, v_stride, block.first_channel, 0, strip.count);
          for (int64_t point = 0; point < points_; ++point) {
            passes_.multiply(strip.v + point * v_stride, strip.count, block.depth, block.transformed + point * block.stride,
                             padded_ / passes_.panel, strip.products + point * product_stride, row_,
                             block.first_channel > 0);
          }
        }
        TransformOutput(strip, product_stride, 0, strip.count);
      }
    });
  }

  void RunWide() {
    const auto count = static_cast<int64_t>(tiles_.size());
    const int64_t groups = Parts(geometry_.outputs, kMostColumns);
    // Groups begin at multiples of 16 columns, like all numbers of channels.
    const int64_t group = Parts(Parts(geometry_.outputs, groups), 16) * 16;
    SetColumns(0, group);
    const int64_t most_of_section = std::max(kSection * factor_ * kMostColumns / padded_, kSharedStrip * factor_);
    const int64_t sections = Parts(count, most_of_section), section = Parts(count, sections);
    const int64_t most = given_strip_ > 0 ? given_strip_ : kSharedStrip * factor_;
    const int64_t strips = Parts(section, most), longest = Parts(section, strips);
    const size_t v_stride = PointStride(longest, kTileRow), product_stride = PointStride(longest, row_);
    const size_t filter_size = points_ * PointStride(padded_, Depth(0));
    const size_t v_size = points_ * v_stride, products_size = points_ * product_stride;

    WorkMemory memory(WorkMemory::Padded(geometry_.inputs) + filter_size + v_size + strips * products_size);
    TakeZeros(memory);
    float *transformed = memory.Take(filter_size);
    float *v = memory.Take(v_size);
    float *products = memory.Take(strips * products_size);
    for (int64_t column = 0; column < geometry_.outputs; column += group) {
      SetColumns(column, std::min(group, geometry_.outputs - column));
      for (int64_t i = 0; i < sections; ++i) {
        const int64_t begin = count * i / sections, end = count * (i + 1) / sections;
        RunSection(begin, end, strips, transformed, v, products, v_stride, product_stride);
      }
    }
  }

  void RunSection(int64_t begin, int64_t end, int64_t strips, float *transformed, float *v, float *products,
                  size_t v_stride, size_t product_stride) const {
    for (int64_t channel = 0; channel < geometry_.inputs; channel += kMostDepth) {
      const FilterBlock block = Block(channel, transformed);
      TransformFilter(block);
      for (int64_t i = 0; i < strips; ++i) {
        const int64_t from = begin + (end - begin) * i / strips, to = begin + (end - begin) * (i + 1) / strips;
        const Strip strip = {tiles_.data() + from, to - from, v, products + i * points_ * product_stride};
        if (strip.count > 0) RunStrip(strip, block, v_stride, product_stride);
      }
    }
  }

  void RunStrip(const Strip &strip, const FilterBlock &block, size_t v_stride, size_t product_stride) const {
    const auto for_tiles = [&strip](const auto &body) {
      ParallelFor(Parts(strip.count, kTilesOfBlock), [&](int64_t part) {
        body(part * kTilesOfBlock, std::min(strip.count, (part + 1) * kTilesOfBlock));
      });
    };
    for_tiles([&](int64_t begin, int64_t end) { TransformInput(strip, v_stride, block.first_channel, begin, end); });
    const int64_t panels = padded_ / passes_.panel;
    // Enough pieces that no thread waits long for the others at the end.
    const int64_t pieces = std::min(panels, Parts(32 * ThreadCount(), points_));
    ParallelFor(points_ * pieces, [&](int64_t item) {
      const int64_t point = item / pieces, first = panels * (item % pieces) / pieces;
      const int64_t end = panels * (item % pieces + 1) / pieces;
      passes_.multiply(strip.v + point * v_stride, strip.count, block.depth,
                       block.transformed + point * block.stride + first * block.depth * passes_.panel, end - first,
                       strip.products + point * product_stride + first * passes_.panel, row_, block.first_channel > 0);
    });
    if (block.first_channel + block.depth < geometry_.inputs) return;
    for_tiles([&](int64_t begin, int64_t end) { TransformOutput(strip, product_stride, begin, end); });
  }

  const Geometry geometry_;
  const Passes<T> &passes_;
  const int64_t points_;
  const std::vector<Source<T>> sources_;
  const float *filter_;
  const bool turned_;
  const Epilogue<T> epilogue_;
  T *outputs_;
  const std::vector<Tile> tiles_;
  const int64_t factor_;
  const int64_t given_strip_;
  const T *zeros_ = nullptr;
  // The columns that are computed now.
  int64_t first_column_ = 0, columns_ = 0, padded_ = 0, row_ = 0;
};

// The attributes that both operations have.
struct Settings {
  explicit Settings(Attributes &attributes)
      : tile(attributes.Int("tile")),
        dilation(attributes.Int("dilation")),
        padding(attributes.Int("padding")),
        strip(attributes.Int("strip")) {
    Require(tile == 2 || tile == 4, "a tile has 2×2 or 4×4 outputs");
    Require(dilation >= 1 && padding >= 0 && strip >= 0, "dilation must be positive, padding and strip not negative");
  }

  const int32_t tile, dilation, padding, strip;
};

void CheckFilter(const std::vector<int64_t> &filter) {
  Require(filter.size() == 4 && filter[0] == 3 && filter[1] == 3, "the filter must be 3×3");
  Require(filter[2] > 0 && filter[3] > 0 && filter[2] % kFilterPiece == 0 && filter[3] % kFilterPiece == 0,
          "the numbers of channels must be multiples of 16");
}

class WinogradConvolution : public StoredKernel<WinogradConvolution> {
 public:
  explicit WinogradConvolution(Attributes &attributes)
      : StoredKernel(attributes.Type("T")),
        settings_(attributes),
        biased_(attributes.Bool("biased")),
        add_(attributes.Bool("add")),
        relu_(attributes.Bool("relu")),
        joined_(attributes.Bool("joined")) {}

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *x = call.Input(0), *filter = call.Input(1), *bias = call.Input(2), *residual = call.Input(3);
    TF_Tensor *beside = call.Input(4);
    const std::vector<int64_t> shape = Shape(x), filter_shape = Shape(filter);
    CheckFilter(filter_shape);
    Require(shape.size() == 4, "the image must have four axes");
    std::vector<Source<T>> sources = {{Data<T>(x), shape[3]}};
    int64_t channels = shape[3];
    if (joined_) {
      const std::vector<int64_t> other = Shape(beside);
      const bool is_beside = other.size() == 4 && std::equal(shape.begin(), shape.begin() + 3, other.begin());
      Require(is_beside, "both images must have one size");
      Require(shape[3] % kFilterPiece == 0, "the first image's number of channels must be a multiple of 16");
      sources.push_back({Data<T>(beside), other[3]});
      channels += other[3];
    }
    Require(channels == filter_shape[2], "the image must have the filter's input channels");
    const Geometry geometry = ForwardGeometry(shape[0], shape[1], shape[2], channels, filter_shape[3], settings_.dilation,
                                              settings_.padding);
    Require(geometry.output_height > 0 && geometry.output_width > 0, "the image is smaller than the filter");
    const std::vector<int64_t> result = {shape[0], geometry.output_height, geometry.output_width, filter_shape[3]};
    Require(!biased_ || TF_TensorElementCount(bias) == filter_shape[3], "the bias must have a value for each output channel");
    Require(!add_ || Shape(residual) == result, "the residual must have the result's shape");
    const Epilogue<T> epilogue = {biased_ ? Data<float>(bias) : nullptr, add_ ? Data<T>(residual) : nullptr, relu_};
    T *y = Data<T>(call.Output(0, type_, result));
    Convolution<T>(geometry, settings_.tile, settings_.strip, sources, Data<float>(filter), false, epilogue, y).Run();
  }

 private:
  const Settings settings_;
  const bool biased_, add_, relu_, joined_;
};

class WinogradInputGradient : public StoredKernel<WinogradInputGradient> {
 public:
  explicit WinogradInputGradient(Attributes &attributes) : StoredKernel(attributes.Type("T")), settings_(attributes) {}

  template <typename T>
  void Run(Call &call) const {
    TF_Tensor *gradient = call.Input(0), *filter = call.Input(1);
    const std::vector<int64_t> shape = Shape(gradient), filter_shape = Shape(filter);
    CheckFilter(filter_shape);
    Require(shape.size() == 4 && shape[3] == filter_shape[3], "the gradient must have the filter's output channels");
    const int64_t growth = 2 * (settings_.dilation - settings_.padding);
    Require(shape[1] + growth > 0 && shape[2] + growth > 0, "the padding is larger than the input");
    const Geometry forward = ForwardGeometry(shape[0], shape[1] + growth, shape[2] + growth, filter_shape[2],
                                             filter_shape[3], settings_.dilation, settings_.padding);
    T *result = Data<T>(call.Output(0, type_, {shape[0], forward.height, forward.width, filter_shape[2]}));
    Convolution<T>(InputGradientGeometry(forward), settings_.tile, settings_.strip, {{Data<T>(gradient), shape[3]}},
                   Data<float>(filter), true, {nullptr, nullptr, false}, result)
        .Run();
  }

 private:
  const Settings settings_;
};

}  // namespace
}  // namespace winograd

void RegisterWinogradConvolution() {
  // `strip`, the tiles that are computed together, is for tests: it must not change a bit. `joined`: the channels of `beside`
  // follow those of `x`, to the same bits as if they were one image.
  Register<winograd::WinogradConvolution>(
      {"FcnWinogradConvolution",
       {"x: T", "filter: float", "bias: float", "residual: T", "beside: T"},
       {"y: T"},
       {"T: {float, bfloat16}", "tile: int", "dilation: int", "padding: int", "strip: int = 0", "biased: bool", "add: bool",
        "relu: bool", "joined: bool"}});
  Register<winograd::WinogradInputGradient>(
      {"FcnWinogradInputGradient",
       {"gradient: T", "filter: float"},
       {"result: T"},
       {"T: {float, bfloat16}", "tile: int", "dilation: int", "padding: int", "strip: int = 0"}});
}

}  // namespace fcn

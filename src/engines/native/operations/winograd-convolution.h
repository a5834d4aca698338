#pragma once

#include "element.h"
#include "winograd.h"

namespace fcn {

// FcnWinogradConvolution and FcnWinogradInputGradient.
void RegisterWinogradConvolution();

namespace winograd {

// The most products that are added up in a register. Longer sums are made of these, which halves their rounding errors.
constexpr int64_t kLongestSum = 64;
// Channels that a product takes at a time, and floats from one tile's to the next's: an odd number of cache lines, so that
// tiles lie in different sets of a cache. Always the same, so that the product's addresses are constants.
constexpr int64_t kMostDepth = 256;
constexpr int64_t kTileRow = kMostDepth + 16;
// Channels of a filter that are transformed together. All numbers of channels are multiples of it.
constexpr int64_t kFilterPiece = 16;

// Which part of a filter [3,3,channels,columns] is transformed, and to where: channels [first_channel, first_channel + depth)
// and columns [first_column, first_column + column_count), as [point][panel][depth][columns of a panel], padded with zeros.
// `turned`: the filter lies as [3,3,columns,channels] and is turned by 180°.
struct FilterBlock {
  const float *filter;
  bool turned;
  int64_t channels, columns;
  int64_t first_channel, depth;
  int64_t first_column, column_count;
  float *transformed;
  size_t stride;  // from point to point
};

// What follows the sum, in this order: bias of each channel, residual image, ReLU. Null: none.
template <typename T>
struct Epilogue {
  const float *bias;
  const T *residual;
  bool relu;
};

// The passes of one instruction set and tile size. Images are stored as T, all between in float32.
template <typename T>
struct Passes {
  int64_t panel;
  // One panel, channels [piece, piece + 1)·kFilterPiece of the block.
  void (*filter)(const FilterBlock &block, int64_t panel, int64_t piece);
  // Channels [first, first + depth) of one tile to to[point·stride + channel − first].
  void (*input)(const Geometry &geometry, const T *images, const T *zeros, const Tile &tile, int64_t first, int64_t depth,
                float *to, size_t stride);
  // products[tile·row + column] (+)= tiles[tile·kTileRow + k] · panels[column / panel][k][column % panel]
  void (*multiply)(const float *tiles, int64_t count, int64_t depth, const float *panels, int64_t panel_count,
                   float *products, size_t row, bool add);
  // The outputs of one tile from products[point·stride + column].
  void (*output)(const Geometry &geometry, const Tile &tile, const float *products, size_t stride, int64_t first_column,
                 int64_t columns, const Epilogue<T> &epilogue, T *images);
};

}  // namespace winograd
}  // namespace fcn

// Where the elements of mma.m16n8k16 lie: 16 x 16 times 16 x 8 elements of 16 bits, summed in float by
// the 32 lanes of a warp. Constants and maps only, host and device.
//
//     left          4 words: rows lane/4 and 8 below it, columns 2 (lane%4) and 8 to the right
//     right         2 words: rows 2 (lane%4) and 8 below it, column lane/4
//     accumulator   4 floats: rows as left, columns 2 (lane%4) and its right neighbour
//
// An accumulator of two neighbouring products, rounded and packed in pairs, is a left operand: that is
// how the softmax of one product enters the next without passing through memory.
#pragma once

#include <ropewalk/config.hpp>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

inline constexpr int kLanes = 32;
inline constexpr int kProductRows = 16;
inline constexpr int kProductColumns = 8;
inline constexpr int kProductDepth = 16;
inline constexpr int kChunkBytes = 16;    // what one load moves
inline constexpr int kChunkElements = 8;  // of 16 bits

/// Row within the 16 of accumulator element `index` (0 .. 3).
ROPEWALK_HOST_DEVICE constexpr int accumulator_row(int lane, int index) noexcept {
  return lane / 4 + 8 * (index / 2);
}

/// Column within the 8 of accumulator element `index` (0 .. 3).
ROPEWALK_HOST_DEVICE constexpr int accumulator_column(int lane, int index) noexcept {
  return 2 * (lane % 4) + index % 2;
}

/// A row of 8 elements within a tile, as a lane names it to ldmatrix: `row`, and `chunk` of 8 columns.
struct MatrixRow {
  int row;
  int chunk;
};

/// Four 8 x 8 matrices that are the left operand, from 16 rows and two chunks.
ROPEWALK_HOST_DEVICE constexpr MatrixRow left_rows(int lane) noexcept {
  return {lane % 16, lane / 16};
}

/// The right operands of two neighbouring products, where memory holds a row per column of the
/// product (keys of which queries are taken): words 0, 1 of the first, 2, 3 of the second.
ROPEWALK_HOST_DEVICE constexpr MatrixRow right_rows(int lane) noexcept {
  return {lane / 16 * 8 + lane % 8, lane / 8 % 2};
}

/// The same where memory holds a row per row of the right operand (values), to be loaded transposed.
ROPEWALK_HOST_DEVICE constexpr MatrixRow right_rows_transposed(int lane) noexcept {
  return {lane % 16, lane / 16};
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk

// How attention is cut into tasks, and the memory they take. Row 8.
//
// The rows of one key head of a sequence are its queries times the query heads that share the key
// head, token by token. A block is a run of such rows that walks the keys together; a sequence whose
// rows fit one block but whose keys are many is cut along the keys instead, and its parts merged.
// Few rows take the time of reading the keys, so where a token's heads lie side by side its task
// takes several of them, in the order of memory.
// The cut depends on sizes alone, so the result does not depend on the executor.
#pragma once

#include <ropewalk/attention/options.hpp>
#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_tile.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Keys of one part where a sequence is cut along them, or a multiple of it where that would make more
/// parts than these.
inline constexpr std::int64_t kPartKeys = 2048;
inline constexpr std::int64_t kMostParts = 64;

/// Keys after which sums kept in float go to sums in double.
inline constexpr std::int64_t kSettledKeys = 1024;

/// Rows of a task with several key heads, and so of any kernel's blocks at least.
inline constexpr int kSideRows = 64;

/// Rows run first_row .. first_row + rows - 1 of each key head; row r is query r / group, head
/// r % group of it.
struct AttentionBlock {
  std::int64_t key_head = 0;  // the first
  int heads = 1;              // key heads
  std::int64_t first_row = 0;
  int rows = 0;
  std::int64_t part = 0;
};

/// The division of one sequence.
struct SequenceBlocks {
  std::int64_t rows = 0;    // of one key head
  std::int64_t blocks = 0;  // of one key head
  std::int64_t parts = 1;   // of the keys; above 1 only where blocks is 1
  std::int64_t part_keys = 0;
  std::int64_t heads = 1;  // key heads of a task; above 1 only where parts is
  std::int64_t key_heads = 0;

  /// `side_rows` rows of one key head at most make a task of several.
  SequenceBlocks(const AttentionSequence& sequence, std::int64_t group, std::int64_t all_heads,
                 int block_rows, int side_rows) noexcept
      : rows(sequence.queries * group),
        blocks((rows + block_rows - 1) / block_rows),
        key_heads(all_heads) {
    // Partial results of more rows would take as much memory as the keys.
    if (blocks != 1 || rows > kSideRows || sequence.keys < 2 * kPartKeys) return;
    const std::int64_t pieces = (sequence.keys + kPartKeys - 1) / kPartKeys;
    part_keys = kPartKeys * ((pieces + kMostParts - 1) / kMostParts);
    parts = (sequence.keys + part_keys - 1) / part_keys;
    if (rows <= side_rows) heads = smaller(key_heads, kSideRows / rows);
  }

  std::int64_t tasks() const noexcept { return blocks * parts * ((key_heads + heads - 1) / heads); }
};

/// Where a sequence's tasks and partial rows begin.
struct SequenceOffset {
  std::int64_t tasks = 0;
  std::int64_t merges = 0;   // tasks of the second step: one per key head where parts > 1
  std::int64_t partial = 0;  // rows of partial results
};

inline SequenceOffset after(SequenceOffset offset, const SequenceBlocks& blocks) noexcept {
  offset.tasks += blocks.tasks();
  if (blocks.parts > 1) {
    offset.merges += blocks.key_heads;
    offset.partial += blocks.parts * blocks.key_heads * blocks.rows;
  }
  return offset;
}

/// The sequence that holds task `index`: the last that begins at or before it.
template <typename Member>
std::int64_t sequence_of(const SequenceOffset* offsets, std::int64_t sequences, std::int64_t index,
                         Member member) noexcept {
  std::int64_t low = 0;
  std::int64_t high = sequences;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (offsets[middle].*member <= index ? low : high) = middle;
  }
  // Sequences without such tasks begin where the next one does.
  return low;
}

/// The block of task `index` of a sequence. Under causality late blocks are long: they come first.
inline AttentionBlock block_of(const SequenceBlocks& blocks, int block_rows,
                               std::int64_t index) noexcept {
  AttentionBlock block;
  block.part = index % blocks.parts;
  index /= blocks.parts;
  block.key_head = index / blocks.blocks * blocks.heads;
  block.heads = static_cast<int>(smaller(blocks.heads, blocks.key_heads - block.key_head));
  block.first_row = (blocks.blocks - 1 - index % blocks.blocks) * block_rows;
  const std::int64_t left = blocks.rows - block.first_row;
  block.rows = static_cast<int>(left < block_rows ? left : block_rows);
  return block;
}

/// Memory handed out piece by piece, each on a cache line; without memory it counts.
class Arena {
 public:
  static constexpr std::size_t kLine = 64;

  explicit Arena(unsigned char* memory = nullptr) noexcept : memory_(memory) {
    if (memory == nullptr) return;
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    used_ = (kLine - address % kLine) % kLine;
  }

  template <typename T>
  T* take(std::int64_t count) noexcept {
    T* piece = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    used_ += (bytes + kLine - 1) / kLine * kLine;
    return piece;
  }

  std::size_t used() const noexcept { return used_; }

 private:
  unsigned char* memory_;
  std::size_t used_ = 0;
};

/// What one worker needs for a block.
template <typename Factor>
struct BlockRoom {
  Factor* queries = nullptr;      // (rows, query size)
  float* plain = nullptr;         // (kSideRows, plain size): queries of the direct functions
  Factor* keys = nullptr;         // packed tile
  Factor* values = nullptr;       // packed tile
  float* scores = nullptr;        // (rows, kKeys)
  Factor* weights = nullptr;      // (rows, kKeys); the scores' own memory where they are floats
  float* loaded = nullptr;        // (kKeys, depth): rows on their way through a transform
  float* bias = nullptr;          // (kKeys,)
  float* outputs = nullptr;       // (rows, output size)
  float* factors = nullptr;       // (rows,)
  float* coefficients = nullptr;  // (rows,)
  float* ones = nullptr;          // (rows,) coefficients of logits that have their own already
  RowStatistics<float>* statistics = nullptr;  // (rows,) of the last keys
  RowStatistics<double>* totals = nullptr;     // (rows,) of those before
  VisibleKeys* visible = nullptr;              // (rows,)
  SeenKeys* seen = nullptr;                    // (rows,) in the tile
  bool* in_range = nullptr;                    // (rows,)
  double* exact = nullptr;                     // (dim,)
};

template <typename Kernel, typename T>
BlockRoom<typename Kernel::template Factor<T>> take_room(Arena& arena, int depth,
                                                         int dim) noexcept {
  using Factor = typename Kernel::template Factor<T>;
  static_assert(Kernel::kBlockRows >= kSideRows && Kernel::kDirectRows <= kSideRows,
                "every list of rows has room for those of a task with several key heads");
  constexpr std::int64_t rows = Kernel::kBlockRows;
  constexpr std::int64_t keys = Kernel::kKeys;
  BlockRoom<Factor> room;
  room.queries = arena.take<Factor>(rows * Kernel::query_size(depth));
  room.plain = arena.take<float>(kSideRows * Kernel::plain_size(depth));
  room.keys = arena.take<Factor>(Kernel::keys_size(depth));
  room.values = arena.take<Factor>(Kernel::values_size(dim));
  room.scores = arena.take<float>(rows * keys);
  if constexpr (std::is_same_v<Factor, float>) {
    room.weights = room.scores;
  } else {
    room.weights = arena.take<Factor>(rows * keys);
  }
  room.loaded = arena.take<float>(keys * (depth > dim ? depth : dim));
  room.bias = arena.take<float>(keys);
  room.outputs = arena.take<float>(rows * Kernel::output_size(dim));
  room.factors = arena.take<float>(rows);
  room.coefficients = arena.take<float>(rows);
  room.ones = arena.take<float>(rows);
  room.statistics = arena.take<RowStatistics<float>>(rows);
  room.totals = arena.take<RowStatistics<double>>(rows);
  room.visible = arena.take<VisibleKeys>(rows);
  room.seen = arena.take<SeenKeys>(rows);
  room.in_range = arena.take<bool>(rows);
  room.exact = arena.take<double>(dim);
  return room;
}

/// The room that lies `bytes` further.
template <typename Factor>
BlockRoom<Factor> moved(BlockRoom<Factor> room, std::size_t bytes) noexcept {
  const auto move = [bytes](auto*& piece) {
    using Piece = std::remove_reference_t<decltype(*piece)>;
    piece = reinterpret_cast<Piece*>(reinterpret_cast<unsigned char*>(piece) + bytes);
  };
  move(room.queries);
  move(room.plain);
  move(room.keys);
  move(room.values);
  move(room.scores);
  move(room.weights);
  move(room.loaded);
  move(room.bias);
  move(room.outputs);
  move(room.factors);
  move(room.coefficients);
  move(room.ones);
  move(room.statistics);
  move(room.totals);
  move(room.visible);
  move(room.seen);
  move(room.in_range);
  move(room.exact);
  return room;
}

/// Results of one row of one part: outputs not yet divided by the sum.
struct PartialRows {
  float* outputs = nullptr;                     // (rows, dim)
  RowStatistics<double>* statistics = nullptr;  // (rows,)
  bool* in_range = nullptr;                     // (rows,)
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

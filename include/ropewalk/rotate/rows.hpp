// Where the cosines and sines of a token come from. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The angles of one token.
template <typename Compute>
struct RotateRow {
  const Compute* cos = nullptr;  // (pairs,)
  const Compute* sin = nullptr;  // (pairs,)
  bool identity = false;         // nothing turns and no factor applies
};

/// Room for one row; on the stack for heads of up to 512 elements.
template <typename Compute>
class RowBuffer {
 public:
  explicit RowBuffer(int pairs) {
    if (pairs > kSmall) large_.resize(2 * static_cast<std::size_t>(pairs));
  }

  Compute* cos() noexcept { return large_.empty() ? small_ : large_.data(); }
  Compute* sin() noexcept {
    return large_.empty() ? small_ + kSmall : large_.data() + large_.size() / 2;
  }

  /// Another row, narrowed or widened, its factors applied.
  template <typename Real>
  RotateRow<Compute> scaled(const Real* cos_row, const Real* sin_row, Compute cos_factor,
                            Compute sin_factor, int pairs) noexcept {
    Compute* cos_scaled = cos();
    Compute* sin_scaled = sin();
    for (int pair = 0; pair < pairs; ++pair) {
      cos_scaled[pair] = static_cast<Compute>(cos_row[pair]) * cos_factor;
      sin_scaled[pair] = static_cast<Compute>(sin_row[pair]) * sin_factor;
    }
    return {cos_scaled, sin_scaled, false};
  }

 private:
  static constexpr int kSmall = 256;
  alignas(64) Compute small_[2 * kSmall];
  std::vector<Compute> large_ = {};
};

/// Rows of a table. No positions: row i belongs to token i.
template <typename Real, typename Compute>
class TableRows {
 public:
  TableRows(const PhaseTable<Real>& table, Span<const std::int64_t> positions,
            std::int64_t first_position, bool inverse)
      : table_(table),
        positions_(positions),
        first_position_(first_position),
        inverse_(inverse),
        buffer_(table.pairs) {}

  int pairs() const noexcept { return table_.pairs; }

  RotateRow<Compute> row(std::int64_t token) noexcept {
    const std::int64_t index =
        positions_.empty() ? token : positions_[static_cast<std::size_t>(token)] - first_position_;
    const std::int64_t entry = index * table_.pairs;
    const Real* cos = table_.cos.data() + entry;
    const Real* sin = table_.sin.data() + entry;
    if constexpr (std::is_same_v<Real, Compute>) {
      if (!inverse_) return {cos, sin, false};
    }
    const Compute sign{inverse_ ? Compute{-1} : Compute{1}};
    return buffer_.scaled(cos, sin, Compute{1}, sign, table_.pairs);
  }

 private:
  const PhaseTable<Real>& table_;
  Span<const std::int64_t> positions_;
  std::int64_t first_position_;
  bool inverse_;
  RowBuffer<Compute> buffer_;
};

/// Rows made from turns as they are needed; the row before is kept for tokens at one position.
template <typename Kernel, typename Compute>
class TurnsRows {
 public:
  TurnsRows(const PhaseTurns& turns, Span<const std::int64_t> positions, double factor,
            bool inverse)
      : turns_(turns),
        positions_(positions),
        factor_(factor),
        inverse_(inverse),
        buffer_(turns.pairs()) {}

  int pairs() const noexcept { return turns_.pairs(); }

  RotateRow<Compute> row(std::int64_t token) noexcept {
    const std::int64_t position = positions_[static_cast<std::size_t>(token)];
    if (!held_ || position != position_) {
      Compute* sin = buffer_.sin();
      Kernel::fill_row(turns_, position, factor_, buffer_.cos(), sin);
      if (inverse_) {
        for (int pair = 0; pair < pairs(); ++pair) sin[pair] = -sin[pair];
      }
      held_ = true;
      position_ = position;
    }
    return {buffer_.cos(), buffer_.sin(), position == 0 && factor_ == 1.0};
  }

 private:
  const PhaseTurns& turns_;
  Span<const std::int64_t> positions_;
  double factor_;
  bool inverse_;
  bool held_ = false;
  std::int64_t position_ = 0;
  RowBuffer<Compute> buffer_;
};

/// The row of one position for every token.
template <typename Kernel, typename Compute>
class OneRow {
 public:
  OneRow(const PhaseTurns& turns, std::int64_t position, double factor, bool inverse)
      : position_(position),
        rows_(turns, Span<const std::int64_t>(&position_, 1), factor, inverse) {}
  OneRow(const OneRow&) = delete;
  OneRow& operator=(const OneRow&) = delete;

  int pairs() const noexcept { return rows_.pairs(); }
  RotateRow<Compute> row(std::int64_t) noexcept { return rows_.row(0); }

 private:
  std::int64_t position_;
  TurnsRows<Kernel, Compute> rows_;
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

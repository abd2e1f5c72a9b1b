// Rotation of rows as attention loads them: no pass over memory of its own. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/rope_config.hpp>
#include <ropewalk/rotate/options.hpp>
#include <ropewalk/rotate/rows.hpp>
#include <ropewalk/rotate/sizes.hpp>
#include <ropewalk/simd/rotate_portable.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// A row transform for the hooks of attend() and attend_backward(): token t of a view is turned by the
/// row of its position. The result is that of rotate() on float rows, before attention; rows of
/// 16-bit types are not rounded in between.
///   Kernel       simd::Portable, or one of <ropewalk/simd/rotate.hpp>
///   Max error    as rotate()
/// It refers to the table and the positions, which must outlive it.
template <typename Kernel = simd::Portable>
class RotateOnLoad {
 public:
  static constexpr bool kIdentity = false;

  /// view         the queries or keys that will be loaded
  /// positions    (view.tokens,), each in options.first_position + [0, table.positions); empty: row t
  ///              of the table belongs to token t
  /// options      first_dim, first_position and inverse; scales belong to AttentionOptions
  /// Throws       std::invalid_argument: counts that do not agree, a position outside the table, a
  ///              rotated part that does not fit the head, scales that are given
  template <typename T>
  RotateOnLoad(const HeadView<T>& view, Span<const std::int64_t> positions,
               const PhaseTable<float>& table, Pairing pairing, const RotateOptions& options = {})
      : table_(&table), positions_(positions), pairing_(pairing), options_(options) {
    constexpr const char* where = "RotateOnLoad";
    detail::require(where, view.validate());
    detail::require_table(where, table);
    detail::require_dims(where, options.first_dim, table.pairs, view.head_dim);
    detail::require_equal(where, "head_scale", static_cast<std::int64_t>(options.head_scale.size()),
                          "what rows on their way take", 0);
    detail::require_equal(where, "position_scale",
                          static_cast<std::int64_t>(options.position_scale.size()),
                          "what rows on their way take", 0);
    if (positions.empty()) {
      if (view.tokens > table.positions) {
        detail::refuse(where, {Errc::above_maximum, "tokens", static_cast<double>(view.tokens)});
      }
      return;
    }
    detail::require_equal(where, "positions", static_cast<std::int64_t>(positions.size()), "tokens",
                          view.tokens);
    detail::require_rows(where, positions, options.first_position, table.positions);
  }

  void operator()(std::int64_t token, std::int64_t, float* row) const noexcept {
    turn(token, row, options_.inverse);
  }

  /// The transpose of what a row goes through: for its gradient.
  void transpose(std::int64_t token, std::int64_t, float* row) const noexcept {
    turn(token, row, !options_.inverse);
  }

 private:
  void turn(std::int64_t token, float* row, bool inverse) const noexcept {
    detail::TableRows<float, float> rows(*table_, positions_, options_.first_position, inverse);
    const detail::RotateRow<float> angles = rows.row(token);
    detail::RotateJob<float> job;
    job.source = row + options_.first_dim;
    job.destination = row + options_.first_dim;
    job.heads = 1;
    job.cos = angles.cos;
    job.sin = angles.sin;
    job.pairs = table_->pairs;
    job.pairing = pairing_;
    Kernel::rotate(job);
  }

  const PhaseTable<float>* table_;
  Span<const std::int64_t> positions_;
  Pairing pairing_;
  RotateOptions options_;
};

}  // namespace v0
}  // namespace ropewalk

// Rotating the parts of one call, token by token. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/rotate/options.hpp>
#include <ropewalk/rotate/rows.hpp>
#include <ropewalk/rotate/sizes.hpp>
#include <ropewalk/simd/rotate_portable.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// A view that is turned, and what else happens to it. References to what the caller holds.
///   Source       T, or const T
template <typename Source, typename T>
struct RotatePart {
  static_assert(!std::is_const_v<T>, "what is turned is written: take a view that is not const");

  const HeadView<Source>& source;
  const HeadView<T>& destination;
  const RotateOptions& options;
  bool scaled = true;  // whether the scales of the options are for this view

  Span<const double> head_scale() const noexcept {
    return scaled ? options.head_scale : Span<const double>();
  }
  Span<const double> position_scale() const noexcept {
    return scaled ? options.position_scale : Span<const double>();
  }
  bool in_place() const noexcept { return source.data == destination.data; }
  bool scales() const noexcept { return !head_scale().empty() || !position_scale().empty(); }
};

/// Whether the destination is written past the caches.
template <typename Kernel, typename Source, typename T>
bool streams(const RotatePart<Source, T>& part, int pairs) noexcept {
  if constexpr (Kernel::kStreamAlignment == 0) {
    return false;
  } else {
    const HeadView<T>& to = part.destination;
    if (part.in_place() || to.empty()) return false;
    const std::int64_t head_bytes = static_cast<std::int64_t>(sizeof(T)) * to.head_dim;
    if (to.tokens * to.heads < part.options.streaming_bytes / head_bytes) return false;
    const auto address = reinterpret_cast<std::uintptr_t>(to.data + part.options.first_dim);
    const std::uint64_t steps = static_cast<std::uint64_t>(to.token_stride) |
                                static_cast<std::uint64_t>(to.head_stride) |
                                static_cast<std::uint64_t>(pairs);
    return (address | (steps * sizeof(T))) % Kernel::kStreamAlignment == 0;
  }
}

/// The elements of one token's heads outside the rotated part: copied, and scaled where asked.
template <typename T>
void pass_around(const RotateJob<T>& job, int pairs, int first_dim, int head_dim,
                 typename RotateJob<T>::Compute position_scale, bool scales) noexcept {
  using Compute = typename RotateJob<T>::Compute;
  using Traits = ElementTraits<T>;
  // Counted from the first rotated element.
  const int ranges[2][2] = {{-first_dim, 0}, {2 * pairs, head_dim - first_dim}};
  for (std::int64_t head = 0; head < job.heads; ++head) {
    const T* source = job.source + head * job.source_stride;
    T* destination = job.destination + head * job.destination_stride;
    const Compute head_scale = job.head_scale == nullptr ? Compute{1} : job.head_scale[head];
    for (const auto& range : ranges) {
      if (scales) {
        for (int dim = range[0]; dim < range[1]; ++dim) {
          destination[dim] = Traits::store(Traits::load(source[dim]) * position_scale * head_scale);
        }
      } else {
        for (int dim = range[0]; dim < range[1]; ++dim) destination[dim] = source[dim];
      }
    }
  }
}

/// How far ahead a kernel asks for what it will read, in elements; 0 where the 16-bit data of a call
/// fit half of the smallest second-level cache in use, and are taken to be in some cache: asking
/// costs float16 6 percent there. To float it is worth 3 to 5 percent from 64 KiB on, and costs
/// nothing in L1.
template <typename Source, typename T>
std::int64_t prefetch_distance(const RotatePart<Source, T>& part) noexcept {
  constexpr std::int64_t cached = sizeof(T) == 2 ? std::int64_t{1} << 19 : 0;  // bytes
  constexpr std::int64_t heads_ahead = 8;
  constexpr std::int64_t largest_stride = std::int64_t{1} << 32;
  const HeadView<Source>& view = part.source;
  const std::int64_t head_bytes = static_cast<std::int64_t>(sizeof(T)) * view.head_dim;
  const std::int64_t read_and_written = part.in_place() ? 1 : 2;
  const std::int64_t count = view.tokens * view.heads;
  const bool close = count <= cached && count * head_bytes * read_and_written <= cached;
  // A single head may have any stride.
  if (close || magnitude(view.head_stride) > largest_stride) return 0;
  return heads_ahead * view.head_stride;
}

/// Sets what of a job does not differ from token to token. In place: a job that is put together and
/// then copied is read before its stores have landed, which costs as much as turning three heads.
template <typename Source, typename T>
void set_sizes(RotateJob<T>& job, const RotatePart<Source, T>& part, int pairs,
               Pairing pairing) noexcept {
  const bool several = part.source.heads > 1;
  job.source_stride = several ? part.source.head_stride : 0;
  job.destination_stride = several ? part.destination.head_stride : 0;
  job.heads = part.source.heads;
  job.pairs = pairs;
  job.pairing = pairing;
  job.prefetch = prefetch_distance(part);
}

/// Turns the heads of one token; what of the job differs from token to token is set here.
template <typename Kernel, typename Source, typename T,
          typename Compute = typename RotateJob<T>::Compute>
void rotate_token(const RotatePart<Source, T>& part, std::int64_t token, RotateJob<T>& job,
                  const RotateRow<Compute>& row, RowBuffer<Compute>& scaled_row) noexcept {
  const int first_dim = part.options.first_dim;
  const bool identity = row.identity && !part.scales();
  if (identity && part.in_place()) return;
  job.source = part.source.head(token, 0) + first_dim;
  job.destination = part.destination.head(token, 0) + first_dim;
  job.cos = row.cos;
  job.sin = row.sin;
  Compute position_scale{1};
  if (!part.position_scale().empty()) {
    position_scale = static_cast<Compute>(part.position_scale()[static_cast<std::size_t>(token)]);
    const RotateRow<Compute> scaled =
        scaled_row.scaled(row.cos, row.sin, position_scale, position_scale, job.pairs);
    job.cos = scaled.cos;
    job.sin = scaled.sin;
  }
  const int pairs = identity ? 0 : job.pairs;
  if (pairs > 0) Kernel::rotate(job);
  if (part.source.head_dim > 2 * pairs && (part.scales() || !part.in_place())) {
    pass_around(job, pairs, first_dim, part.source.head_dim, position_scale, part.scales());
  }
}

/// Turns every token of parts that were checked, in place and without scales, as decoding does.
template <typename Kernel, typename T, typename Rows, std::size_t kParts>
void rotate_in_place(const RotatePart<T, T> (&parts)[kParts], Rows& rows, Pairing pairing) {
  if (rows.pairs() == 0) return;
  RotateJob<T> jobs[kParts];
  for (std::size_t part = 0; part < kParts; ++part) {
    set_sizes(jobs[part], parts[part], rows.pairs(), pairing);
  }
  for (std::int64_t token = 0; token < parts[0].destination.tokens; ++token) {
    const auto row = rows.row(token);
    if (row.identity) continue;
    for (std::size_t part = 0; part < kParts; ++part) {
      // A view without heads may be without data.
      if (jobs[part].heads == 0) continue;
      jobs[part].destination =
          parts[part].destination.head(token, 0) + parts[part].options.first_dim;
      jobs[part].source = jobs[part].destination;
      jobs[part].cos = row.cos;
      jobs[part].sin = row.sin;
      Kernel::rotate(jobs[part]);
    }
  }
}

/// Turns every token of one or two parts that were checked.
template <typename Kernel, typename Source, typename T, typename Rows, std::size_t kParts>
void rotate_parts(const RotatePart<Source, T> (&parts)[kParts], Rows& rows, Pairing pairing) {
  using Compute = typename RotateJob<T>::Compute;
  if constexpr (std::is_same_v<Source, T>) {
    if (parts[0].in_place() && !parts[0].scales()) {
      return rotate_in_place<Kernel>(parts, rows, pairing);
    }
  }
  RotateJob<T> jobs[kParts];
  std::vector<Compute> head_scale[kParts];
  for (std::size_t part = 0; part < kParts; ++part) {
    for (const double by : parts[part].head_scale()) {
      head_scale[part].push_back(static_cast<Compute>(by));
    }
    set_sizes(jobs[part], parts[part], rows.pairs(), pairing);
    jobs[part].head_scale = head_scale[part].empty() ? nullptr : head_scale[part].data();
    jobs[part].streaming = streams<Kernel>(parts[part], rows.pairs());
  }
  RowBuffer<Compute> scaled_row(rows.pairs());
  for (std::int64_t token = 0; token < parts[0].source.tokens; ++token) {
    const RotateRow<Compute> row = rows.row(token);
    for (std::size_t part = 0; part < kParts; ++part) {
      // A view without heads may be without data.
      if (jobs[part].heads == 0) continue;
      rotate_token<Kernel>(parts[part], token, jobs[part], row, scaled_row);
    }
  }
  for (const RotateJob<T>& job : jobs) {
    if (job.streaming) Kernel::finish_streams();
  }
}

/// Checks of one part that need its sizes only.
template <typename Source, typename T>
void require_part(const char* where, const RotatePart<Source, T>& part, int pairs) {
  // A view may be turned onto itself, with the same strides.
  const bool same = part.in_place() && part.source.token_stride == part.destination.token_stride &&
                    part.source.head_stride == part.destination.head_stride;
  require(where, part.destination.validate());
  if (!same) require(where, part.source.validate());
  require_dims(where, part.options.first_dim, pairs, part.source.head_dim);
  const HeadView<Source>& from = part.source;
  const HeadView<T>& to = part.destination;
  require_equal(where, "destination.tokens", to.tokens, "source.tokens", from.tokens);
  require_equal(where, "destination.heads", to.heads, "source.heads", from.heads);
  require_equal(where, "destination.head_dim", to.head_dim, "source.head_dim", from.head_dim);
  const auto head_scales = static_cast<std::int64_t>(part.head_scale().size());
  if (head_scales != 0) require_equal(where, "head_scale", head_scales, "heads", from.heads);
  const auto position_scales = static_cast<std::int64_t>(part.position_scale().size());
  if (position_scales != 0) {
    require_equal(where, "position_scale", position_scales, "tokens", from.tokens);
  }
  if (!same) require_apart(where, "the overlap of source and destination", from, to);
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

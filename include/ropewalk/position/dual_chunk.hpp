// Dual Chunk Attention: positions start again in every chunk. Row 8.
#pragma once

#include <ropewalk/position/remap.hpp>

namespace ropewalk {
inline namespace v0 {

/// The text is cut every stride() = chunk - local tokens. A key has one position, its place in its
/// own piece; the query has three:
///   neighbours   same piece        its place
///   successive   the piece before  place + stride, at most chunk; exact below distance local
///   distant      all earlier ones  min(2 stride - 1, chunk)
/// Engines rotate keys once, by key_position, and keep three rotated queries.
///   Valid for    0 <= local < chunk < original_length, or chunk kUnlimited
///   Identity     chunk kUnlimited
///   Source       An et al. 2024, arXiv 2402.17463
struct DualChunk {
  std::int64_t chunk = kUnlimited;  // no distance is larger; chunk_size of engines
  std::int64_t local = 0;           // distances below stay exact across a cut; local_size

  std::int64_t stride() const noexcept { return chunk - local; }

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_length("local", local, 0); fault.code != Errc::ok) {
      return fault;
    }
    if (chunk == kUnlimited) return {};
    if (const Fault fault = detail::check_trained(config, "chunk", chunk, 1);
        fault.code != Errc::ok) {
      return fault;
    }
    if (local >= chunk) return {Errc::above_maximum, "local", static_cast<double>(local)};
    return {};
  }

  std::int64_t relative(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "DualChunk: 0 <= key <= query");
    const std::int64_t pieces = query / stride() - key / stride();
    const std::int64_t place = query % stride();
    if (pieces == 0) return query - key;
    if (pieces == 1) return successive_position(place) - key % stride();
    return distant_position() - key % stride();
  }

  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(query), "DualChunk: query >= 0");
    const std::int64_t own = query - query % stride();
    const std::int64_t before = own == 0 ? 0 : own - stride();
    if (pass == Pass::neighbours) return {own, query + 1};
    return pass == Pass::successive ? KeyRange{before, own} : KeyRange{0, before};
  }

  std::int64_t query_position(Pass pass, std::int64_t query) const noexcept {
    const std::int64_t place = query % stride();
    if (pass == Pass::neighbours) return place;
    return pass == Pass::successive ? successive_position(place) : distant_position();
  }

  std::int64_t key_position(Pass, std::int64_t key) const noexcept { return key % stride(); }

 private:
  // min(place + stride, chunk), without forming a sum that could overflow.
  std::int64_t successive_position(std::int64_t place) const noexcept {
    return place < local ? place + stride() : chunk;
  }

  std::int64_t distant_position() const noexcept { return successive_position(stride() - 1); }
};

/// ChunkLlama's parameters: chunk 3/4 of the trained length, local 1/8, both rounded down.
///   original_length  tokens, 8 .. 2^53
///   Source           An et al. 2024, arXiv 2402.17463; some versions of its code take local 1/16
inline DualChunk dual_chunk_for_length(std::int64_t original_length) {
  detail::require("dual_chunk_for_length",
                  detail::check_length("original_length", original_length, 8));
  return {original_length * 3 / 4, original_length / 8};
}

}  // namespace v0
}  // namespace ropewalk

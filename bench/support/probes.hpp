// What this machine can do: the limits every figure is held against, in the same run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace ropewalk_bench {

/// 64 bytes: one AVX-512 register, two of AVX2, four of SSE2 or NEON.
using Line = std::uint64_t __attribute__((vector_size(64), aligned(64), may_alias));
using FloatLine = float __attribute__((vector_size(64), aligned(64), may_alias));
using DoubleLine = double __attribute__((vector_size(64), aligned(64), may_alias));

inline constexpr std::size_t kLineBytes = 64;

inline void stream_line(Line* to, const Line& value) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), *reinterpret_cast<const __m512i*>(&value));
#elif defined(__SSE2__)
  const auto* parts = reinterpret_cast<const __m128i*>(&value);
  for (int part = 0; part < 4; ++part) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to) + part, parts[part]);
  }
#elif defined(__clang__)
  __builtin_nontemporal_store(value, to);
#else
  *to = value;
#endif
}

inline void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

/// Reads, flips a sign bit, writes back: the least that anything in place can do.
inline void touch(void* data, std::size_t bytes) {
  auto* const lines = static_cast<Line*>(data);
  const std::size_t count = bytes / kLineBytes;
  Line sign;
  for (int word = 0; word < 8; ++word) sign[word] = 0x8000000000000000u;
  std::size_t line = 0;
  for (; line + 4 <= count; line += 4) {
    lines[line] ^= sign;
    lines[line + 1] ^= sign;
    lines[line + 2] ^= sign;
    lines[line + 3] ^= sign;
  }
  for (; line < count; ++line) lines[line] ^= sign;
}

/// Copies in registers of the widest kind.
inline void vector_copy(const void* from, void* to, std::size_t bytes) {
  const auto* const source = static_cast<const Line*>(from);
  auto* const lines = static_cast<Line*>(to);
  for (std::size_t line = 0; line < bytes / kLineBytes; ++line) {
    lines[line] = source[line];
    asm volatile("" ::: "memory");  // else it becomes a call of memcpy
  }
}

/// Copies with stores past the caches, which need not read what they overwrite.
inline void stream_copy(const void* from, void* to, std::size_t bytes) {
  const auto* const source = static_cast<const Line*>(from);
  auto* const lines = static_cast<Line*>(to);
  for (std::size_t line = 0; line < bytes / kLineBytes; ++line) {
    stream_line(lines + line, source[line]);
  }
  stream_fence();
}

inline void fill(void* to, std::size_t bytes) {
  auto* const lines = static_cast<Line*>(to);
  Line value;
  for (int word = 0; word < 8; ++word) value[word] = 0x3f8000003f800000u;
  for (std::size_t line = 0; line < bytes / kLineBytes; ++line) {
    lines[line] = value;
    asm volatile("" ::: "memory");
  }
}

inline void stream_fill(void* to, std::size_t bytes) {
  auto* const lines = static_cast<Line*>(to);
  Line value;
  for (int word = 0; word < 8; ++word) value[word] = 0x3f8000003f800000u;
  for (std::size_t line = 0; line < bytes / kLineBytes; ++line) stream_line(lines + line, value);
  stream_fence();
}

inline void read(const void* from, std::size_t bytes) {
  const auto* const lines = static_cast<const Line*>(from);
  const std::size_t count = bytes / kLineBytes;
  Line sums[4] = {};
  std::size_t line = 0;
  for (; line + 4 <= count; line += 4) {
    for (std::size_t part = 0; part < 4; ++part) sums[part] ^= lines[line + part];
  }
  for (; line < count; ++line) sums[0] ^= lines[line];
  sums[0] ^= sums[1] ^ sums[2] ^ sums[3];
  std::uint64_t word = sums[0][0];
  for (int other = 1; other < 8; ++other) word ^= sums[0][other];
  asm volatile("" ::"r"(word));
}

/// kFmaSteps * kFmaChains * 16 multiply-adds, as many chains as hide their latency.
inline constexpr int kFmaChains = 12;
inline constexpr int kFmaSteps = 256;

/// Chains of multiply-adds that wait for nothing but themselves.
template <typename Line = FloatLine>
void fma_chains() {
  constexpr std::size_t lanes = sizeof(Line) / sizeof(Line{}[0]);
  Line chains[kFmaChains];
  Line by;
  Line add;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    by[lane] = 0.999f;
    add[lane] = 0.001f;
    for (auto& chain : chains) chain[lane] = 1.0f;
  }
  asm volatile("" : "+m"(by), "+m"(add));
  for (int step = 0; step < kFmaSteps; ++step) {
    for (auto& chain : chains) chain = chain * by + add;
  }
  for (auto& chain : chains) asm volatile("" ::"m"(chain));
}

}  // namespace ropewalk_bench

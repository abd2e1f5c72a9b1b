// Rotations as cases: shapes, shares of threads, limits, and the check of every answer.
#pragma once

#include "group.hpp"
#include "memory.hpp"
#include "probes.hpp"
#include "turned.hpp"

#include <ropewalk/phase.hpp>
#include <ropewalk/rotate.hpp>
#include <ropewalk/simd/rotate.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ropewalk_bench {

using ropewalk::PhaseTable;
using ropewalk::PhaseTurns;
using Native = ropewalk::simd::Native;
using Portable = ropewalk::simd::Portable;

inline constexpr Pairing kPairings[] = {Pairing::half_split, Pairing::interleaved};
inline constexpr std::int64_t kFirstPosition = 100000;
inline constexpr std::int64_t kMemoryTokens = 8192;  // pass through memory, fewer stay in one place

inline const char* pairing_name(Pairing pairing) {
  return pairing == Pairing::half_split ? "half-split" : "interleaved";
}

template <typename T>
const char* element_name() {
  if constexpr (std::is_same_v<T, float>) return "f32";
  if constexpr (std::is_same_v<T, double>) return "f64";
  if constexpr (std::is_same_v<T, ropewalk::float16>) return "f16";
  return "bf16";
}

/// What is rotated, by how many threads, and where it lies.
struct Scene {
  std::int64_t tokens = 1;
  std::int64_t heads = 32;
  int head_dim = 128;
  int threads = 1;
  bool from_memory = false;  // out of every cache, else where it was left
  std::int64_t first_position = kFirstPosition;
  std::int64_t position_step = 1;

  std::int64_t rows() const { return tokens * heads; }
};

/// The part of `count` that belongs to one thread.
struct Share {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

inline Share share_of(std::int64_t count, int thread, int threads) {
  const std::int64_t first = count * thread / threads;
  return {first, count * (thread + 1) / threads - first};
}

/// One thread's tokens, or its heads where there is one token only.
template <typename T>
HeadView<T> share_of(HeadView<T> view, int thread, int threads) {
  const Share share = share_of(view.tokens == 1 ? view.heads : view.tokens, thread, threads);
  if (view.tokens == 1) {
    view.data = view.head(0, share.first);
    view.heads = share.count;
  } else {
    view.data = view.head(share.first, 0);
    view.tokens = share.count;
  }
  return view;
}

/// A scene's angles and memory. Every case has its own.
template <typename T>
struct Work {
  using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

  Scene scene;
  ropewalk::Spectrum spectrum;
  std::vector<std::int64_t> positions;
  PhaseTurns turns;
  PhaseTable<Real> table;
  Slots in_place;
  Slots out_of_place;  // source, then destination

  explicit Work(const Scene& wanted)
      : scene(wanted),
        spectrum(spectrum_for(wanted.head_dim)),
        turns(ropewalk::phase_turns(spectrum)),
        in_place(bytes(), wanted.from_memory),
        out_of_place(2 * stride(), wanted.from_memory) {
    Memory::all().randomize<T>();
    Memory::all().rewind();  // check_run() looks at the first piece
    for (std::int64_t token = 0; token < scene.tokens; ++token) {
      positions.push_back(scene.first_position + token * scene.position_step);
    }
    table = ropewalk::phase_table<Real>(turns, scene.first_position, scene.tokens);
  }

  std::size_t bytes() const {
    return sizeof(T) * static_cast<std::size_t>(scene.rows() * scene.head_dim);
  }
  /// From a source to its destination. Four lines short of whole pages: stores then have the page
  /// offsets of loads that are through, and hold none up (a store some lines ahead of them would).
  std::size_t stride() const { return (bytes() + 4095) / 4096 * 4096 + 4096 - 256; }

  HeadView<T> view(unsigned char* data) const {
    return ropewalk::make_head_view(reinterpret_cast<T*>(data), scene.tokens, scene.heads,
                                    scene.head_dim);
  }
  Span<const std::int64_t> share_of_positions(int thread) const {
    if (scene.tokens == 1) return positions;
    const Share share = share_of(scene.tokens, thread, scene.threads);
    return {positions.data() + share.first, static_cast<std::size_t>(share.count)};
  }
};

/// Bytes of a run that reads and writes every element once, heads for items.
template <typename T>
Case scene_case(const std::string& name, const Scene& scene, std::function<Run()> prepare) {
  const auto rows = static_cast<double>(scene.rows());
  return {name, 2.0 * rows * scene.head_dim * static_cast<double>(sizeof(T)), rows,
          std::move(prepare)};
}

/// Runs once, one thread after another, and judges the first, the middle and the last token.
template <typename T>
void check_run(const Work<T>& work, const Run& run, bool in_place, Pairing pairing,
               const std::string& name) {
  unsigned char* const data = work.in_place.first();
  const Turned<T> turned(work.view(data), work.spectrum, work.positions, pairing);
  for (int thread = 0; thread < work.scene.threads; ++thread) run(thread, 1);
  require_answer(turned.holds(work.view(in_place ? data : data + work.stride())), name);
}

/// rotate(view, positions, work) turns one thread's view.
template <typename T, typename Rotate>
Case in_place_case(const std::string& name, const Scene& scene, Pairing pairing, Rotate rotate) {
  return scene_case<T>(name, scene, [=] {
    Work<T> work(scene);
    const Run run = repeated([work, rotate](int thread) mutable {
      unsigned char* const data = work.in_place.take(thread);
      rotate(share_of(work.view(data), thread, work.scene.threads), work.share_of_positions(thread),
             work);
    });
    check_run(work, run, true, pairing, name);
    return run;
  });
}

/// rotate(from, to, positions, work) writes one thread's part elsewhere.
template <typename T, typename Rotate>
Case out_of_place_case(const std::string& name, const Scene& scene, Pairing pairing,
                       Rotate rotate) {
  return scene_case<T>(name, scene, [=] {
    Work<T> work(scene);
    const Run run = repeated([work, rotate](int thread) mutable {
      unsigned char* const data = work.out_of_place.take(thread);
      const int threads = work.scene.threads;
      rotate(HeadView<const T>(share_of(work.view(data), thread, threads)),
             share_of(work.view(data + work.stride()), thread, threads),
             work.share_of_positions(thread), work);
    });
    check_run(work, run, false, pairing, name);
    return run;
  });
}

/// The limit of a scene in place, of whole lines.
template <typename T>
Case touch_case(const Scene& scene) {
  return scene_case<T>("touch", scene, [=] {
    return repeated([work = Work<T>(scene)](int thread) mutable {
      const HeadView<T> all = work.view(work.in_place.take(thread));
      const HeadView<T> part = share_of(all, thread, work.scene.threads);
      touch(part.data, work.bytes() / static_cast<std::size_t>(work.scene.threads));
    });
  });
}

/// A limit out of place: copy(from, to, bytes).
template <typename T, typename Copy>
Case copy_case(const char* name, const Scene& scene, Copy copy) {
  return scene_case<T>(name, scene, [=] {
    return repeated([work = Work<T>(scene), copy](int thread) mutable {
      unsigned char* const data = work.out_of_place.take(thread);
      const int threads = work.scene.threads;
      copy(share_of(work.view(data), thread, threads).data,
           share_of(work.view(data + work.stride()), thread, threads).data,
           work.bytes() / static_cast<std::size_t>(threads));
    });
  });
}

inline void memory_copy(const void* from, void* to, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

/// Options for a scene's table, or for turns.
inline ropewalk::RotateOptions rotate_options(const Scene& scene, bool table, bool streaming) {
  ropewalk::RotateOptions options;
  if (table) options.first_position = scene.first_position;
  options.streaming_bytes = streaming ? 0 : std::numeric_limits<std::int64_t>::max();
  return options;
}

/// The library's rotation, angles from the table or straight from turns.
template <typename Kernel, typename T>
Case rotate_case(const std::string& name, const Scene& scene, Pairing pairing, bool table = true) {
  return in_place_case<T>(name, scene, pairing, [=](auto view, auto positions, const auto& work) {
    const auto options = rotate_options(scene, table, false);
    if (table) {
      ropewalk::rotate<Kernel>(view, positions, work.table, pairing, options);
    } else {
      ropewalk::rotate<Kernel>(view, positions, work.turns, pairing, options);
    }
  });
}

template <typename Kernel, typename T>
Case rotate_copy_case(const std::string& name, const Scene& scene, Pairing pairing, bool streaming,
                      bool table = true) {
  return out_of_place_case<T>(
      name, scene, pairing, [=](auto from, auto to, auto positions, const auto& work) {
        const auto options = rotate_options(scene, table, streaming);
        if (table) {
          ropewalk::rotate_copy<Kernel>(from, to, positions, work.table, pairing, options);
        } else {
          ropewalk::rotate_copy<Kernel>(from, to, positions, work.turns, pairing, options);
        }
      });
}

}  // namespace ropewalk_bench

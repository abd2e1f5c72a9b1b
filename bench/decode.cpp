// Rotations without a table: one token of decoding (32 query and 8 key heads, its row of angles
// included), and the shift of cached keys. Axes: element, pairing, source of the angles, footprint.
#include "programs.hpp"
#include "support/baselines.hpp"
#include "support/rotation_cases.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk_bench {
namespace {

constexpr std::int64_t kQueryHeads = 32;
constexpr std::int64_t kKeyHeads = 8;
constexpr int kHeadDim = 128;

/// One token: queries and then keys, at a new position in every run.
template <typename T>
struct Token {
  Work<T> work;
  std::vector<std::int64_t> positions;  // 1024 of them, below 2^24
  std::vector<float> inv_freq;
  PhaseTable<float> row;  // of the first position
  std::size_t next = 0;

  explicit Token(const Scene& scene) : work(scene) {
    Noise noise(5);
    for (int step = 0; step < 1024; ++step) {
      positions.push_back(static_cast<std::int64_t>(noise.bits() >> 40));
    }
    inv_freq.assign(work.spectrum.inv_freq.begin(), work.spectrum.inv_freq.end());
    row = ropewalk::phase_table<float>(work.turns, positions[0], 1);
    work.positions = {positions[0]};
  }

  Span<const std::int64_t> step() {
    const std::size_t at = next;
    next = next + 1 == positions.size() ? 0 : next + 1;
    return {positions.data() + at, 1};
  }
};

/// turn(q, k, token), checked at the first position unless its angles are known to be off.
template <typename T, typename Turn>
Case token_case(const std::string& name, const Scene& scene, Pairing pairing, bool exact,
                Turn turn) {
  Case one = scene_case<T>(name, scene, [=] {
    Token<T> token(scene);
    const Run run = repeated([token, turn](int) mutable {
      T* const data = reinterpret_cast<T*>(token.work.in_place.first());
      turn(ropewalk::make_head_view(data, 1, kQueryHeads, kHeadDim),
           ropewalk::make_head_view(data + kQueryHeads * kHeadDim, 1, kKeyHeads, kHeadDim), token);
    });
    if (exact) check_run(token.work, run, true, pairing, name);
    return run;
  });
  one.items = 1.0;
  return one;
}

template <typename T>
Group token_group(Pairing pairing) {
  Scene scene;
  scene.heads = kQueryHeads + kKeyHeads;
  const std::string names = std::string(element_name<T>()) + ", " + pairing_name(pairing);
  Group group;
  group.name = std::string("token/") + element_name<T>() + "/" + pairing_name(pairing);
  group.title = "One token of decoding, 32 + 8 heads x 128, its row of angles included, " + names;
  group.item = "token";
  group.limits = {"touch"};
  group.cases.push_back(touch_case<T>(scene));
  group.cases.back().items = 1.0;
  group.cases.push_back(
      token_case<T>("no table", scene, pairing, true, [=](auto q, auto k, auto& token) {
        ropewalk::rotate<Native>(q, k, token.step(), token.work.turns, pairing);
      }));
  // As an engine would hand a row over that it formed once for all layers.
  group.cases.push_back(
      token_case<T>("row at hand", scene, pairing, true, [=](auto q, auto k, auto& token) {
        ropewalk::RotateOptions at;
        at.first_position = token.positions[0];
        const Span<const std::int64_t> first(token.positions.data(), 1);
        ropewalk::rotate<Native>(q, k, first, token.row, pairing, at);
      }));
  group.cases.push_back(
      token_case<T>("no table, plain C++", scene, pairing, true, [=](auto q, auto k, auto& token) {
        ropewalk::rotate<Portable>(q, k, token.step(), token.work.turns, pairing);
      }));
  group.cases.push_back(token_case<T>(
      "libm row, naive loop", scene, pairing, false, [=](auto q, auto k, auto& token) {
        libm_row(token.inv_freq, token.step()[0], token.row.cos.data(), token.row.sin.data());
        const std::int64_t zero = 0;
        const Span<const std::int64_t> first(&zero, 1);
        naive_rotate<T>(q, q, first, token.row, 0, pairing);
        naive_rotate<T>(k, k, first, token.row, 0, pairing);
      }));
  if (std::is_same_v<T, float>) {
    const std::string what = "one token of decoding, 32 + 8 heads x 128, row included, " + names;
    group.bounds = {{what, "ns", "no table", "", 140, 110},
                    // The same bounds over that machine's touch of 40 heads, 88 ns.
                    {what, "x touch", "no table", "touch", 1.59, 1.25}};
  }
  return group;
}

template <typename T>
Group shift_group(std::int64_t tokens, bool from_memory) {
  Scene scene;
  scene.tokens = tokens;
  scene.heads = kKeyHeads;
  scene.from_memory = from_memory;
  scene.first_position = -1024;  // of every token: by how much it is shifted
  scene.position_step = 0;
  Group group;
  group.name = std::string("shift/") + element_name<T>() + "/" + std::to_string(tokens);
  group.title = "Shift of cached keys by -1024, " + std::to_string(tokens) +
                " tokens x 8 heads x 128, " + element_name<T>() +
                (from_memory ? ", memory" : ", in cache");
  group.item = "head";
  if (from_memory) group.repetitions = 15;
  group.limits = {"touch"};
  group.cases.push_back(touch_case<T>(scene));
  for (const Pairing pairing : kPairings) {
    const std::string name = pairing_name(pairing);
    group.cases.push_back(
        in_place_case<T>(name, scene, pairing, [=](auto view, auto, const auto& work) {
          ropewalk::rotate_by<Native>(view, scene.first_position, work.turns, pairing);
        }));
    group.cases.push_back(in_place_case<T>(
        name + ", plain C++", scene, pairing, [=](auto view, auto, const auto& work) {
          ropewalk::rotate_by<Portable>(view, scene.first_position, work.turns, pairing);
        }));
    group.cases.push_back(in_place_case<T>(
        name + ", naive loop", scene, pairing, [=](auto view, auto positions, const auto& work) {
          naive_rotate<T>(view, view, positions, work.table, scene.first_position, pairing);
        }));
  }
  return group;
}

template <typename T>
void add_element(std::vector<Group>& groups) {
  for (const Pairing pairing : kPairings) groups.push_back(token_group<T>(pairing));
  groups.push_back(shift_group<T>(64, false));
  groups.push_back(shift_group<T>(8192, true));
}

}  // namespace

void add_decode(std::vector<Group>& groups) {
  add_element<float>(groups);
  add_element<ropewalk::float16>(groups);
  add_element<ropewalk::bfloat16>(groups);
}

}  // namespace ropewalk_bench

#include <ropewalk/phase.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

rw::Spectrum plain(double theta, int dim = 128) {
  rw::RopeConfig config;
  config.head_dim = dim;
  config.rotary_dim = dim;
  config.theta = theta;
  return rw::spectrum(config);
}

template <typename Real>
bool same_bits(const std::vector<Real>& a, const std::vector<Real>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Real)) == 0);
}

std::size_t at(std::int64_t row, int pairs, int pair) {
  return static_cast<std::size_t>(row * pairs + pair);
}

}  // namespace

TEST_CASE("a table does not depend on how it is cut into runs") {
  rw::Spectrum spectrum = plain(1e6, 200);  // 100 pairs: a short last group
  spectrum.attention_factor = 1.25;
  const rw::PhaseTurns turns = rw::phase_turns(spectrum);
  const int pairs = turns.pairs();
  constexpr std::int64_t first = -333;
  constexpr std::int64_t positions = 700;
  const auto whole = rw::phase_table<float>(turns, first, positions);
  Random random("runs");
  INFO(seed_text());
  for (int round = 0; round < 20; ++round) {
    std::vector<float> cos(whole.cos.size());
    std::vector<float> sin(whole.sin.size());
    for (std::int64_t row = 0; row < positions;) {
      const std::int64_t rows =
          (std::min)(positions - row, random.integer(0, random.one_in(3) ? 3 : 90));
      rw::fill_phase_rows(turns, first + row, rows, cos.data() + at(row, pairs, 0),
                          sin.data() + at(row, pairs, 0));
      row += rows;
    }
    CHECK(same_bits(cos, whole.cos));
    CHECK(same_bits(sin, whole.sin));
  }
}

TEST_CASE("runs write their own rows and nothing else, for every number of pairs") {
  for (int pairs = 1; pairs <= 70; ++pairs) {
    rw::Spectrum spectrum;
    for (int pair = 0; pair < pairs; ++pair) spectrum.inv_freq.push_back(1.0 / (pair + 1));
    const rw::PhaseTurns turns = rw::phase_turns(spectrum);
    for (const std::int64_t rows : {0, 1, 2, 13, 26, 60}) {
      const std::size_t size = at(rows, pairs, 0);
      std::vector<double> cos(size + 2, 7.0);
      std::vector<double> sin(size + 2, 7.0);
      rw::fill_phase_rows(turns, 11, rows, cos.data() + 1, sin.data() + 1);
      bool right =
          cos.front() == 7.0 && cos.back() == 7.0 && sin.front() == 7.0 && sin.back() == 7.0;
      for (std::int64_t row = 0; row < rows; ++row) {
        for (int pair = 0; pair < pairs; ++pair) {
          const rw::SinCos<double> exact =
              rw::sincos_double(rw::phase_words(turns, 11 + row, pair));
          // One value good to 4e-16 and one to 2e-16.
          right = right && std::fabs(cos[1 + at(row, pairs, pair)] - exact.cos) <= 6e-16;
          right = right && std::fabs(sin[1 + at(row, pairs, pair)] - exact.sin) <= 6e-16;
        }
      }
      INFO("pairs " << pairs << ", rows " << rows);
      CHECK(right);
    }
  }
}

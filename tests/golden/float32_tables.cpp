// The float32-compatible table against the rotary modules of transformers.
#include <ropewalk/phase.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace rw = ropewalk;

namespace {

nlohmann::json read_tables() {
  const std::string path = std::string(ROPEWALK_TEST_DATA) + "/float32_tables.json";
  std::ifstream file(path);
  INFO(path);
  REQUIRE(file.good());
  return nlohmann::json::parse(file);
}

std::vector<float> floats(const nlohmann::json& words) {
  std::vector<float> values;
  for (const std::int64_t word : words) {
    const auto bits = static_cast<std::uint32_t>(word);
    float value = 0.0f;
    std::memcpy(&value, &bits, sizeof value);
    values.push_back(value);
  }
  return values;
}

/// How many floats lie between two of like sign; zeros of both signs are one.
std::int64_t steps_between(float a, float b) {
  const auto order = [](float value) {
    std::int32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits >= 0 ? std::int64_t{bits} : -(std::int64_t{bits} & 0x7fffffff);
  };
  return std::abs(order(a) - order(b));
}

}  // namespace

TEST_CASE("the float32 table has the angles of transformers, cosines and sines within 1 ULP") {
  const nlohmann::json tables = read_tables();
  REQUIRE(tables.at("records").size() >= 3);
  for (const nlohmann::json& record : tables.at("records")) {
    const auto name = record.at("name").get<std::string>();
    const auto positions = record.at("positions").get<std::vector<std::int64_t>>();
    const std::vector<float> inv_freq = floats(record.at("inv_freq"));
    const std::vector<float> angle = floats(record.at("angle"));
    const std::vector<float> cos = floats(record.at("cos"));
    const std::vector<float> sin = floats(record.at("sin"));
    const auto factor = record.at("attention_factor").get<double>();
    REQUIRE(positions.back() == 131072);
    REQUIRE(angle.size() == positions.size() * inv_freq.size());
    REQUIRE(cos.size() == angle.size());
    REQUIRE(sin.size() == angle.size());
    int different_angles = 0;
    std::int64_t largest = 0;
    int unequal = 0;
    std::size_t entry = 0;
    for (const std::int64_t position : positions) {
      const auto row =
          rw::phase_table_float32(rw::Span<const float>(inv_freq), factor, position, 1);
      for (std::size_t pair = 0; pair < inv_freq.size(); ++pair, ++entry) {
        different_angles += rw::angle_float32(position, inv_freq[pair]) != angle[entry];
        const std::int64_t steps = (std::max)(steps_between(row.cos[pair], cos[entry]),
                                              steps_between(row.sin[pair], sin[entry]));
        largest = (std::max)(largest, steps);
        unequal += steps != 0;
      }
    }
    std::printf("float32 table of %s: %zu entries, %d unequal, by at most %lld ULP\n", name.c_str(),
                entry, unequal, static_cast<long long>(largest));
    INFO(name);
    CHECK(different_angles == 0);
    CHECK(largest <= 1);
    // Most are equal; what is not is a cosine that torch rounds to the other of two floats.
    CHECK(unequal <= static_cast<int>(entry) / 5);
  }
}

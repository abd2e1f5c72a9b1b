// What numpy draws for passkey retrieval.
#include <ropewalk/analysis/passkey.hpp>

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <vector>

namespace rw = ropewalk;

TEST_CASE("positions and keys of every case are numpy's") {
  const auto golden =
      nlohmann::json::parse(std::ifstream(ROPEWALK_TEST_DATA "/passkey_draws.json"));
  std::size_t compared = 0;
  for (const auto& record : golden.at("cases")) {
    rw::PasskeyGrid grid;
    grid.maximum_length = record.at("maximum_length").get<std::int64_t>();
    grid.seed = record.at("seed").get<std::uint32_t>();
    const std::vector<rw::PasskeyCase> cases = grid.cases();
    REQUIRE(cases.size() == 10 * record.at("cells").size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto& cell = record.at("cells").at(i / 10);
      CHECK(cases[i].length == cell.at(0).get<std::int64_t>());
      CHECK(cases[i].depth == cell.at(1).get<std::size_t>());
      CHECK(cases[i].position == cell.at(2).at(i % 10).get<std::int64_t>());
      CHECK(cases[i].key == cell.at(3).at(i % 10).get<std::int64_t>());
      ++compared;
    }
  }
  CHECK(compared == 3200);
}

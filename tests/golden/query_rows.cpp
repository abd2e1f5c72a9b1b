// The rows that a fold scales against those that each model's own code takes for its queries. How the
// records were made is in README.md beside them.
#include <ropewalk/interop/fold_head_scales.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace rw = ropewalk;
using Json = nlohmann::json;

TEST_CASE("a fold scales the rows that the model's own code takes for each head's queries") {
  std::ifstream file(ROPEWALK_TEST_DATA "/query_rows.json");
  REQUIRE(file);
  const Json records = Json::parse(file);
  CHECK(records.size() == 22);
  for (const Json& record : records) {
    INFO(record["config"]);
    const auto model = rw::read_fold_model(record["config"].dump());
    if (!model) FAIL(rw::message(model.fault()));
    const auto shape = record["shape"].get<std::vector<std::int64_t>>();
    const auto rows = record["rows"].get<std::vector<std::vector<std::size_t>>>();

    // Only the header is needed.
    rw::SafetensorsHeader header;
    const std::string name = record["tensor"].get<std::string>();
    header.tensors.push_back({name + ".weight", rw::Dtype::f32, shape, 0, 0});
    rw::LayerHeadScales scales{0, {}};
    for (std::size_t head = 0; head < rows.size(); ++head)
      scales.head_scale.push_back(2.0 + static_cast<double>(head));
    const auto plan = rw::plan_fold({&header, 1}, model.value(), {&scales, 1});
    if (!plan) FAIL(rw::message(plan.fault()));
    REQUIRE(plan.value().tensors.size() == 1);
    const rw::FoldedTensor& fold = plan.value().tensors.front();
    const std::size_t outputs = fold.factor.size();
    CHECK(outputs == static_cast<std::size_t>(shape[fold.transposed ? 1 : 0]));
    std::vector<double> expected(outputs, 1.0);
    for (std::size_t head = 0; head < rows.size(); ++head) {
      for (const std::size_t row : rows[head]) expected[row] = scales.head_scale[head];
    }
    CHECK(fold.factor == expected);
    const bool conv =
        record["config"]["model_type"] == "gpt2" || record["config"]["model_type"] == "openai-gpt";
    CHECK(fold.transposed == conv);
  }
}

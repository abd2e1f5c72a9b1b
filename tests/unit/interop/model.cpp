#include <ropewalk/interop/model.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <string>

namespace rw = ropewalk;

namespace {

/// The same law, folded by the compiler or not: under -ffast-math two units in the last place apart.
bool same(double a, double b) { return std::fabs(a - b) <= 4.5e-16 * std::fabs(b); }

}  // namespace

TEST_CASE("a result holds a value or a fault, never both") {
  const rw::Result<int> value(3);
  REQUIRE(value.ok());
  CHECK(static_cast<bool>(value));
  CHECK(value.value() == 3);
  const rw::Result<int> fault(rw::ReadFault{"rope_theta", "\"big\"", "must be a number"});
  REQUIRE_FALSE(fault.ok());
  CHECK(message(fault.fault()) == "rope_theta = \"big\": must be a number");
}

TEST_CASE("the message of a fault without a key speaks of the file") {
  CHECK(message(rw::ReadFault{"", "", "ends at byte 3"}) == "the file: ends at byte 3");
}

TEST_CASE("a position scale without a law is 1 everywhere") {
  const rw::PositionScale scale;
  CHECK(scale.at(0) == 1.0);
  CHECK(scale.at(1000000) == 1.0);
}

TEST_CASE("each law of position scale is the one of its name") {
  using Law = rw::PositionScale::Law;
  const rw::PositionScale llama{Law::llama4, 0.1, 8192};
  CHECK(llama.at(8190) == 1.0);
  CHECK(same(llama.at(8191), rw::llama4_position_scale(8191, 8192, 0.1)));
  CHECK(llama.at(8191) > 1.0);
  const rw::PositionScale ministral{Law::ministral, 0.1, 8192};
  CHECK(ministral.at(8191) == 1.0);
  CHECK(same(ministral.at(8192), rw::ministral_position_scale(8192, 8192, 0.1)));
  CHECK(ministral.at(8192) > 1.0);
  const rw::PositionScale log_n{Law::log_n, 0.0, 2048};
  CHECK(log_n.at(2047) == 1.0);
  CHECK(same(log_n.at(4095), rw::qwen_position_scale(4095, 2048)));
  CHECK(log_n.at(4095) > 1.0);
}

TEST_CASE("a variant is found by its layer type, or by a layer that uses it") {
  rw::ModelConfig model;
  model.variants.resize(2);
  model.variants[1].layer_type = "nope";
  model.layer_views.resize(3);
  model.layer_views[0].layer_type = "full_attention";
  model.layer_views[1].layer_type = "full_attention";
  model.layer_views[1].variant = 1;
  model.layer_views[2].layer_type = "linear_attention";
  model.layer_views[2].mask = rw::MaskKind::none;
  CHECK(rw::find_variant(model, "") == &model.variants[0]);
  CHECK(rw::find_variant(model, "nope") == &model.variants[1]);
  CHECK(rw::find_variant(model, "full_attention") == &model.variants[0]);
  CHECK(rw::find_variant(model, "linear_attention") == nullptr);
  CHECK(rw::find_variant(model, "cross_attention") == nullptr);
}

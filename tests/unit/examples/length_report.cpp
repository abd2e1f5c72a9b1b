// The programs are tested where they are built.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <ropewalk/interop/hugging_face.hpp>
#include <ropewalk/theta.hpp>
#include <support/length_report.hpp>
#include <support/models.hpp>

#include <algorithm>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace rw = ropewalk;

namespace {

rw::ModelConfig model_of(std::string_view json) {
  const rw::Result<rw::ModelConfig> read = rw::read_hugging_face_config(json);
  INFO(json);
  REQUIRE(read.ok());
  return read.value();
}

constexpr std::string_view kLlama3 = R"({"model_type": "llama", "hidden_size": 4096,
  "num_attention_heads": 32, "num_hidden_layers": 2, "max_position_embeddings": 8192,
  "rope_theta": 500000.0})";

const Candidate& candidate(const LengthReport& report, std::string_view method) {
  const auto at = std::find_if(report.candidates.begin(), report.candidates.end(),
                               [&](const Candidate& entry) { return entry.method == method; });
  REQUIRE(at != report.candidates.end());
  return *at;
}

LengthReport report_of(std::string_view json, std::int64_t target,
                       std::optional<std::int64_t> trained = std::nullopt) {
  return report_length(model_of(json), target, trained);
}

}  // namespace

TEST_CASE("Llama-3-8B reaches Gradient's lengths with Liu's law and keeps 70 dimensions") {
  const struct {
    std::int64_t target;
    double theta;
  } rows[] = {{262144, 283461213.47555687962},
              {1048576, 3580165449.1130344973},
              {4194304, 45218125209.670028039}};
  for (const auto& row : rows) {
    const LengthReport report = report_of(kLlama3, row.target);
    CHECK(report.critical_dimension() == 70);
    CHECK(report.critical_pair == 35);
    const Candidate& liu = candidate(report, "liu");
    // The law's own bound, 2 ULP.
    CHECK(liu.config.theta == Approx(row.theta).epsilon(2 * 2.3e-16));
    CHECK(liu.over_range_pairs == 0);
    CHECK(liu.critical_dimension == 70);
    CHECK(liu.needs_training);
    CHECK(report.recommended == "liu");
  }
}

TEST_CASE("the table reproduces counts of pairs that leave their trained arc") {
  const LengthReport report = report_of(kLlama3, 262144);
  CHECK(candidate(report, "strict").config.theta == Approx(282646915.5).epsilon(1e-9));
  CHECK(candidate(report, "strict").over_range_pairs == 0);
  CHECK(candidate(report, "ntk_aware").config.theta == Approx(16904847.299122).epsilon(1e-13));
  CHECK(candidate(report, "ntk_aware").over_range_pairs == 28);
  CHECK(candidate(report, "yarn").over_range_pairs == 0);
  CHECK(candidate(report, "yarn").fast_resolution == 1.0);
  // Printed with ten digits.
  CHECK(candidate(report, "yarn").attention_factor == Approx(1.3465735903).epsilon(5e-11));
  CHECK(candidate(report, "llama3").over_range_pairs == 0);
  // Exactly 1/32 each; the mean goes through a logarithm and back.
  CHECK(candidate(report, "linear").fast_resolution == Approx(1.0 / 32.0).epsilon(1e-14));
  // KoboldCpp writes 2 pi as 6.28318, which moves the base by less than 1e-6.
  CHECK(candidate(report, "koboldcpp").config.theta == Approx(283461213.4756).epsilon(1e-6));
  CHECK(candidate(report, "koboldcpp").config.theta != candidate(report, "liu").config.theta);
}

TEST_CASE("every method is listed once, in the same order, whatever applies") {
  constexpr std::string_view order[] = {"liu",    "strict", "ntk_aware", "dynamic_ntk", "yarn",
                                        "llama3", "linear", "koboldcpp", "tabbyapi"};
  for (std::size_t index = 0; index < shipped_model_count(); ++index) {
    for (const std::int64_t target : {1, 300000, 20000000}) {
      const LengthReport report = report_of(shipped_models()[index].json, target);
      INFO(shipped_models()[index].name << " to " << target);
      REQUIRE(report.candidates.size() == std::size(order));
      for (std::size_t method = 0; method < std::size(order); ++method) {
        CHECK(report.candidates[method].method == order[method]);
        CHECK(report.candidates[method].factor >= 1.0);
      }
      const Candidate* chosen = report.recommended_candidate();
      CHECK((chosen != nullptr) == (report.recommended != "none"));
      if (chosen != nullptr) {
        CHECK(chosen->over_range_pairs == 0);
        CHECK_FALSE(report.reason.empty());
      }
    }
  }
}

TEST_CASE("up to factor 4 YaRN is recommended, because it needs no training") {
  const LengthReport report = report_of(kLlama3, 32768);
  CHECK(report.recommended == "yarn");
  CHECK_FALSE(candidate(report, "yarn").needs_training);
  CHECK(report_of(kLlama3, 32769).recommended == "liu");
}

TEST_CASE("a length within the claimed one needs nothing") {
  const LengthReport report = report_of(kLlama3, 8192);
  CHECK(report.recommended == "none");
  CHECK(report.no_schedule.empty());
  CHECK_FALSE(report.change_length);
  CHECK(report.reason.find("8192") != std::string::npos);
  CHECK(report_of(kLlama3, 8193).recommended == "yarn");
}

TEST_CASE("a scaled model starts from its original length and goes on with its own method") {
  constexpr std::string_view json = R"({"model_type": "llama", "hidden_size": 4096,
    "num_attention_heads": 32, "num_hidden_layers": 2, "max_position_embeddings": 131072,
    "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})";
  const LengthReport within = report_of(json, 131072);
  CHECK(within.recommended == "none");
  CHECK(within.claimed_length == 131072);
  CHECK(within.original_length == 8192);
  const LengthReport beyond = report_of(json, 262144);
  CHECK(beyond.plain.original_length == 8192);
  CHECK(beyond.plain.theta == 500000.0);
  CHECK(beyond.recommended == "llama3");
  CHECK(std::get<rw::Llama3>(beyond.schedule().scaling).factor == 32.0);
  CHECK_FALSE(candidate(beyond, "koboldcpp").applies());
  CHECK_FALSE(candidate(beyond, "tabbyapi").applies());
  // The same base as the plain model's: the new schedule replaces the old one.
  CHECK(candidate(beyond, "liu").config.theta ==
        candidate(report_of(kLlama3, 262144), "liu").config.theta);
}

TEST_CASE("--trained-length replaces both lengths of the file") {
  const LengthReport report = report_of(kLlama3, 8192, 4096);
  CHECK(report.plain.original_length == 4096);
  CHECK(report.original_length == 8192);
  CHECK(report.recommended == "yarn");
  CHECK(candidate(report, "yarn").factor == 2.0);
  CHECK(report_of(kLlama3, 8193, 100000).recommended == "none");
}

TEST_CASE("a YaRN model keeps the shape of its ramp") {
  const LengthReport report = report_of(R"({"model_type": "gpt_oss", "head_dim": 64,
    "hidden_size": 2880, "num_attention_heads": 64, "num_hidden_layers": 2,
    "max_position_embeddings": 131072, "rope_theta": 150000, "rope_scaling": {"rope_type": "yarn",
    "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
    "original_max_position_embeddings": 4096}})",
                                        262144);
  CHECK(report.recommended == "yarn");
  const auto yarn = std::get<rw::Yarn>(report.schedule().scaling);
  CHECK(yarn.factor == 64.0);
  CHECK_FALSE(yarn.truncate);
}

TEST_CASE("an attention factor that only spells out the formula does not outlive its length") {
  const auto with = [](const char* attention_factor) {
    return report_of(std::string(R"({"model_type": "llama", "hidden_size": 4096,
      "num_attention_heads": 32, "num_hidden_layers": 2, "max_position_embeddings": 65536,
      "rope_theta": 500000.0, "rope_scaling": {"rope_type": "yarn", "factor": 8.0,
      "original_max_position_embeddings": 8192, "attention_factor": )") +
                         attention_factor + "}}",
                     131072);
  };
  // m(8) = 1.2079 in four digits; at the new length the formula gives m(16).
  CHECK(candidate(with("1.2079"), "yarn").attention_factor == rw::yarn_attention_factor(16.0));
  CHECK(candidate(with("1.0"), "yarn").attention_factor == 1.0);
}

TEST_CASE("a model without rotation has no schedule beyond its length") {
  rw::ModelConfig model = model_of(kLlama3);
  model.layer_views.clear();
  rw::RopeVariant& rope = model.variants.front();
  rope.rotated = false;
  rope.rope_type = "nope";
  rope.scaling = rw::Nope{};
  CHECK(report_length(model, 8192, std::nullopt).no_schedule.empty());
  const LengthReport report = report_length(model, 16384, std::nullopt);
  CHECK_FALSE(report.no_schedule.empty());
  REQUIRE(report.candidates.size() == 9);
  for (const Candidate& entry : report.candidates) CHECK_FALSE(entry.applies());
}

TEST_CASE("layers that rotate within a window only need no schedule") {
  rw::ModelConfig model = model_of(kLlama3);
  REQUIRE(model.layer_views.size() == 2);
  model.layer_views[0].mask = rw::MaskKind::sliding;
  model.layer_views[0].window = 4096;
  model.layer_views[1].rotated = false;
  const LengthReport report = report_length(model, 65536, std::nullopt);
  CHECK(report.recommended == "none");
  CHECK(report.change_length);
  CHECK(report.schedule().as_in_file);
  // A window longer than the trained length does not help.
  model.layer_views[0].window = 16384;
  CHECK(report_length(model, 65536, std::nullopt).recommended == "liu");
}

TEST_CASE("a base whose pairs all turned needs nothing but the length") {
  constexpr std::string_view json = R"({"model_type": "llama", "hidden_size": 4096,
    "num_attention_heads": 32, "num_hidden_layers": 2, "max_position_embeddings": 8192,
    "rope_theta": 500.0})";
  const LengthReport report = report_of(json, 65536);
  CHECK(report.critical_dimension() == 128);
  CHECK(report.recommended == "none");
  CHECK(report.change_length);
}

TEST_CASE("trained lengths too short or unknown have no schedule") {
  CHECK_FALSE(report_of(kLlama3, 100, 6).no_schedule.empty());
  CHECK(report_of(kLlama3, 100, 7).no_schedule.empty());
  CHECK(report_of(kLlama3, 100, 7).diagnosed);
  rw::ModelConfig model = model_of(kLlama3);
  model.claimed_length = 0;
  model.original_length = 0;
  model.variants.front().config.original_length = 0;
  const LengthReport report = report_length(model, 100, std::nullopt);
  CHECK(report.no_schedule.find("--trained-length") != std::string::npos);
  CHECK(report_length(model, 16384, 8192).recommended == "yarn");
}

TEST_CASE("a base that float32 does not hold is no candidate and never recommended") {
  const LengthReport report = report_of(kLlama3, 100, 7);
  for (const char* method : {"liu", "strict"}) {
    CHECK_FALSE(candidate(report, method).applies());
    CHECK(candidate(report, method).reason.find("float32") != std::string::npos);
  }
  CHECK(report.recommended == "yarn");
  rw::ModelConfig model = model_of(kLlama3);
  model.variants.front().config.theta = 3.5e38;
  const LengthReport beyond = report_length(model, 16384, std::nullopt);
  CHECK_FALSE(beyond.no_schedule.empty());
  for (const Candidate& entry : beyond.candidates) CHECK_FALSE(entry.applies());
}

TEST_CASE("reasons name fields and values, not functions") {
  const LengthReport report = report_of(R"({"model_type": "llama", "head_dim": 2,
    "hidden_size": 8, "num_attention_heads": 4, "max_position_embeddings": 8192,
    "rope_theta": 10000.0})",
                                        65536);
  CHECK(candidate(report, "ntk_aware").reason ==
        "rotary_dim = 2 is below the smallest value allowed");
  CHECK(candidate(report, "dynamic_ntk").reason == candidate(report, "ntk_aware").reason);
  CHECK(candidate(report, "tabbyapi").reason == candidate(report, "ntk_aware").reason);
}

TEST_CASE("methods that do not apply keep their titles") {
  const LengthReport applies = report_of(kLlama3, 16384);
  const LengthReport refused = report_of(kLlama3, 100, 6);
  REQUIRE(applies.candidates.size() == refused.candidates.size());
  for (std::size_t index = 0; index < applies.candidates.size(); ++index)
    CHECK(applies.candidates[index].title == refused.candidates[index].title);
}

TEST_CASE("a method without a value says why and carries none") {
  const LengthReport report = report_of(R"({"model_type": "qwen2", "hidden_size": 3584,
    "num_attention_heads": 28, "max_position_embeddings": 32768, "rope_theta": 1000000.0})",
                                        65536);
  const Candidate& kobold = candidate(report, "koboldcpp");
  CHECK_FALSE(kobold.applies());
  CHECK(kobold.reason.find("500000") != std::string::npos);
}
#endif

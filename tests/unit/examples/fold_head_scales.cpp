// The program from outside: exit codes, what it prints, what it writes.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <ropewalk/interop/head_scales.hpp>
#include <ropewalk/interop/safetensors.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

namespace rw = ropewalk;
using ropewalk_test::contents;
using ropewalk_test::folder;
using ropewalk_test::Outcome;
using Bytes = std::vector<unsigned char>;

namespace {

constexpr const char* kQuery = "model.layers.1.self_attn.q_proj.weight";

Outcome run(const std::string& arguments) {
  return ropewalk_test::run_program("fold_head_scales " + arguments);
}

void check_failure(const std::string& arguments, int exit_code, const std::string& message) {
  ropewalk_test::check_program_failure("fold_head_scales " + arguments, exit_code, message);
}

/// A checkpoint of two layers, 2 heads of 2 rows, 3 columns; and what else the test adds.
std::string checkpoint(const std::string& name, const std::string& extra = "") {
  std::vector<float> values(12);
  for (std::size_t index = 0; index < values.size(); ++index)
    values[index] = 1.0f + static_cast<float>(index);
  const Bytes weights = rw::float_bytes(values, rw::Dtype::bf16);
  std::vector<rw::TensorData> tensors{
      {"model.layers.0.self_attn.q_proj.weight", rw::Dtype::bf16, {4, 3}, weights},
      {kQuery, rw::Dtype::bf16, {4, 3}, weights},
      {"model.layers.1.self_attn.k_proj.weight", rw::Dtype::bf16, {4, 3}, weights}};
  if (!extra.empty()) tensors.push_back({extra, rw::Dtype::bf16, {4, 3}, weights});
  const std::string path = folder().file(name);
  REQUIRE(rw::save_safetensors(path, tensors));
  return path;
}

std::string scales(const std::string& name, std::vector<double> head_scale) {
  rw::HeadScales scales;
  scales.model = "tiny";
  scales.layers = static_cast<std::int64_t>(head_scale.size() / 2);
  scales.heads = 2;
  scales.trained_length = 64;
  scales.target_length = 256;
  scales.head_scale = std::move(head_scale);
  return folder().write(name, rw::write_head_scales(scales));
}

}  // namespace

TEST_CASE("fold_head_scales writes scaled queries and says what it did") {
  const std::string from = checkpoint("tiny.safetensors");
  const std::string to = folder().file("folded.safetensors");
  std::filesystem::remove(to);
  const std::string call =
      "--checkpoint " + from + " --scales " + scales("s.json", {1.0, 1.0, 1.5, 2.0});
  const Outcome dry = run(call + " --dry-run");
  INFO(dry.out << dry.err);
  CHECK(dry.exit_code == 0);
  CHECK_THAT(dry.out, contains("scales of tiny, from 64 to 256 tokens: 1 of 2 layers, 2 heads"));
  CHECK_THAT(dry.out, contains(std::string(kQuery) + "  BF16  1.5 .. 2"));
  CHECK_FALSE(std::filesystem::exists(to));

  const Outcome outcome = run(call + " --output " + to);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK_THAT(outcome.out, contains("bytes in 1 file"));
  CHECK_THAT(outcome.out, contains("warning: without a config"));
  const rw::Safetensors before = rw::load_safetensors(from).value();
  const rw::Safetensors after = rw::load_safetensors(to).value();
  for (const rw::TensorEntry& tensor : before.header.tensors) {
    const std::vector<float> was = before.floats(tensor.name).value();
    const std::vector<float> is = after.floats(tensor.name).value();
    for (std::size_t index = 0; index < is.size(); ++index) {
      const float scale = tensor.name != kQuery ? 1.0f : index < 6 ? 1.5f : 2.0f;
      CHECK(is[index] == was[index] * scale);  // whole and half numbers below 32 fit bfloat16
    }
  }
  const std::string folded = contents(to);
  check_failure(call + " --output " + to, 2, "is there already");
  CHECK(contents(to) == folded);
  CHECK(run(call + " --output " + to + " --overwrite").exit_code == 0);
  CHECK(contents(to) == folded);
}

TEST_CASE("the config beside the checkpoint is read unless another is given") {
  const std::string from = checkpoint("beside.safetensors");
  const std::string call =
      "--dry-run --checkpoint " + from + " --scales " + scales("s.json", {1.0, 1.0, 1.5, 2.0});
  const std::string beside =
      folder().write("config.json", R"({"model_type":"llama","num_attention_heads":3})");
  check_failure(call, 3, "2 heads: differs from the 3 of the model");
  const std::string sound =
      folder().write("sound.json", R"({"model_type":"llama","num_attention_heads":2})");
  const Outcome outcome = run(call + " --config " + sound);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("warning") == std::string::npos);
  const std::string broken = folder().write("broken.json", "{");
  check_failure(call + " --config " + broken, 2, "broken.json");
  check_failure(call + " --config " + folder().file("missing.json"), 2, "missing.json");
  std::filesystem::remove(beside);
}

TEST_CASE("a model that cannot take the scales exits 3 with the reason") {
  const std::string with_norm =
      checkpoint("norm.safetensors", "model.layers.1.self_attn.q_norm.weight");
  const std::string to = " --output " + folder().file("never.safetensors");
  check_failure("--checkpoint " + with_norm + " --scales " + scales("s.json", {1, 1, 1.5, 2}) + to,
                3, "q_norm.weight: is a norm after the query projection");
  // The first layer has none.
  CHECK(run("--checkpoint " + with_norm + " --scales " + scales("s.json", {1.5, 2, 1, 1}) +
            " --dry-run")
            .exit_code == 0);
  const std::string from = checkpoint("tiny.safetensors");
  check_failure("--checkpoint " + from + " --scales " + scales("s.json", {1, 1, 1, 1}) + to, 3,
                "every scale is 1");
  check_failure("--checkpoint " + from + " --scales " + scales("s.json", {1, 1, 1, 1, 2, 2}) + to,
                3, "layer 2: has no query projection");
  const std::string fused = checkpoint("fused.safetensors", "model.layers.7.attn.qkv_proj.weight");
  std::vector<double> eight(16, 1.0);
  eight[14] = 2.0;
  const std::string of_fused =
      "--dry-run --checkpoint " + fused + " --scales " + scales("s.json", eight);
  check_failure(of_fused, 3, "it is not known");
  check_failure(of_fused + " --layout concatenated", 3, "must have 6 heads");
  check_failure(of_fused + " --prefix other.", 3, "has no query projection");
  CHECK_FALSE(std::filesystem::exists(folder().file("never.safetensors")));
}

TEST_CASE("files that are not what they should be exit 2, wrong usage 1") {
  const std::string from = checkpoint("tiny.safetensors");
  const std::string good = scales("s.json", {1.0, 1.0, 1.5, 2.0});
  const std::string to = " --output " + folder().file("never.safetensors");
  const std::string cut = folder().write("cut.safetensors", contents(from).substr(0, 200));
  const std::string text = folder().write("text.json", "scales");
  check_failure("--checkpoint " + cut + " --scales " + good + to, 2, "cut.safetensors");
  check_failure("--checkpoint " + from + " --scales " + text + to, 2, "text.json");
  check_failure("--checkpoint " + folder().file("none") + " --scales " + good + to, 2, "none");
  check_failure("--checkpoint " + from + " --scales " + good + " --output " +
                    folder().file("no/folder.safetensors"),
                2, "folder.safetensors");
  check_failure("--checkpoint " + from + " --scales " + good, 1, "--output");
  check_failure("--checkpoint " + from + " --scales " + good + to + " --dry-run", 1, "exactly one");
  check_failure("--checkpoint " + from + to, 1, "--scales");
  check_failure("--scales " + good + to, 1, "--checkpoint");
  check_failure("--checkpoint " + from + " --scales " + good + to + " --layout x", 1, "--layout");
  check_failure("--checkpoint a --scales b --frobnicate", 1, "frobnicate");
  CHECK(run("--help").exit_code == 0);
  CHECK(run("--version").exit_code == 0);
}
#endif

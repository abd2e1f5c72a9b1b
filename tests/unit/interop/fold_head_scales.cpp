#include <ropewalk/interop/fold_head_scales.hpp>
#include <ropewalk/rotate.hpp>
#include <ropewalk/spectrum.hpp>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace rw = ropewalk;
using ropewalk_test::Random;
using Bytes = std::vector<unsigned char>;
using Scales = std::vector<rw::LayerHeadScales>;

namespace {

/// A folder that is gone at the end of a test.
class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("ropewalk_fold_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_ / "out");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return *this / name;
  }
  std::size_t files(const std::string& name) const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path_ / name))
      count += entry.is_regular_file() ? 1u : 0u;
    return count;
  }

 private:
  std::filesystem::path path_;
};

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Tensors of floats with contents of their own, kept alive together.
struct Model {
  struct Tensor {
    std::string name;
    rw::Dtype dtype;
    std::vector<std::int64_t> shape;
    Bytes bytes;
  };
  std::vector<Tensor> tensors;

  void add(const std::string& name, std::vector<std::int64_t> shape,
           rw::Dtype dtype = rw::Dtype::f32) {
    Random random("fold " + name);
    std::size_t elements = 1;
    for (const std::int64_t size : shape) elements *= static_cast<std::size_t>(size);
    std::vector<float> values(elements);
    for (float& value : values) value = static_cast<float>(random.uniform(-2.0, 2.0));
    Bytes bytes(elements * static_cast<std::size_t>(rw::dtype_bits(dtype)) / 8);
    if (rw::detail::holds_floats(dtype)) bytes = rw::float_bytes(values, dtype);
    tensors.push_back({name, dtype, std::move(shape), std::move(bytes)});
  }

  void save(const std::string& path) const {
    std::vector<rw::TensorData> views;
    for (const Tensor& tensor : tensors)
      views.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    REQUIRE(rw::save_safetensors(path, views));
  }
};

/// Of a model of one file: open, plan, write; the message of the first fault, or "".
std::string fold_file(const std::string& from, const std::string& to, const rw::FoldModel& model,
                      const Scales& scales, const std::string& prefix = "") {
  const auto checkpoint = rw::open_checkpoint(from);
  if (!checkpoint) return rw::message(checkpoint.fault());
  const auto plan = rw::plan_fold(checkpoint.value().headers, model, scales, prefix);
  if (!plan) return rw::message(plan.fault());
  const auto report = rw::write_folded(checkpoint.value(), plan.value(), to);
  return report ? "" : rw::message(report.fault());
}

rw::FoldModel model_of(const std::string& config) {
  const auto model = rw::read_fold_model(config);
  INFO(config);
  if (!model) FAIL(rw::message(model.fault()));
  return model.value();
}

/// The scales of layers 0 .. layers-1: different for every head.
Scales some_scales(int layers, int heads) {
  Scales scales;
  for (int layer = 0; layer < layers; ++layer) {
    scales.push_back({layer, {}});
    for (int head = 0; head < heads; ++head)
      scales.back().head_scale.push_back(1.0 + 0.3 * (layer + 1) + 0.017 * head);
  }
  return scales;
}

constexpr int kHidden = 12;

/// A projection of three dimensions as the layout's own code sees it: (outer, block, head_dim), with
/// the head whose query a block is, or -1.
struct Blocks {
  std::string model;   // config
  std::string tensor;  // its name, without .weight
  std::vector<int> head_of_block;
  bool transposed = false;
};

std::vector<Blocks> layouts() {
  return {
      {R"({"model_type":"llama","num_attention_heads":4,"num_key_value_heads":2})",
       "model.layers.0.self_attn.q_proj",
       {0, 1, 2, 3}},
      {R"({"model_type":"deepseek_v3","num_attention_heads":2,"qk_rope_head_dim":1,"head_dim":1})",
       "model.layers.0.self_attn.q_b_proj",
       {0, 1}},
      {"{}", "layers.0.attention.wq", {0, 1, 2}},
      {R"({"model_type":"phi3","num_attention_heads":4,"num_key_value_heads":2,"head_dim":3})",
       "model.layers.0.self_attn.qkv_proj",
       {0, 1, 2, 3, -1, -1, -1, -1}},
      {R"({"model_type":"gpt_neox","num_attention_heads":3})",
       "gpt_neox.layers.0.attention.query_key_value",
       {0, -1, -1, 1, -1, -1, 2, -1, -1}},
      {R"({"model_type":"bloom","n_head":2})",
       "h.0.self_attention.query_key_value",
       {0, -1, -1, 1, -1, -1}},
      {R"({"model_type":"falcon","num_attention_heads":6,"num_kv_heads":2,
          "new_decoder_architecture":true})",
       "transformer.h.0.self_attention.query_key_value",
       {0, 1, 2, -1, -1, 3, 4, 5, -1, -1}},
      {R"({"model_type":"falcon","num_attention_heads":3,"multi_query":true})",
       "transformer.h.0.self_attention.query_key_value",
       {0, 1, 2, -1, -1}},
      {R"({"model_type":"falcon","num_attention_heads":2,"multi_query":false})",
       "transformer.h.0.self_attention.query_key_value",
       {0, -1, -1, 1, -1, -1}},
      {R"({"model_type":"gpt2","n_head":3})",
       "h.0.attn.c_attn",
       {0, 1, 2, -1, -1, -1, -1, -1, -1},
       true},
      {R"({"model_type":"qwen","num_attention_heads":2})",
       "transformer.h.0.attn.c_attn",
       {0, 1, -1, -1, -1, -1}},
      {R"({"model_type":"gpt_bigcode","n_head":4,"multi_query":true})",
       "transformer.h.0.attn.c_attn",
       {0, 1, 2, 3, -1, -1}},
      {R"({"model_type":"gpt_bigcode","n_head":2,"multi_query":false})",
       "transformer.h.0.attn.c_attn",
       {0, -1, -1, 1, -1, -1}},
      {R"({"model_type":"codegen","n_head":8})",
       "transformer.h.0.attn.qkv_proj",
       {0, 1, -1, -1, -1, -1, 2, 3, -1, -1, -1, -1, 4, 5, -1, -1, -1, -1, 6, 7, -1, -1, -1, -1}},
      {R"({"model_type":"mpt","n_heads":2})",
       "transformer.blocks.0.attn.Wqkv",
       {0, 1, -1, -1, -1, -1}},
      {R"({"model_type":"internlm2","num_attention_heads":4,"num_key_value_heads":2})",
       "model.layers.0.attention.wqkv",
       {0, 1, -1, -1, 2, 3, -1, -1}},
  };
}

}  // namespace

TEST_CASE("every layout scales the rows of its queries, weight and bias, and nothing else") {
  const Folder folder;
  constexpr std::int64_t head_dim = 3;
  for (const Blocks& blocks : layouts()) {
    INFO(blocks.model << " " << blocks.tensor);
    const auto rows = static_cast<std::int64_t>(blocks.head_of_block.size()) * head_dim;
    const int heads =
        1 + *std::max_element(blocks.head_of_block.begin(), blocks.head_of_block.end());
    const std::int64_t hidden = blocks.transposed ? heads * head_dim : kHidden;
    Model model;
    model.add("embedding.weight", {5, hidden});
    model.add(blocks.tensor + ".weight", blocks.transposed
                                             ? std::vector<std::int64_t>{hidden, rows}
                                             : std::vector<std::int64_t>{rows, hidden});
    model.add(blocks.tensor + ".bias", {rows});
    model.save(folder / "a.safetensors");
    const Scales scales = some_scales(1, heads);
    std::filesystem::remove(folder / "b.safetensors");
    REQUIRE(fold_file(folder / "a.safetensors", folder / "b.safetensors", model_of(blocks.model),
                      scales) == "");

    const rw::Safetensors before = rw::load_safetensors(folder / "a.safetensors").value();
    const rw::Safetensors after = rw::load_safetensors(folder / "b.safetensors").value();
    CHECK(after.floats("embedding.weight").value() == before.floats("embedding.weight").value());
    for (const char* leaf : {".weight", ".bias"}) {
      const std::vector<float> was = before.floats(blocks.tensor + leaf).value();
      const std::vector<float> is = after.floats(blocks.tensor + leaf).value();
      REQUIRE(is.size() == was.size());
      const bool matrix = std::string(leaf) == ".weight";
      for (std::size_t index = 0; index < is.size(); ++index) {
        const auto at = static_cast<std::int64_t>(index);
        const std::int64_t row = !matrix ? at : blocks.transposed ? at % rows : at / hidden;
        const int head = blocks.head_of_block[static_cast<std::size_t>(row / head_dim)];
        const double scale = head < 0 ? 1.0 : scales[0].head_scale[static_cast<std::size_t>(head)];
        if (head < 0) REQUIRE(is[index] == was[index]);
        // Half a unit of float; to the very bit in the test below. A scale such as 1.3 makes one
        // product in a hundred so near to a tie that double, which judges here, is in doubt.
        const double exact = static_cast<double>(was[index]) * scale;
        const double bound = std::ldexp(std::fabs(exact), -24) * (1.0 + std::ldexp(1.0, -28));
        REQUIRE(std::fabs(is[index] - exact) <= bound);
      }
    }
  }
}

TEST_CASE("a scaled weight is the nearest of its type to the exact product") {
  INFO(ropewalk_test::seed_text());
  Random random("nearest");
  for (const rw::Dtype dtype : {rw::Dtype::f32, rw::Dtype::f16, rw::Dtype::bf16}) {
    const rw::detail::FloatFormat format = rw::detail::format_of(dtype);
    for (int round = 0; round < 100000; ++round) {
      // Every octave, subnormals among them, and now and then a factor that makes ties.
      const std::uint64_t noise = random.bits();
      std::uint32_t bits = static_cast<std::uint32_t>(noise);
      if (dtype == rw::Dtype::f16) bits &= 0xffffu;
      if (dtype == rw::Dtype::bf16) bits &= 0xffffu;
      Bytes bytes(static_cast<std::size_t>(rw::dtype_bits(dtype)) / 8);
      rw::detail::put_little_endian(bytes.data(), bytes.size(), bits);
      const float weight = rw::detail::float_element(dtype, bytes.data());
      const std::uint32_t magnitude = rw::detail::bits_of(weight) & 0x7fffffffu;
      if (magnitude == 0 || magnitude >= 0x7f800000u) continue;
      const double factor = random.one_in(3)
                                ? 1.0 + std::ldexp(static_cast<double>(random.integer(0, 63)), -6)
                                : random.log_uniform(1e-6, 1e6);
      const rw::detail::ScaledBits scaled = rw::detail::scaled_bits(weight, factor, format);

      // The same in long double, whose 64 bits hold the product of 24 by 40 exactly and of 24 by 53
      // but for its last 13; ties are only among the exact ones.
      const long double exact = std::fabs(static_cast<long double>(weight)) * factor;
      int exponent = 0;
      std::frexp(exact, &exponent);
      const int unit = std::max(exponent - format.precision, format.lowest);
      const long double quotient = std::ldexp(exact, -unit);
      const long double whole = std::floor(quotient);
      const long double rest = quotient - whole;
      const bool odd = std::fmod(whole, 2.0L) == 1.0L;
      const long double nearest = whole + (rest > 0.5L || (rest == 0.5L && odd) ? 1.0L : 0.0L);
      const long double expected = std::ldexp(nearest, unit);
      const long double largest = std::ldexp(2.0L - std::ldexp(1.0L, 1 - format.precision),
                                             dtype == rw::Dtype::f16 ? 15 : 127);
      CAPTURE(weight, factor, rw::dtype_name(dtype));
      if (expected > largest) {
        REQUIRE(scaled.bits == format.infinity);
        continue;
      }
      rw::detail::put_little_endian(bytes.data(), bytes.size(), scaled.bits);
      const std::uint32_t stored =
          rw::detail::bits_of(rw::detail::float_element(dtype, bytes.data()));
      // Compared as numbers made from bits: denormals may be flushed where this is compiled.
      const std::uint32_t fraction = stored & 0x7fffffu;
      const std::uint32_t field = stored >> 23;
      const long double value = field == 0
                                    ? std::ldexp(static_cast<long double>(fraction), -149)
                                    : std::ldexp(static_cast<long double>(fraction | 0x800000u),
                                                 static_cast<int>(field) - 150);
      REQUIRE(value == expected);
    }
  }
}

TEST_CASE("scales of 1 leave every byte as it was, in every type") {
  const Folder folder;
  Model model;
  for (const rw::Dtype dtype : {rw::Dtype::f32, rw::Dtype::f16, rw::Dtype::bf16, rw::Dtype::f64}) {
    const std::string layer = "model.layers." + std::to_string(static_cast<int>(dtype));
    model.add(layer + ".self_attn.q_proj.weight", {8, 6}, dtype);
    for (std::size_t index = 0; index < model.tensors.back().bytes.size(); ++index)
      model.tensors.back().bytes[index] = static_cast<unsigned char>(37 * index + 11);
  }
  model.add("model.layers.0.mlp.weight", {3, 3}, rw::Dtype::i8);
  model.save(folder / "a.safetensors");
  Scales scales;
  for (const rw::Dtype dtype : {rw::Dtype::f32, rw::Dtype::f16, rw::Dtype::bf16, rw::Dtype::f64})
    scales.push_back({static_cast<int>(dtype), std::vector<double>(4, 1.0)});
  REQUIRE(fold_file(folder / "a.safetensors", folder / "b.safetensors", {}, scales) == "");
  CHECK(text_of(folder / "a.safetensors") == text_of(folder / "b.safetensors"));
}

TEST_CASE("layers that have no scales keep their weights, and the header keeps its bytes") {
  const Folder folder;
  Model model;
  for (int layer = 0; layer < 12; ++layer) {
    model.add("model.layers." + std::to_string(layer) + ".self_attn.q_proj.weight", {8, 6},
              rw::Dtype::bf16);
    model.add("model.layers." + std::to_string(layer) + ".self_attn.k_proj.weight", {4, 6},
              rw::Dtype::bf16);
  }
  model.save(folder / "a.safetensors");
  const Scales scales{{10, {2.0, 0.5, 1.0, 4.0}}, {1, {1.0, 1.0, 8.0, 1.0}}};
  const auto checkpoint = rw::open_checkpoint(folder / "a.safetensors");
  REQUIRE(checkpoint);
  const auto plan = rw::plan_fold(checkpoint.value().headers, {}, scales);
  REQUIRE(plan);
  REQUIRE(plan.value().tensors.size() == 2);
  CHECK(plan.value().tensors[0].layer == 1);
  CHECK_FALSE(plan.value().warnings.empty());
  const auto report = rw::write_folded(checkpoint.value(), plan.value(), folder / "b.safetensors");
  REQUIRE(report);
  // Powers of two round nothing.
  CHECK(report.value().rounding[0].elements == 12);
  CHECK(report.value().rounding[1].elements == 36);
  CHECK(report.value().rounding[0].largest_error == 0.0);
  CHECK(report.value().rounding[1].largest_error == 0.0);
  const std::string before = text_of(folder / "a.safetensors");
  const std::string after = text_of(folder / "b.safetensors");
  CHECK(report.value().bytes == after.size());
  const auto header = static_cast<std::size_t>(checkpoint.value().headers[0].data_begin);
  CHECK(before.substr(0, header) == after.substr(0, header));
  std::size_t changed = 0;
  for (const rw::TensorEntry& tensor : checkpoint.value().headers[0].tensors) {
    const auto begin = header + static_cast<std::size_t>(tensor.begin);
    const auto size = static_cast<std::size_t>(tensor.bytes());
    changed += before.substr(begin, size) != after.substr(begin, size) ? 1u : 0u;
  }
  CHECK(changed == 2);
}

TEST_CASE("the logits of folded queries are the scales times the logits of the original") {
  // One layer, bfloat16-free so that only float's rounding is between the two: q = W x, rotated, times
  // rotated keys.
  const Folder folder;
  constexpr int heads = 3, head_dim = 4, tokens = 5;
  Model model;
  model.add("model.layers.0.self_attn.q_proj.weight", {heads * head_dim, kHidden});
  model.add("model.layers.0.self_attn.q_proj.bias", {heads * head_dim});
  model.add("x", {tokens, kHidden});
  model.add("k", {tokens, heads, head_dim});
  model.save(folder / "a.safetensors");
  const Scales scales = some_scales(1, heads);
  REQUIRE(fold_file(folder / "a.safetensors", folder / "b.safetensors", {}, scales) == "");

  const rw::PhaseTurns turns = rw::phase_turns(rw::spectrum({head_dim, head_dim, 10000.0, 64}));
  const std::vector<std::int64_t> positions{3, 4, 5, 6, 1000};
  const auto logits = [&](const std::string& path, double& size) {
    const rw::Safetensors file = rw::load_safetensors(path).value();
    const std::vector<float> weight = file.floats("model.layers.0.self_attn.q_proj.weight").value();
    const std::vector<float> bias = file.floats("model.layers.0.self_attn.q_proj.bias").value();
    const std::vector<float> x = file.floats("x").value();
    std::vector<float> keys = file.floats("k").value();
    std::vector<double> queries(static_cast<std::size_t>(tokens * heads * head_dim));
    for (std::size_t row = 0; row < bias.size(); ++row) {
      for (std::size_t token = 0; token < tokens; ++token) {
        double sum = bias[row];
        for (std::size_t in = 0; in < kHidden; ++in)
          sum += static_cast<double>(weight[row * kHidden + in]) * x[token * kHidden + in];
        queries[token * bias.size() + row] = sum;
      }
    }
    rw::rotate(rw::make_head_view(queries.data(), tokens, heads, head_dim), positions, turns,
               rw::Pairing::half_split);
    rw::rotate(rw::make_head_view(keys.data(), tokens, heads, head_dim), positions, turns,
               rw::Pairing::half_split);
    std::vector<double> result;
    for (std::size_t head = 0; head < heads; ++head) {
      for (std::size_t query = 0; query < tokens; ++query) {
        for (std::size_t key = 0; key < tokens; ++key) {
          double sum = 0.0;
          double terms = 0.0;
          for (std::size_t dim = 0; dim < head_dim; ++dim) {
            const double term = queries[(query * heads + head) * head_dim + dim] *
                                keys[(key * heads + head) * head_dim + dim];
            sum += term;
            terms += std::fabs(term);
          }
          result.push_back(sum);
          size = std::max(size, terms);
        }
      }
    }
    return result;
  };
  double size = 0.0;
  const std::vector<double> before = logits(folder / "a.safetensors", size);
  const std::vector<double> after = logits(folder / "b.safetensors", size);
  for (std::size_t index = 0; index < before.size(); ++index) {
    const double scale = scales[0].head_scale[index / (tokens * tokens)];
    // Every weight is off by at most 2^-24, and so is every term of a logit, relative to the sizes of
    // what is added up: 13 products with weights below 2, and with the inputs, per element of q.
    const double bound = std::ldexp(1.0, -24) * head_dim * 2.0 * 13 * 2.0 * 2.0 * scale;
    CHECK(std::fabs(after[index] - scale * before[index]) <= bound);
  }
  CHECK(size > 1.0);
}

TEST_CASE("the report has the largest rounding error of 16-bit weights, and what underflowed") {
  const Folder folder;
  Model model;
  model.add("model.layers.0.self_attn.q_proj.weight", {4, 512}, rw::Dtype::bf16);
  model.add("model.layers.1.self_attn.q_proj.weight", {4, 512}, rw::Dtype::f16);
  model.add("model.layers.2.self_attn.q_proj.weight", {1, 4}, rw::Dtype::f16);
  const float tiny[] = {6.2e-5f, -6.2e-5f, 0.0f, 1.0f};  // the smallest normal is 6.1e-5
  model.tensors.back().bytes = rw::float_bytes(tiny, rw::Dtype::f16);
  model.save(folder / "a.safetensors");
  const auto checkpoint = rw::open_checkpoint(folder / "a.safetensors");
  const Scales scales{{0, {1.37}}, {1, {1.37}}, {2, {0.5}}};
  const auto plan = rw::plan_fold(checkpoint.value().headers, {}, scales);
  const auto report = rw::write_folded(checkpoint.value(), plan.value(), folder / "b.safetensors");
  REQUIRE(report);
  const std::vector<rw::FoldRounding>& rounding = report.value().rounding;
  // Half a unit in the last place, which 2048 random weights come close to.
  CHECK(rounding[0].largest_error <= std::ldexp(1.0, -8));
  CHECK(rounding[0].largest_error > 0.9 * std::ldexp(1.0, -8));
  CHECK(rounding[1].largest_error <= std::ldexp(1.0, -11));
  CHECK(rounding[1].largest_error > 0.9 * std::ldexp(1.0, -11));
  CHECK(rounding[0].underflows == 0);
  CHECK(rounding[2].underflows == 2);
  CHECK(rounding[2].elements == 4);
}

TEST_CASE("a weight that overflows, or is no number, is refused and nothing is left behind") {
  const Folder folder;
  const auto attempt = [&](float weight, double scale, rw::Dtype dtype) {
    Model model;
    model.add("model.layers.0.self_attn.q_proj.weight", {2, 2}, dtype);
    const float values[] = {1.0f, 2.0f, weight, 4.0f};
    model.tensors.back().bytes = rw::float_bytes(values, dtype);
    model.save(folder / "a.safetensors");
    const std::string said =
        fold_file(folder / "a.safetensors", folder / "out/b.safetensors", {}, {{0, {1.0, scale}}});
    if (!said.empty()) CHECK(folder.files("out") == 0);
    std::filesystem::remove(folder / "out/b.safetensors");
    return said;
  };
  const float nan = rw::detail::float_of(0x7fc00000u);
  const float infinity = rw::detail::float_of(0x7f800000u);
  CHECK(attempt(60000.0f, 1.09, rw::Dtype::f16) == "");
  CHECK_THAT(attempt(60000.0f, 1.1, rw::Dtype::f16),
             contains("element 2: is beyond the range of F16"));
  CHECK_THAT(attempt(-60000.0f, 1.1, rw::Dtype::f16), contains("beyond"));
  CHECK_THAT(attempt(3.3e38f, 1.1, rw::Dtype::f32), contains("beyond the range of F32"));
  CHECK_THAT(attempt(3.3e38f, 1.1, rw::Dtype::bf16), contains("beyond the range of BF16"));
  CHECK_THAT(attempt(nan, 1.1, rw::Dtype::f32), contains("is not a finite number"));
  CHECK_THAT(attempt(infinity, 1.1, rw::Dtype::bf16), contains("is not a finite number"));
  CHECK(attempt(nan, 1.0, rw::Dtype::f32) == "");  // nothing is done to it
}

TEST_CASE("doubles are scaled as doubles") {
  const Folder folder;
  Model model;
  model.add("model.layers.0.self_attn.q_proj.weight", {2, 1}, rw::Dtype::f64);
  const double values[] = {1.0 / 3.0, -1e303};
  std::memcpy(model.tensors.back().bytes.data(), values, sizeof values);
  model.save(folder / "a.safetensors");
  REQUIRE(fold_file(folder / "a.safetensors", folder / "b.safetensors", {}, {{0, {1.7, 1.1}}}) ==
          "");
  const rw::Safetensors after = rw::load_safetensors(folder / "b.safetensors").value();
  double scaled[2] = {};
  std::memcpy(scaled, after.data.data(), sizeof scaled);
  CHECK(scaled[0] == 1.0 / 3.0 * 1.7);
  CHECK(scaled[1] == -1e303 * 1.1);
  CHECK_THAT(fold_file(folder / "a.safetensors", folder / "c.safetensors", {}, {{0, {1.7, 1e6}}}),
             contains("element 1: is beyond the range of F64"));
}

TEST_CASE("a projection longer than the copy's buffer is scaled to its end") {
  const Folder folder;
  Model model;
  model.add("model.layers.0.self_attn.q_proj.weight", {1024, 700});  // 2.9 MB
  model.add("z", {300000});
  model.save(folder / "a.safetensors");
  const Scales scales = some_scales(1, 16);
  REQUIRE(fold_file(folder / "a.safetensors", folder / "b.safetensors", {}, scales) == "");
  const rw::Safetensors before = rw::load_safetensors(folder / "a.safetensors").value();
  const rw::Safetensors after = rw::load_safetensors(folder / "b.safetensors").value();
  CHECK(before.floats("z").value() == after.floats("z").value());
  const std::string name = "model.layers.0.self_attn.q_proj.weight";
  const std::vector<float> was = before.floats(name).value();
  const std::vector<float> is = after.floats(name).value();
  std::size_t wrong = 0;
  for (std::size_t index = 0; index < is.size(); ++index) {
    const double exact = was[index] * scales[0].head_scale[index / 700 / 64];
    // Half a unit of float, for one rounding.
    if (std::fabs(is[index] - exact) > std::ldexp(std::fabs(exact), -24)) ++wrong;
  }
  CHECK(wrong == 0);
}

namespace {

/// The message with which a checkpoint of these tensors is refused.
std::string refusal(const Folder& folder, const std::vector<Model::Tensor>& tensors,
                    const std::string& config, const Scales& scales,
                    const std::string& prefix = "") {
  Model model;
  for (const Model::Tensor& tensor : tensors) model.add(tensor.name, tensor.shape, tensor.dtype);
  model.save(folder / "a.safetensors");
  rw::FoldModel fold;
  if (!config.empty()) {
    const auto read = rw::read_fold_model(config);
    if (!read) return rw::message(read.fault());
    fold = read.value();
  }
  std::string said =
      fold_file(folder / "a.safetensors", folder / "out/b.safetensors", fold, scales, prefix);
  if (!said.empty()) CHECK(folder.files("out") == 0);
  std::filesystem::remove(folder / "out/b.safetensors");
  return said;
}

constexpr const char* kQuery = "model.layers.0.self_attn.q_proj.weight";

}  // namespace

TEST_CASE("a norm after the query projection is refused with the reason") {
  const Folder folder;
  const Scales scales = some_scales(1, 4);
  const Model::Tensor q{kQuery, rw::Dtype::f32, {8, 12}, {}};
  const auto with = [&](const std::string& name, std::vector<std::int64_t> shape) {
    return refusal(folder, {q, {"model.layers.0.self_attn." + name, rw::Dtype::f32, shape, {}}}, "",
                   scales);
  };
  for (const char* name : {"q_norm.weight", "q_layernorm.weight", "query_layernorm.weight",
                           "qk_norm.weight", "q_ln.weight", "q_layernorm.norms.3.weight",
                           "norm_q.weight", "inner.query_norm.weight", "q_a_layernorm.weight"}) {
    CAPTURE(name);
    CHECK_THAT(with(name, {2}), contains(name));
    CHECK_THAT(with(name, {2}), contains("norm after the query projection"));
    CHECK_THAT(with(name, {2}), contains("shared by all heads"));
  }
  CHECK_THAT(with("q_norm.weight", {8}), contains("not what is folded into here"));
  CHECK_THAT(with("q_norm.weight", {4, 2}), contains("not what is folded into here"));
  for (const char* name : {"k_norm.weight", "k_layernorm.weight", "attn_sub_norm.weight",
                           "o_proj.weight", "rotary_emb.inv_freq"}) {
    CAPTURE(name);
    CHECK(with(name, {2}) == "");
  }
  for (const char* name :
       {"q_conv1d.weight", "q_bias", "q_proj_extra.weight", "q_scale", "lambda_q1"}) {
    CAPTURE(name);
    CHECK_THAT(with(name, {2}), contains("acts on queries besides q_proj"));
  }
  // A norm of another layer is no concern.
  CHECK(refusal(folder, {q, {"model.layers.1.self_attn.q_norm.weight", rw::Dtype::f32, {2}, {}}},
                "", scales) == "");
}

TEST_CASE("a norm before the last step of a low-rank query is no norm after it") {
  const Folder folder;
  const std::vector<Model::Tensor> tensors{
      {"model.layers.0.self_attn.q_a_proj.weight", rw::Dtype::f32, {6, 12}, {}},
      {"model.layers.0.self_attn.q_a_layernorm.weight", rw::Dtype::f32, {6}, {}},
      {"model.layers.0.self_attn.q_b_proj.weight", rw::Dtype::f32, {8, 6}, {}},
      {"model.layers.0.self_attn.indexer.wq_b.weight", rw::Dtype::f32, {8, 6}, {}}};
  CHECK(refusal(folder, tensors, "", some_scales(1, 4)) == "");
  std::vector<Model::Tensor> behind = tensors;
  behind.push_back({"model.layers.0.self_attn.q_b_norm.weight", rw::Dtype::f32, {2}, {}});
  CHECK_THAT(refusal(folder, behind, "", some_scales(1, 4)), contains("norm after"));
}

TEST_CASE("norms and clipping that only the config knows are refused") {
  const Folder folder;
  const Scales scales = some_scales(1, 4);
  const std::vector<Model::Tensor> q{{kQuery, rw::Dtype::f32, {8, 12}, {}}};
  const auto with = [&](const std::string& keys) {
    return refusal(folder, q, "{\"num_attention_heads\":4," + keys + "}", scales);
  };
  CHECK(with(R"("model_type":"llama")") == "");
  CHECK_THAT(with(R"("model_type":"olmo","clip_qkv":8.0)"), contains("clip_qkv = 8.0: clips q"));
  CHECK(with(R"("model_type":"olmo","clip_qkv":null)") == "");
  CHECK_THAT(with(R"("model_type":"x","attn_config":{"clip_qkv":8})"), contains("clips q"));
  CHECK_THAT(with(R"("model_type":"x","use_qk_norm":true)"), contains("layer 0 = x: has a norm"));
  CHECK_THAT(with(R"("model_type":"x","qk_layernorm":true)"), contains("by its config"));
  CHECK(with(R"("model_type":"x","use_qk_norm":false)") == "");
  CHECK_THAT(with(R"("model_type":"nanochat")"), contains("by its config"));
  CHECK_THAT(with(R"("model_type":"nanochat","num_hidden_layers":1)"), contains("by its config"));
}

TEST_CASE("Llama 4 is scaled where it does not rotate and refused where it does") {
  const Folder folder;
  std::vector<Model::Tensor> tensors;
  for (int layer = 0; layer < 4; ++layer) {
    tensors.push_back(
        {"language_model.model.layers." + std::to_string(layer) + ".self_attn.q_proj.weight",
         rw::Dtype::bf16,
         {8, 12},
         {}});
  }
  const std::string text =
      R"({"model_type":"llama4","text_config":{"model_type":"llama4_text","num_attention_heads":4,
          "num_key_value_heads":2,"head_dim":2,"hidden_size":12,"num_hidden_layers":4,
          "no_rope_layers":[1,1,1,0],"max_position_embeddings":4096,"rope_theta":500000.0)";
  const Scales nope{{3, {2.0, 2.0, 2.0, 2.0}}};
  const Scales rotated{{2, {2.0, 2.0, 2.0, 2.0}}};
  CHECK(refusal(folder, tensors, text + "}}", nope) == "");
  CHECK_THAT(refusal(folder, tensors, text + "}}", rotated),
             contains("layer 2 = llama4_text: has a norm after the query projection"));
  CHECK(refusal(folder, tensors, text + R"(,"use_qk_norm":false}})", rotated) == "");
}

TEST_CASE("quantized and adapted projections are refused") {
  const Folder folder;
  const Scales scales = some_scales(1, 4);
  const auto module = [](const std::string& leaf) {
    return "model.layers.0.self_attn.q_proj." + leaf;
  };
  for (const rw::Dtype dtype : {rw::Dtype::f8_e4m3, rw::Dtype::i8, rw::Dtype::u8, rw::Dtype::i32,
                                rw::Dtype::f4, rw::Dtype::f8_e5m2}) {
    CHECK_THAT(refusal(folder, {{kQuery, dtype, {8, 12}, {}}}, "", scales),
               contains(std::string(rw::dtype_name(dtype)) + ": is quantized"));
  }
  for (const char* leaf :
       {"weight_scale", "weight_scale_inv", "qweight", "scales", "qzeros", "g_idx", "weight.absmax",
        "lora_A.weight", "base_layer.weight", "biases"}) {
    CAPTURE(leaf);
    CHECK_THAT(
        refusal(folder,
                {{kQuery, rw::Dtype::f16, {8, 12}, {}}, {module(leaf), rw::Dtype::f16, {8}, {}}},
                "", scales),
        contains("quantized or adapted"));
  }
  CHECK_THAT(refusal(folder, {{module("qweight"), rw::Dtype::i32, {8, 12}, {}}}, "", scales),
             contains("quantized or adapted"));
  CHECK_THAT(refusal(folder, {{module("bias"), rw::Dtype::f32, {8}, {}}}, "", scales),
             contains("has no weight"));
}

TEST_CASE("shapes that do not fit are refused, naming the tensor") {
  const Folder folder;
  const Scales four = some_scales(1, 4);
  const auto q = [&](std::vector<std::int64_t> shape, const std::string& config = "") {
    return refusal(folder, {{kQuery, rw::Dtype::f32, std::move(shape), {}}}, config, four);
  };
  CHECK(q({8, 3}) == "");
  CHECK_THAT(q({9, 3}), contains(std::string(kQuery) + " = 9 rows: must have 4 heads"));
  CHECK_THAT(q({0, 3}), contains("must have 4 heads"));
  CHECK_THAT(q({8}), contains("must be a matrix"));
  CHECK_THAT(q({8, 3}, R"({"model_type":"llama","num_attention_heads":4,"head_dim":3})"),
             contains("4 heads of 3 rows"));
  CHECK_THAT(q({8, 3}, R"({"model_type":"llama","num_attention_heads":8})"),
             contains("4 heads: differs from the 8 of the model"));
  CHECK_THAT(refusal(folder,
                     {{kQuery, rw::Dtype::f32, {8, 3}, {}},
                      {"model.layers.0.self_attn.q_proj.bias", rw::Dtype::f32, {4}, {}}},
                     "", four),
             contains("one entry per row of the weight, 8"));
  const std::vector<Model::Tensor> fused{
      {"h.0.attn.query_key_value.weight", rw::Dtype::f32, {24, 8}, {}}};
  CHECK_THAT(refusal(folder, fused, "", four), contains("it is not known"));
  CHECK_THAT(refusal(folder, fused, R"({"model_type":"strange","num_attention_heads":4})", four),
             contains("model_type strange"));
  CHECK_THAT(refusal(folder, fused, R"({"model_type":"bloom"})", four), contains("how many heads"));
  CHECK_THAT(refusal(folder, fused,
                     R"({"model_type":"gpt_neox","n_head":4,"num_key_value_heads":2})", four),
             contains("does not fit the layout"));
  CHECK_THAT(
      refusal(folder, fused, R"({"model_type":"phi3","n_head":4,"num_key_value_heads":3})", four),
      contains("does not fit the layout"));
  CHECK_THAT(refusal(folder, fused, R"({"model_type":"bloom","n_head":4,"num_key_value_heads":4})",
                     some_scales(2, 4)),
             contains("layer 1: has no query projection"));
}

TEST_CASE("two stacks of layers are told apart by a prefix, or refused") {
  const Folder folder;
  const std::vector<Model::Tensor> tensors{
      {"vision_tower.layers.0.self_attn.q_proj.weight", rw::Dtype::f32, {8, 3}, {}},
      {"vision_tower.layers.0.self_attn.q_norm.weight", rw::Dtype::f32, {2}, {}},
      {"language_model.model.layers.0.self_attn.q_proj.weight", rw::Dtype::f32, {8, 3}, {}},
      {"language_model.model.layers.1.self_attn.q_proj.weight", rw::Dtype::f32, {8, 3}, {}}};
  CHECK_THAT(refusal(folder, tensors, "", some_scales(2, 4)), contains("is in question"));
  CHECK(refusal(folder, tensors, "", some_scales(2, 4), "language_model.") == "");
  CHECK_THAT(refusal(folder, tensors, "", some_scales(1, 4), "vision_tower."), contains("norm"));
  CHECK_THAT(refusal(folder, tensors, "", some_scales(1, 4), "audio."), contains("has no query"));
  // Layers that would be taken from different stacks.
  const std::vector<Model::Tensor> mixed{
      {"a.layers.0.self_attn.q_proj.weight", rw::Dtype::f32, {8, 3}, {}},
      {"b.layers.1.self_attn.q_proj.weight", rw::Dtype::f32, {8, 3}, {}}};
  CHECK_THAT(refusal(folder, mixed, "", some_scales(2, 4)), contains("layer 1: is in question"));
  // A decoder's cross-attention has queries of its own.
  const std::vector<Model::Tensor> crossed{
      {"decoder.layers.0.self_attn.q_proj.weight", rw::Dtype::f32, {8, 3}, {}},
      {"decoder.layers.0.encoder_attn.q_proj.weight", rw::Dtype::f32, {8, 3}, {}}};
  CHECK_THAT(refusal(folder, crossed, "", some_scales(1, 4)), contains("encoder_attn"));
}

TEST_CASE("bad scales are refused by layer") {
  const Folder folder;
  const std::vector<Model::Tensor> q{{kQuery, rw::Dtype::f32, {8, 3}, {}}};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinity, -infinity, 0.0, -1.0, 1e-7, 1e7}) {
    CAPTURE(bad);
    CHECK_THAT(refusal(folder, q, "", {{0, {1.0, bad, 1.0, 1.0}}}),
               contains("head_scale of layer 0"));
  }
  CHECK_THAT(refusal(folder, q, "", {}), contains("has no layers"));
  CHECK_THAT(refusal(folder, q, "", {{0, {}}}), contains("has no heads"));
  CHECK_THAT(refusal(folder, q, "", {{-1, {1.0}}}), contains("from 0 up"));
  CHECK_THAT(refusal(folder, q, "", {{0, {1.0}}, {0, {1.0}}}), contains("given twice"));
  CHECK_THAT(refusal(folder, q, "", {{7, {1.0}}}), contains("layer 7: has no query projection"));
}

TEST_CASE("a checkpoint of several files is folded file by file, index and all") {
  const Folder folder;
  Model first;
  first.add("model.layers.0.self_attn.q_proj.weight", {8, 6}, rw::Dtype::f16);
  first.add("model.layers.1.self_attn.q_proj.bias", {8}, rw::Dtype::f16);
  Model second;
  second.add("model.layers.1.self_attn.q_proj.weight", {8, 6}, rw::Dtype::f16);
  second.add("lm_head.weight", {3, 6}, rw::Dtype::f16);
  first.save(folder / "model-1.safetensors");
  second.save(folder / "model-2.safetensors");
  const std::string good =
      R"({"metadata":{"total_size":1,"x":[1,{"weight_map":2}]},"weight_map":{
      "model.layers.0.self_attn.q_proj.weight":"model-1.safetensors",
      "model.layers.1.self_attn.q_proj.bias":"model-1.safetensors",
      "model.layers.1.self_attn.q_proj.weight":"model-2.safetensors",
      "lm_head.weight":"model-2.safetensors"}})";
  const std::string index = folder.write("model.safetensors.index.json", good);
  const Scales scales{{0, {1.0, 2.0}}, {1, {4.0, 1.0}}};
  REQUIRE(fold_file(index, folder / "out/m.json", {}, scales) == "");
  CHECK(text_of(folder / "out/m.json") == good);
  CHECK(folder.files("out") == 3);
  const auto compare = [&](const std::string& file, const std::string& name, double low,
                           double high) {
    const auto was = rw::load_safetensors(folder / file).value().floats(name).value();
    const auto is = rw::load_safetensors(folder / ("out/" + file)).value().floats(name).value();
    for (std::size_t at = 0; at < is.size(); ++at)
      REQUIRE(is[at] == was[at] * (at < is.size() / 2 ? low : high));
  };
  compare("model-1.safetensors", "model.layers.0.self_attn.q_proj.weight", 1.0, 2.0);
  compare("model-1.safetensors", "model.layers.1.self_attn.q_proj.bias", 4.0, 1.0);
  compare("model-2.safetensors", "model.layers.1.self_attn.q_proj.weight", 4.0, 1.0);
  compare("model-2.safetensors", "lm_head.weight", 1.0, 1.0);

  CHECK_THAT(fold_file(index, folder / "out/m.json", {}, scales), contains("is there already"));
  CHECK_THAT(fold_file(index, folder / "out/m.safetensors", {}, scales), contains(".json"));
  CHECK_THAT(fold_file(index, folder / "new.json", {}, scales), contains("is there already"));
  CHECK_THAT(fold_file(folder / "model-1.safetensors", folder / "x.json", {}, scales),
             contains("has no weight"));

  const auto broken = [&](const std::string& text) {
    const auto read = rw::open_checkpoint(folder.write("bad.json", text));
    return read ? std::string("read") : rw::message(read.fault());
  };
  CHECK(broken(good) == "read");
  CHECK_THAT(broken("[]"), contains("must be an object"));
  CHECK_THAT(broken("{}"), contains("weight_map: is missing"));
  CHECK_THAT(broken(R"({"weight_map":{}})"), contains("names no tensor"));
  CHECK_THAT(broken(R"({"weight_map":[]})"), contains("must be an object"));
  CHECK_THAT(broken(R"({"weight_map":{"a":1}})"), contains("weight_map.a: must be a string"));
  CHECK_THAT(broken(R"({"weight_map":{"a":{}}})"), contains("must be a string"));
  CHECK_THAT(broken(R"({"weight_map":{"a":"f","a":"f"}})"), contains("given twice"));
  CHECK_THAT(broken(R"({"weight_map":{"a":"f"},"weight_map":{}})"), contains("given twice"));
  for (const char* name : {"../x", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b"}) {
    CHECK_THAT(broken(std::string(R"({"weight_map":{"a":")") + name + "\"}}"),
               contains("a file beside the index"));
  }
  CHECK_THAT(broken(R"({"weight_map":{"a":"none.safetensors"}})"), contains("cannot be opened"));
  CHECK_THAT(broken(R"({"weight_map":{"a":"bad.json"}})"), contains("(in bad.json)"));
  CHECK_THAT(broken(good.substr(0, 40)), contains("is not JSON"));
  CHECK_THAT(broken(R"({"weight_map":{"lm_head.weight":"model-2.safetensors"}})"),
             contains("not in the index"));
  std::string more = good;
  more.insert(more.find("\"lm_head"), R"("ghost":"model-1.safetensors",)");
  CHECK_THAT(broken(more), contains("names a tensor that its file does not hold"));
  CHECK_THAT(broken("{\"a\":" + std::string(1000, '[') + "}"), contains("too deep"));
}

TEST_CASE("a file that is there is overwritten only when told to, the input too") {
  const Folder folder;
  Model model;
  model.add(kQuery, {4, 2});
  model.save(folder / "a.safetensors");
  const std::string before = text_of(folder / "a.safetensors");
  const Scales scales{{0, {2.0}}};
  CHECK_THAT(fold_file(folder / "a.safetensors", folder / "a.safetensors", {}, scales),
             contains("is there already"));
  CHECK(text_of(folder / "a.safetensors") == before);
  const auto checkpoint = rw::open_checkpoint(folder / "a.safetensors");
  const auto plan = rw::plan_fold(checkpoint.value().headers, {}, scales);
  folder.write("a.safetensors.part", "of an earlier attempt");
  const auto refused =
      rw::write_folded(checkpoint.value(), plan.value(), folder / "a.safetensors", true);
  REQUIRE_FALSE(refused);
  CHECK_THAT(rw::message(refused.fault()), contains(".part"));
  CHECK(text_of(folder / "a.safetensors.part") == "of an earlier attempt");
  std::filesystem::remove(folder / "a.safetensors.part");
  REQUIRE(rw::write_folded(checkpoint.value(), plan.value(), folder / "a.safetensors", true));
  CHECK(text_of(folder / "a.safetensors") != before);
  CHECK(text_of(folder / "a.safetensors").size() == before.size());
  CHECK_FALSE(
      rw::write_folded(checkpoint.value(), plan.value(), folder / "no/such/folder.safetensors"));
  // A file that changed its length since its header was read.
  folder.write("a.safetensors", before + "x");
  const auto changed = rw::write_folded(checkpoint.value(), plan.value(), folder / "out/b");
  REQUIRE_FALSE(changed);
  CHECK_THAT(rw::message(changed.fault()), contains("has changed"));
  CHECK(folder.files("out") == 0);
}

TEST_CASE("a config that cannot be read is a fault with its key") {
  const auto said = [](const std::string& text) {
    const auto read = rw::read_fold_model(text);
    return read ? std::string("read") : rw::message(read.fault());
  };
  CHECK(said("{}") == "read");
  CHECK_THAT(said("{"), contains("ends at byte"));
  CHECK_THAT(said(R"({"num_attention_heads":0})"), contains("num_attention_heads = 0"));
  CHECK_THAT(said(R"({"num_attention_heads":"4"})"), contains("num_attention_heads"));
  CHECK_THAT(said(R"({"num_attention_heads":4,"head_dim":-1})"), contains("head_dim"));
  CHECK_THAT(said(R"({"model_type":5})"), contains("model_type"));
  const rw::FoldModel gemma =
      model_of(R"({"model_type":"gemma2","num_attention_heads":4,"attn_logit_softcapping":50.0})");
  REQUIRE(gemma.warnings.size() == 1);
  CHECK_THAT(gemma.warnings[0], contains("attn_logit_softcapping"));
}

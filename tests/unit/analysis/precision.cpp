#include <ropewalk/analysis/precision.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};

rw::RopeConfig with_theta(double theta) { return {128, 128, theta, 8192}; }

/// Whether a value would be printed like that: half a unit of the last digit, and the twentieth that
/// rounding to one digit more, and then to this one, can add.
auto printed(double value, double unit) { return Approx(value).epsilon(0.0).margin(0.551 * unit); }

double unit_of(double value, int digits) {
  return std::pow(10.0, std::floor(std::log10(value)) - (digits - 1));
}

double largest_at(const rw::RopeConfig& config, const rw::AnglePath& path, std::int64_t position) {
  return rw::cosine_error(rw::spectrum(config), path, position, 1).maximum;
}

/// An engine's angle written out once more, one position and pair at a time.
double plain_angle(const rw::Spectrum& spectrum, const rw::AnglePath& path, std::int64_t position,
                   int pair) {
  const auto entry = static_cast<std::size_t>(pair);
  const auto bfloat16 = [](float value) { return rw::to_float(rw::to_bfloat16(value)); };
  switch (path.formation) {
    case rw::AngleFormation::exact_turns:
      break;
    case rw::AngleFormation::float64_product:
      return static_cast<double>(position) * spectrum.inv_freq[entry];
    case rw::AngleFormation::float32_product: {
      const volatile float angle = static_cast<float>(position) * path.inv_freq[entry];
      return static_cast<double>(angle);
    }
    case rw::AngleFormation::float32_recurrence: {
      volatile float angle = static_cast<float>(position);
      for (int i = 0; i < pair; ++i) angle = angle * path.step;
      if (!path.pair_scale.empty()) angle = angle * path.pair_scale[entry];
      return static_cast<double>(angle);
    }
    case rw::AngleFormation::bfloat16_product:
      return static_cast<double>(
          bfloat16(bfloat16(static_cast<float>(position)) * bfloat16(path.inv_freq[entry])));
  }
  return static_cast<double>(position) * spectrum.inv_freq[entry];
}

double plain_rounding(double cosine, rw::CosineType type) {
  const auto narrow = static_cast<float>(cosine);
  switch (type) {
    case rw::CosineType::float64:
      return cosine;
    case rw::CosineType::float32:
      return static_cast<double>(narrow);
    case rw::CosineType::float16:
      return static_cast<double>(rw::to_float(rw::to_float16(narrow)));
    case rw::CosineType::bfloat16:
      return static_cast<double>(rw::to_float(rw::to_bfloat16(narrow)));
  }
  return cosine;
}

/// The budget by looking at every position with the mathematical library's cosine.
std::int64_t plain_safe_position(const rw::Spectrum& spectrum, const rw::AnglePath& path, int pair,
                                 double bound, std::int64_t limit) {
  const double inv_freq = spectrum.inv_freq[static_cast<std::size_t>(pair)];
  for (std::int64_t position = 0; position <= limit; ++position) {
    const long double exact =
        std::cos(static_cast<long double>(position) * static_cast<long double>(inv_freq));
    const double kept =
        plain_rounding(std::cos(plain_angle(spectrum, path, position, pair)), path.cosine_type);
    if (std::fabs(static_cast<double>(static_cast<long double>(kept) - exact)) > bound) {
      return position - 1;
    }
  }
  return limit;
}

}  // namespace

TEST_CASE("Llama-3-8B's float angles lose 0.001 of a cosine from position 12974 on") {
  const rw::Spectrum spectrum = rw::spectrum(kLlama3);
  const rw::PrecisionBudget budget =
      rw::precision_budget(spectrum, rw::hugging_face_path(kLlama3), 1e-3);
  CHECK(budget.safe_position == 12973);
  CHECK(budget.first_pair == 2);
  const rw::PrecisionBudget exact = rw::precision_budget(spectrum, rw::exact_path(), 1e-3);
  CHECK(exact.safe_position == exact.limit);
  CHECK(exact.first_pair == -1);
}

TEST_CASE("float angles at 1024 positions below P, three bases: the published table") {
  struct Row {
    double theta;
    std::int64_t end;
    double maximum, rms, from_frequency, from_product;
    int above_thousandth, above_hundredth;
  };
  const Row rows[] = {
      {1e4, 8192, 4.84e-4, 4.2e-5, 2.44e-4, 2.44e-4, 0, 0},
      {1e4, 131072, 7.72e-3, 6.9e-4, 3.90e-3, 3.91e-3, 15, 0},
      {1e4, 1048576, 6.17e-2, 5.6e-3, 3.12e-2, 3.12e-2, 29, 12},
      {1e4, 4194304, 0.239, 2.3e-2, 0.125, 0.125, 39, 23},
      {1e4, 10000000, 0.762, 5.5e-2, 0.297, 0.4996, 44, 28},
      {5e5, 8192, 5.84e-4, 4.6e-5, 3.40e-4, 2.44e-4, 0, 0},
      {5e5, 131072, 9.21e-3, 7.8e-4, 5.45e-3, 3.91e-3, 10, 0},
      {5e5, 1048576, 7.40e-2, 6.2e-3, 4.36e-2, 3.13e-2, 20, 10},
      {5e5, 4194304, 0.295, 2.5e-2, 0.174, 0.125, 28, 14},
      {5e5, 10000000, 0.650, 5.8e-2, 0.416, 0.250, 33, 19},
      {1e7, 8192, 2.70e-4, 2.8e-5, 1.41e-4, 2.44e-4, 0, 0},
      {1e7, 131072, 4.40e-3, 4.7e-4, 2.26e-3, 3.90e-3, 9, 0},
      {1e7, 1048576, 3.50e-2, 3.7e-3, 1.81e-2, 3.12e-2, 16, 7},
      {1e7, 4194304, 0.141, 1.5e-2, 7.24e-2, 0.125, 22, 11},
      {1e7, 10000000, 0.374, 3.5e-2, 0.173, 0.250, 26, 14},
  };
  for (const Row& row : rows) {
    INFO("theta " << row.theta << " below " << row.end);
    const rw::RopeConfig config = with_theta(row.theta);
    const rw::CosineError error = rw::cosine_error(
        rw::spectrum(config), rw::hugging_face_path(config, rw::CosineType::float64),
        row.end - 1024, 1024);
    CHECK(error.maximum == printed(row.maximum, unit_of(row.maximum, 3)));
    CHECK(error.rms == printed(row.rms, unit_of(row.rms, 2)));
    CHECK(error.from_frequency == printed(row.from_frequency, unit_of(row.from_frequency, 3)));
    CHECK(error.from_product == printed(row.from_product, unit_of(row.from_product, 3)));
    int above_thousandth = 0;
    int above_hundredth = 0;
    for (const double pair : error.pair_maximum) {
      if (pair > 1e-3) ++above_thousandth;
      if (pair > 1e-2) ++above_hundredth;
    }
    CHECK(above_thousandth == row.above_thousandth);
    CHECK(above_hundredth == row.above_hundredth);
  }
}

TEST_CASE("angles of ggml and others at single positions: the published table") {
  struct Row {
    std::int64_t position;
    double theta, ggml_cpu, ggml_cuda, product, bfloat16;
  };
  const Row rows[] = {
      {2048, 1e4, 1.5e-4, 2.0e-4, 6.1e-5, 0.85},   {16384, 5e5, 5.7e-4, 6.0e-4, 3.9e-4, 1.9},
      {131071, 1e4, 1.2e-2, 1.2e-2, 4.2e-3, 1.8},  {131071, 5e5, 3.7e-3, 5.4e-3, 3.4e-3, 1.9},
      {1048575, 5e5, 3.9e-2, 3.9e-2, 3.3e-2, 2.0}, {4194303, 1e4, 0.40, 0.37, 0.19, 2.0},
      {16777215, 5e5, 0.72, 0.81, 0.72, 2.0}};
  for (const Row& row : rows) {
    INFO("position " << row.position << " theta " << row.theta);
    const rw::RopeConfig config = with_theta(row.theta);
    const auto error = [&](const rw::AnglePath& path) {
      return largest_at(config, path, row.position);
    };
    const auto two_digits = [](double value) { return printed(value, unit_of(value, 2)); };
    CHECK(error(rw::ggml_cpu_path(config)) == two_digits(row.ggml_cpu));
    CHECK(error(rw::ggml_cuda_path(config)) == two_digits(row.ggml_cuda));
    CHECK(error(rw::hugging_face_path(config)) == two_digits(row.product));
    CHECK(error(rw::bfloat16_path(rw::spectrum(config))) == two_digits(row.bfloat16));
    // Exact angles in a bfloat16 table are off by its last digit at every position.
    const double table = error(rw::exact_path(rw::CosineType::bfloat16));
    CHECK(table == two_digits(1.9e-3));
    CHECK(table <= 0x1p-9 + 0x1p-25);
  }
}

TEST_CASE("the budget is that of looking at every position with the library's cosine") {
  const std::int64_t limit = 20000;
  rw::Yarn yarn;
  yarn.factor = 4.0;
  const rw::RopeConfig small{16, 16, 500000.0, 8192};
  const rw::Spectrum plain = rw::spectrum(small);
  const rw::Spectrum scaled = rw::spectrum(small, yarn);
  struct Case {
    const char* name;
    const rw::Spectrum& spectrum;
    rw::AnglePath path;
    double bound;
  };
  const Case cases[] = {
      {"product", plain, rw::float32_path(plain), 1e-3},
      {"product, tight", plain, rw::float32_path(plain), 1e-5},
      {"Hugging Face", plain, rw::hugging_face_path(small, rw::CosineType::float64), 2e-4},
      {"product, bfloat16 cosines", plain, rw::float32_path(plain, rw::CosineType::bfloat16), 2e-3},
      {"product, bound below the cosines' rounding", plain,
       rw::float32_path(plain, rw::CosineType::float16), 2e-4},
      {"recurrence", plain, rw::ggml_cpu_path(small), 3e-4},
      {"recurrence under YaRN", scaled, rw::ggml_cpu_path(small, scaled), 3e-4},
      {"powers", plain, rw::ggml_cuda_path(small), 3e-4},
      {"bfloat16", plain, rw::bfloat16_path(plain), 0.5},
      {"exact, float16 cosines", plain, rw::exact_path(rw::CosineType::float16), 2.4e-4},
      {"double", plain, rw::float64_path(), 1e-12},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    const rw::PrecisionBudget budget =
        rw::precision_budget(one.spectrum, one.path, one.bound, limit);
    REQUIRE(budget.pair_safe_position.size() == 8);
    std::int64_t smallest = limit;
    for (int pair = 0; pair < 8; ++pair) {
      INFO("pair " << pair);
      const std::int64_t expected =
          plain_safe_position(one.spectrum, one.path, pair, one.bound, limit);
      CHECK(budget.pair_safe_position[static_cast<std::size_t>(pair)] == expected);
      smallest = expected < smallest ? expected : smallest;
    }
    CHECK(budget.safe_position == smallest);
  }
}

TEST_CASE("the last position before a failure and the failure itself have the errors they should") {
  const rw::Spectrum spectrum = rw::spectrum(kLlama3);
  const rw::AnglePath path = rw::ggml_cpu_path(kLlama3);
  const double bound = 1e-2;
  const rw::PrecisionBudget budget = rw::precision_budget(spectrum, path, bound);
  for (std::size_t pair = 0; pair < 64; pair += 7) {
    const std::int64_t safe = budget.pair_safe_position[pair];
    INFO("pair " << pair << " safe to " << safe);
    const std::int64_t from = safe < 5000 ? 0 : safe - 5000;
    CHECK(rw::cosine_error(spectrum, path, from, safe - from + 1).pair_maximum[pair] <= bound);
    if (safe == budget.limit) continue;
    CHECK(rw::cosine_error(spectrum, path, safe + 1, 1).pair_maximum[pair] > bound);
  }
}

TEST_CASE("pair 0 of a float product is exact as long as positions are floats") {
  const rw::Spectrum spectrum = rw::spectrum(kLlama3);
  const rw::PrecisionBudget budget =
      rw::precision_budget(spectrum, rw::float32_path(spectrum), 1e-4, (1 << 24) + 100);
  CHECK(budget.pair_safe_position[0] == 1 << 24);
}

TEST_CASE("exact turns and doubles outlast every position looked at") {
  const rw::Spectrum spectrum = rw::spectrum(kLlama3);
  const std::int64_t limit = rw::kMaximumPrecisionPosition - 1;
  CHECK(rw::precision_budget(spectrum, rw::exact_path(), 3e-8, limit).safe_position == limit);
  CHECK(rw::precision_budget(spectrum, rw::float64_path(), 1e-6, limit).safe_position == limit);
  CHECK(rw::cosine_error(spectrum, rw::exact_path(rw::CosineType::float64), 1 << 28, 10).maximum ==
        0.0);
  // Half an ULP of 10^7 radians, 9.3e-10.
  CHECK(rw::cosine_error(spectrum, rw::float64_path(), 10000000, 1024).maximum <= 9.4e-10);
}

TEST_CASE("pairs that stand still have no error in any type") {
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  const rw::Spectrum partial = rw::spectrum(config, rw::Proportional{0.25});
  for (const rw::AnglePath& path :
       {rw::float32_path(partial), rw::ggml_cpu_path(config, partial), rw::bfloat16_path(partial),
        rw::exact_path(rw::CosineType::bfloat16), rw::float64_path()}) {
    const rw::PrecisionBudget budget = rw::precision_budget(partial, path, 1e-9, 4096);
    for (std::size_t pair = 16; pair < 64; ++pair) {
      CHECK(budget.pair_safe_position[pair] == 4096);
    }
    CHECK(rw::cosine_error(partial, path, 4000, 96).pair_maximum[63] == 0.0);
  }
}

TEST_CASE("a checkpoint's own table takes the place of every model of it") {
  const rw::Spectrum spectrum{{1.0, 0.1}, 1.0};
  const rw::AnglePath path = rw::float32_path({1.0f, 0.1001f}, rw::CosineType::float64);
  const rw::CosineError error = rw::cosine_error(spectrum, path, 100, 1);
  // 100 * (0.1001f - 0.1), the float being off by at most 2^-28.
  CHECK(error.from_frequency == Approx(0.01).margin(100 * 0x1p-27));
  CHECK(error.maximum == Approx(std::fabs(std::cos(10.01) - std::cos(10.0))).margin(1e-5));
  CHECK(error.maximum_pair == 1);
  CHECK(error.maximum_at == 100);
}

TEST_CASE("precision refuses bounds, positions and tables it cannot use, by name and value") {
  const rw::Spectrum spectrum = rw::spectrum(kLlama3);
  const rw::AnglePath path = rw::float32_path(spectrum);
  const auto budget = [&](double bound, std::int64_t limit) {
    return rw::precision_budget(spectrum, path, bound, limit);
  };
  for (const double bound : {0.0, -1.0, kNan, std::numeric_limits<double>::infinity(), 1e-13}) {
    CHECK_THROWS_WITH(budget(bound, 100), contains("bound"));
  }
  CHECK_THROWS_WITH(budget(1e-3, 0), contains("limit = 0"));
  CHECK_THROWS_WITH(budget(1e-3, std::int64_t{1} << 29), contains("limit = 536870912"));
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, path, -1, 1), contains("first_position = -1"));
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, path, 0, 0), contains("positions = 0"));
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, path, (1 << 29) - 1, 2),
                    contains("first_position + positions"));
  CHECK_THROWS_WITH(rw::cosine_error({}, path, 0, 1), contains("spectrum"));
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, rw::float32_path(std::vector<float>{1.0f}), 0, 1),
                    contains("path.inv_freq = 1 "));
  rw::AnglePath bad = path;
  bad.inv_freq[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, bad, 0, 1), contains("path.inv_freq[5]"));
  rw::Spectrum bad_spectrum = spectrum;
  bad_spectrum.inv_freq[7] = -1.0;
  CHECK_THROWS_WITH(rw::cosine_error(bad_spectrum, path, 0, 1), contains("inv_freq[7] = -1"));
  bad = rw::ggml_cpu_path(kLlama3);
  bad.step = 0.0f;
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, bad, 0, 1), contains("path.step"));
  bad.step = 1.5f;
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, bad, 0, 1), contains("path.step = 1.5"));
  bad = rw::ggml_cpu_path(kLlama3);
  bad.pair_scale.assign(3, 1.0f);
  CHECK_THROWS_WITH(rw::cosine_error(spectrum, bad, 0, 1), contains("path.pair_scale = 3"));
  CHECK_THROWS_WITH(rw::ggml_cpu_path(kLlama3, {{1.0}, 1.0}), contains("spectrum = 1"));
  rw::RopeConfig config = kLlama3;
  config.theta = 1.0;
  CHECK_THROWS_WITH(rw::hugging_face_path(config), contains("theta = 1"));
  CHECK_THROWS_WITH(rw::ggml_cpu_path(config), contains("theta = 1"));
  CHECK_THROWS_WITH(rw::ggml_cuda_path(config), contains("theta = 1"));
}

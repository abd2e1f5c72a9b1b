// The rest of engine.cpp: fits, searches and schedules of scales per head.
#include "engine.hpp"

#include <vector>

namespace rw = ropewalk;

namespace {

const double kNotANumber = from_bits(0x7ff8000000000000u);

void fits() {
  const std::vector<double> factors = {2.0, 4.0, 8.0};
  // 1 + 0.3973 ln(factor)
  const std::vector<double> scales = {1.27538737483647, 1.55077474967293, 1.8261621245094};
  const rw::UniformFit fit = rw::fit_uniform_scale(factors, scales);
  expect("a fitted slope", fit.slope, 0.3973);
  expect("its R squared", fit.r_squared.value_or(0.0), 1.0);
  const std::vector<double> broken = {1.2, kNotANumber, 1.8};
  expect_refused("a scale NaN", rw::detail::check_uniform_fit(factors, broken),
                 rw::Errc::not_finite, "head_scales");
  const rw::UniformScaleSearch best = rw::search_uniform_scale(
      rw::head_scale_grid(1.0, 2.0),
      [](double head_scale) { return head_scale < 1.295 ? kNotANumber : head_scale; });
  expect("the best uniform scale", best.best.head_scale, 1.3);
  expect_equal("losses NaN", best.not_finite, 30);
}

void entropies() {
  const auto head = [](double head_scale) {
    return rw::HeadEntropy{3.0 - head_scale, head_scale};  // d entropy / d ln(head_scale)
  };
  rw::EntropySearch search;
  search.tolerance = 1e-13;
  const rw::ScaleForEntropy found = rw::scale_for_entropy(0.75, head, search);
  expect("a scale for an entropy", found.head_scale, 2.25);
  expect_equal("reached", found.status == rw::EntropySearchStatus::reached ? 1 : 0, 1);
  const rw::ScaleForEntropy broken = rw::scale_for_entropy(0.75, [](double) {
    return rw::HeadEntropy{kNotANumber, 1.0};
  });
  expect_equal("an entropy NaN", broken.status == rw::EntropySearchStatus::not_finite ? 1 : 0, 1);
}

void tables() {
  const rw::Llama4PositionScale law;
  const std::vector<double> table = rw::position_scales(law, 8190, 2);
  expect("before the first step", table[0], 1.0);
  expect("after it", table[1], 1.06931471805599);
  const std::vector<double> gradient = {5.0, 2.0};
  expect("a slope's gradient", rw::slope_gradient(law, 8190, gradient), 2.0 * 0.69314718055994531);
}

void searches() {
  expect("a multiplier", rw::LearningRateSchedule{}.multiplier(65), 0.868198051534);
  rw::HeadScaleSearch search(1, 2, 1.6);
  std::vector<double> gradient(2);
  while (search.searching()) {
    gradient[0] = search.head_scale()[0] - 1.25;
    gradient[1] = search.head_scale()[1] - 0.5;
    search.step(0.0, gradient);
  }
  expect("a scale that was searched", search.layer_head_scale(0)[0], 1.25, 1e-3);
  expect("a scale at its bound", search.layer_head_scale(0)[1], 1.0);
  rw::HeadScaleSearch stopped(1, 2, 1.6);
  gradient[1] = kNotANumber;
  expect_refused("a gradient NaN", stopped.step(0.0, gradient), rw::Errc::not_finite, "gradient");
  expect_refused("a loss NaN", rw::HeadScaleSearch(1, 2, 1.6).step(kNotANumber, gradient),
                 rw::Errc::not_finite, "loss");
  expect_equal("steps taken", stopped.state().step, 0);
}

}  // namespace

void head_scales() {
  fits();
  entropies();
  tables();
  searches();
}

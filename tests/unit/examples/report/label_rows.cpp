// The programs are tested where they are built.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <support/report/label_rows.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstddef>
#include <vector>

using namespace report;

namespace {

/// True where a text meets another, or a line that runs past it.
bool collide(const UprightLabel& a, const UprightLabel& b) {
  if (a.row == b.row) return a.start() < b.end() && b.start() < a.end();
  const UprightLabel& low = a.row < b.row ? a : b;
  const UprightLabel& high = a.row < b.row ? b : a;
  return low.start() < high.line && high.line < low.end();
}

}  // namespace

TEST_CASE("labels with room on the right share the row next to the panel") {
  std::vector<UprightLabel> labels = {{100.0, 50.0}, {300.0, 50.0}};
  place_labels(labels, 0.0, 880.0);
  for (const UprightLabel& label : labels) {
    CHECK(label.row == 0);
    CHECK_FALSE(label.at_left);
  }
}

TEST_CASE("a label that would leave the figure stands at the left of its line") {
  std::vector<UprightLabel> labels = {{800.0, 200.0}};
  place_labels(labels, 0.0, 880.0);
  CHECK(labels[0].at_left);
}

TEST_CASE("of up to three labels no text meets another or a line") {
  ropewalk_test::Random random("label rows");
  const std::uint64_t figures = ropewalk_test::test_iterations(2000);
  for (std::uint64_t i = 0; i < figures; ++i) {
    std::vector<UprightLabel> labels(static_cast<std::size_t>(random.integer(1, 3)));
    for (UprightLabel& label : labels) {
      label.line = random.uniform(84.0, 860.0);
      label.width = random.uniform(40.0, 330.0);
    }
    place_labels(labels, 4.0, 876.0);
    INFO(ropewalk_test::seed_text() << ", figure " << i);
    for (std::size_t a = 0; a < labels.size(); ++a) {
      for (std::size_t b = a + 1; b < labels.size(); ++b)
        CHECK_FALSE(collide(labels[a], labels[b]));
    }
  }
}
#endif

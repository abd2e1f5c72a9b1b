#include <support/report/label_rows.hpp>

#include <algorithm>
#include <cstddef>

namespace report {

namespace {

bool covers(const UprightLabel& label, double x) { return label.start() < x && x < label.end(); }

/// False where one is in the other's way. Lines end at their own row.
bool compatible(const UprightLabel& a, const UprightLabel& b) {
  if (a.row == b.row) return a.end() <= b.start() || b.end() <= a.start();
  const UprightLabel& low = a.row < b.row ? a : b;
  const UprightLabel& high = a.row < b.row ? b : a;
  return !covers(low, high.line);
}

/// Each label in the lowest row that is free, in the order given. False where one finds none.
bool assign_rows(std::vector<UprightLabel>& labels, const std::vector<std::size_t>& order) {
  const int rows = static_cast<int>(labels.size());
  for (std::size_t place = 0; place < order.size(); ++place) {
    UprightLabel& label = labels[order[place]];
    const auto is_free = [&] {
      return std::all_of(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(place),
                         [&](std::size_t before) { return compatible(labels[before], label); });
    };
    label.row = 0;
    while (label.row < rows && !is_free()) ++label.row;
    if (label.row == rows) return false;
  }
  return true;
}

int height_of(const std::vector<UprightLabel>& labels) {
  int height = 0;
  for (const UprightLabel& label : labels) height = std::max(height, label.row + 1);
  return height;
}

/// How far texts stick out, then how many rows they take.
double cost_of(const std::vector<UprightLabel>& labels, double left_edge, double right_edge) {
  double outside = 0.0;
  for (const UprightLabel& label : labels) {
    outside += std::max(0.0, left_edge - label.start());
    outside += std::max(0.0, label.end() - right_edge);
  }
  return 1000.0 * outside + height_of(labels);
}

}  // namespace

void place_labels(std::vector<UprightLabel>& labels, double left_edge, double right_edge) {
  // A figure has up to three of them: every choice of sides can be tried.
  std::vector<std::size_t> order(labels.size());
  for (std::size_t index = 0; index < order.size(); ++index) order[index] = index;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return labels[a].line > labels[b].line; });
  std::vector<UprightLabel> best;
  for (std::size_t sides = 0; sides < std::size_t{1} << labels.size(); ++sides) {
    std::vector<UprightLabel> tried = labels;
    for (std::size_t index = 0; index < tried.size(); ++index)
      tried[index].at_left = (sides >> index & 1u) != 0;
    for (int direction = 0; direction < 2; ++direction) {
      if (assign_rows(tried, order) && (best.empty() || cost_of(tried, left_edge, right_edge) <
                                                            cost_of(best, left_edge, right_edge)))
        best = tried;
      std::reverse(order.begin(), order.end());
    }
  }
  if (!best.empty()) labels = best;
}

}  // namespace report

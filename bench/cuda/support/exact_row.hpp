// One row of attention as its definition says, in double: what a measured kernel is compared with.
#pragma once

#include <ropewalk/mask.hpp>

#include <string>
#include <vector>

namespace ropewalk_bench {

/// A query and the keys and values of its head, (keys, head_dim) each.
struct RowInputs {
  std::vector<double> query;
  std::vector<double> keys;
  std::vector<double> values;
  double logit_scale = 1;
  ropewalk::VisibleKeys visible;
};

struct ExactRow {
  double lse = 0;
  double entropy = 0;
  double mean = 0;
  double variance = 0;
  std::vector<double> out;
  std::vector<double> magnitude;  // sum of p |v|: what rounded weights may move
};

ExactRow exact_row(const RowInputs& inputs);

/// g of a row, the gradient of the loss by the logarithm of its scale, and the sum of the magnitudes
/// of its terms.
struct ExactGradient {
  double g = 0;
  double magnitude = 0;
};

ExactGradient exact_gradient(const RowInputs& inputs, const std::vector<double>& d_out);

/// Statistics that a kernel gave, where it gave them.
struct RowFound {
  std::vector<double> out;  // empty: none
  double lse = 0;
  bool has_entropy = false;
  double entropy = 0;
  double mean = 0;
  bool has_variance = false;
  double variance = 0;
};

/// Ends the program where the row is not what it must be: statistics within 1e-4, of values above 1
/// relative; outputs within the rounding of the weights for their product and of the result.
///   weight_error   half a unit in the last place of the element type, relative: 2^-8 or 2^-11
void require_row(const std::string& what, const RowFound& found, const ExactRow& exact,
                 double weight_error);

}  // namespace ropewalk_bench

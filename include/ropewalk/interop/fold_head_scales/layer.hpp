// One layer of a checkpoint: its projection, what else acts on its queries, the factor of every row.
// Leaf; interop only.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/fold_head_scales/model.hpp>
#include <ropewalk/interop/fold_head_scales/names.hpp>
#include <ropewalk/interop/safetensors/header.hpp>
#include <ropewalk/interop/safetensors/values.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// The scales of one layer's query heads.
struct LayerHeadScales {
  int layer = 0;
  std::vector<double> head_scale;  ///< (heads,), each in [1e-6, 1e6]; multiplies the head's logits
};

/// One tensor to change: element (row, column) times factor[row], or factor[column] where the weight
/// is stored transposed.
struct FoldedTensor {
  std::size_t shard = 0;   ///< index of the header
  std::size_t tensor = 0;  ///< index in it
  int layer = 0;
  std::int64_t columns = 1;    ///< elements that lie behind one another in one row of the file
  bool transposed = false;     ///< (in, out), as Conv1D stores it
  std::vector<double> factor;  ///< (out,); 1 for what is no query
};

/// What will be done, one entry per tensor: the projection of every layer, and its bias if it has
/// one.
struct FoldPlan {
  std::vector<FoldedTensor> tensors;  ///< by layer, weight before bias
  std::vector<std::string> warnings;
};

namespace detail {

/// Where a tensor is.
struct TensorPlace {
  std::size_t shard = 0;
  std::size_t tensor = 0;
};

/// The projection of one layer.
struct QueryModule {
  QueryName name;  // of its first tensor; points into the headers
  std::vector<TensorPlace> tensors;
  std::vector<std::string_view> leaves;
};

/// Everything of one layer that the fold looks at.
struct LayerTensors {
  std::vector<QueryModule> modules;  // one, where all is well
  std::vector<TensorPlace> others;
};

/// Refuses what else a layer does with its queries.
inline std::optional<ReadFault> check_rest(Span<const SafetensorsHeader> shards,
                                           const LayerTensors& layer, std::int64_t rows) {
  const QueryName& query = layer.modules.front().name;
  for (const TensorPlace& place : layer.others) {
    const TensorEntry& tensor = shards[place.shard].tensors[place.tensor];
    const std::optional<LayerName> name = layer_name(tensor.name);
    if (!name || name->prefix != query.prefix) continue;
    const QueryRole role = query_role(name->rest, query.projection == "q_b_proj");
    if (role == QueryRole::none) continue;
    const std::string key = shortened(tensor.name);
    if (role == QueryRole::unknown) {
      return ReadFault{key, "",
                       "acts on queries besides " + shortened(query.projection) +
                           ", in a way that is not known here"};
    }
    const bool per_head = elements_of(tensor.shape).value_or(0) == rows;
    return ReadFault{
        key, "",
        std::string("is a norm after the query projection: it divides a scale of the "
                    "rows away again, and its weight") +
            (per_head ? ", which has entries for every head, is not what is folded into here"
                      : " is shared by all heads, so it cannot hold one scale per "
                        "head either")};
  }
  return std::nullopt;
}

/// The factor of every row of a projection.
inline std::vector<double> row_factors(QueryLayout layout, int kv_heads, std::int64_t head_dim,
                                       std::int64_t rows, const std::vector<double>& head_scale) {
  const auto heads = static_cast<std::int64_t>(head_scale.size());
  std::int64_t together = heads;  // query heads that lie behind one another
  std::int64_t stride = 0;        // rows from one such group to the next
  if (layout == QueryLayout::per_head) together = 1;
  if (layout == QueryLayout::per_group) together = heads / kv_heads;
  if (layout == QueryLayout::quarters) together = heads / 4;
  stride = layout == QueryLayout::quarters ? 3 * together * head_dim : (together + 2) * head_dim;
  std::vector<double> factors(static_cast<std::size_t>(rows), 1.0);
  for (std::int64_t head = 0; head < heads; ++head) {
    const std::int64_t first = head / together * stride + head % together * head_dim;
    const auto begin = factors.begin() + first;
    std::fill(begin, begin + head_dim, head_scale[static_cast<std::size_t>(head)]);
  }
  return factors;
}

/// Works out one layer's tensors, or says why they cannot be scaled.
class LayerFold {
 public:
  LayerFold(Span<const SafetensorsHeader> shards, const FoldModel& model,
            const LayerHeadScales& scales, const LayerTensors& layer)
      : shards_(shards), model_(model), scales_(scales), layer_(layer) {}

  std::optional<ReadFault> add_to(FoldPlan& plan) {
    const QueryModule& module = layer_.modules.front();
    const TensorPlace* weight = nullptr;
    const TensorPlace* bias = nullptr;
    for (std::size_t index = 0; index < module.tensors.size(); ++index) {
      const TensorPlace& place = module.tensors[index];
      const TensorEntry& tensor = entry(place);
      const bool is_weight = module.leaves[index] == "weight";
      if (!is_weight && module.leaves[index] != "bias") {
        return fault(tensor, "",
                     "belongs to a quantized or adapted projection; only a plain weight and bias "
                     "can be scaled");
      }
      (is_weight ? weight : bias) = &place;
      const bool plain = holds_floats(tensor.dtype) || tensor.dtype == Dtype::f64;
      if (!plain) {
        return fault(tensor, std::string(dtype_name(tensor.dtype)),
                     "is quantized; only F64, F32, F16 and BF16 can be scaled");
      }
    }
    if (weight == nullptr)
      return fault(entry(module.tensors.front()), "", "has no weight beside it");
    const std::optional<ReadFault> misfit = measure(entry(*weight));
    // The better reason of the two: what has a norm here may have rows of other uses as well.
    if (std::optional<ReadFault> refused = check_rest(shards_, layer_, query_rows_)) return refused;
    if (misfit) return misfit;
    plan.tensors.push_back(folded(*weight));
    if (bias == nullptr) return std::nullopt;
    const TensorEntry& tensor = entry(*bias);
    if (tensor.shape != std::vector<std::int64_t>{rows_})
      return fault(tensor, "",
                   "must have one entry per row of the weight, " + std::to_string(rows_));
    FoldedTensor added = folded(*bias);
    added.columns = 1;
    added.transposed = false;
    plan.tensors.push_back(std::move(added));
    return std::nullopt;
  }

 private:
  const TensorEntry& entry(const TensorPlace& place) const {
    return shards_[place.shard].tensors[place.tensor];
  }

  static ReadFault fault(const TensorEntry& tensor, std::string value, std::string text) {
    return {shortened(tensor.name), std::move(value), std::move(text)};
  }

  FoldedTensor folded(const TensorPlace& place) const {
    return {place.shard, place.tensor, scales_.layer, columns_, transposed_, factors_};
  }

  std::optional<ReadFault> measure(const TensorEntry& weight) {
    const auto heads = static_cast<std::int64_t>(scales_.head_scale.size());
    if (weight.shape.size() != 2) return fault(weight, "", "must be a matrix");
    const bool alone = one_of(kQueryAlone, layer_.modules.front().name.projection);
    const QueryLayout layout =
        alone ? QueryLayout::separate : model_.fused.value_or(QueryLayout::separate);
    if (!alone && layout == QueryLayout::separate) {
      return fault(
          weight, model_.model_type.empty() ? "" : "model_type " + shortened(model_.model_type),
          "holds q, k and v in an order that the model's type would tell; it is not known");
    }
    const std::int64_t kv_heads = layout == QueryLayout::separate ? 0 : model_.kv_heads;
    if (layout != QueryLayout::separate && kv_heads < 1)
      return fault(weight, "", "needs a config that says how many heads there are");
    const bool paired = layout == QueryLayout::per_head || layout == QueryLayout::quarters;
    if ((paired && kv_heads != heads) || (kv_heads > 0 && heads % kv_heads != 0) ||
        (layout == QueryLayout::quarters && heads % 4 != 0)) {
      return fault(weight,
                   std::to_string(heads) + " heads, " + std::to_string(kv_heads) + " of keys",
                   "does not fit the layout of its model type");
    }
    const std::int64_t blocks = heads + 2 * kv_heads;
    // GPT-2 and those after it store (in, out); copies of it are found either way.
    const bool conv = layer_.modules.front().name.projection == "c_attn";
    const auto fits = [&](std::int64_t rows) {
      return rows > 0 && rows % blocks == 0 &&
             (model_.head_dim == 0 || rows / blocks == model_.head_dim);
    };
    transposed_ = conv && weight.shape[1] > weight.shape[0];
    rows_ = weight.shape[transposed_ ? 1 : 0];
    columns_ = weight.shape[1];
    if (!fits(rows_)) {
      return fault(weight, std::to_string(rows_) + " rows",
                   "must have " + std::to_string(blocks) + " heads of " +
                       (model_.head_dim > 0 ? std::to_string(model_.head_dim) + " rows"
                                            : std::string("equally many rows")));
    }
    const std::int64_t head_dim = rows_ / blocks;
    query_rows_ = heads * head_dim;
    factors_ = row_factors(layout, static_cast<int>(kv_heads), head_dim, rows_, scales_.head_scale);
    return std::nullopt;
  }

  Span<const SafetensorsHeader> shards_;
  const FoldModel& model_;
  const LayerHeadScales& scales_;
  const LayerTensors& layer_;
  std::vector<double> factors_;
  std::int64_t rows_ = 0;
  std::int64_t query_rows_ = 0;
  std::int64_t columns_ = 0;
  bool transposed_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

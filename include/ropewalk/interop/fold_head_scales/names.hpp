// Which tensors of a checkpoint make queries, by their names. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// A tensor's name in its parts: "model.layers." 12 ".self_attn.q_proj" "weight".
struct QueryName {
  std::string_view prefix;  // up to the layer's number
  int layer = 0;
  std::string_view module;      // up to the projection's name, with it
  std::string_view projection;  // its name
  std::string_view leaf;        // "weight", "bias", or what quantization and adapters put there
};

inline constexpr std::string_view kQueryAlone[] = {"q_proj", "q_b_proj", "wq"};
inline constexpr std::string_view kQueryFused[] = {"qkv_proj", "query_key_value", "c_attn", "Wqkv",
                                                   "wqkv",     "W_pack"};

template <std::size_t kSize>
bool one_of(const std::string_view (&list)[kSize], std::string_view name) noexcept {
  for (const std::string_view entry : list) {
    if (entry == name) return true;
  }
  return false;
}

inline std::vector<std::string_view> parts_of(std::string_view name, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = name.find(separator);
    parts.push_back(name.substr(0, end));
    if (end == std::string_view::npos) return parts;
    name.remove_prefix(end + 1);
  }
}

/// A layer's number: digits, at most four.
inline std::optional<int> layer_number(std::string_view part) noexcept {
  if (part.empty() || part.size() > 4) return std::nullopt;
  int number = 0;
  for (const char digit : part) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = 10 * number + (digit - '0');
  }
  return number;
}

/// The first number in a name, as the layer's, with what stands before and behind it.
struct LayerName {
  std::string_view prefix;
  int layer = 0;
  std::string_view rest;  // "self_attn.q_proj.weight"
};

inline std::optional<LayerName> layer_name(std::string_view name) {
  std::size_t begin = 0;
  for (const std::string_view part : parts_of(name, '.')) {
    const std::size_t end = begin + part.size();
    const std::optional<int> number = layer_number(part);
    if (number && end < name.size())
      return LayerName{name.substr(0, begin), *number, name.substr(end + 1)};
    begin = end + 1;
  }
  return std::nullopt;
}

inline std::optional<QueryName> query_name(std::string_view name) {
  const std::optional<LayerName> layer = layer_name(name);
  if (!layer) return std::nullopt;
  std::size_t begin = name.size() - layer->rest.size();
  for (const std::string_view part : parts_of(layer->rest, '.')) {
    const std::size_t end = begin + part.size();
    const bool known = one_of(kQueryAlone, part) || one_of(kQueryFused, part);
    if (known && end < name.size()) {
      return QueryName{layer->prefix, layer->layer, name.substr(0, end), part,
                       name.substr(end + 1)};
    }
    begin = end + 1;
  }
  return std::nullopt;
}

/// What a tensor of a layer does with queries, by the words of its name.
enum class QueryRole {
  none,
  norm,    // "q_norm.weight", "query_layernorm.weight", "q_layernorm.norms.3.weight"
  unknown  // "q_conv1d.weight", "q_bias", ...
};

inline bool is_query_word(std::string_view word) noexcept {
  constexpr std::string_view words[] = {"q", "query", "queries", "qk", "qkv", "wq"};
  return one_of(words, word) ||
         (word.size() == 2 && word[0] == 'q' && word[1] >= '0' && word[1] <= '9');
}

/// The role of one tensor that is not of the projection itself.
///   rest            its name behind the layer's number
///   low_rank        q comes in two steps, of which the projection is the second: what belongs to
///                   the first stands before it and is harmless
inline QueryRole query_role(std::string_view rest, bool low_rank) {
  for (const std::string_view part : parts_of(rest, '.')) {
    // DeepSeek's indexer chooses keys by queries of its own.
    if (part == "indexer") return QueryRole::none;
    bool query = false;
    bool norm = false;
    bool first_step = false;
    for (const std::string_view word : parts_of(part, '_')) {
      query = query || is_query_word(word);
      norm = norm || word == "ln" || word.find("norm") != std::string_view::npos;
      first_step = first_step || word == "a";
    }
    if (query && !(low_rank && first_step)) return norm ? QueryRole::norm : QueryRole::unknown;
  }
  return QueryRole::none;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

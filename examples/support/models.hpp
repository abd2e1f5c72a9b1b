// The model configs that ship with the programs. Their definitions are generated from
// examples/models/*.json when the programs are built.
#pragma once

#include <cstddef>
#include <string_view>

/// One shipped config: the name is the file's, without its extension.
struct ShippedModel {
  std::string_view name;
  std::string_view json;
};

/// (shipped_model_count(),) in order of name.
const ShippedModel* shipped_models();
std::size_t shipped_model_count();

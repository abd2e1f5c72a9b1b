// Trained parameters on disk: safetensors, bfloat16.
#pragma once

#include "shape.hpp"

#include <filesystem>
#include <vector>

namespace lm {

/// Rounds the parameters to bfloat16 and writes them. Throws std::runtime_error.
void write_weights(const std::filesystem::path& path, const Shape& shape,
                   const std::vector<float>& parameters);

/// Throws std::runtime_error naming the tensor that is missing or of another shape.
std::vector<float> read_weights(const std::filesystem::path& path, const Shape& shape);

}  // namespace lm

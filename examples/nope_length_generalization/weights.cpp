#include "weights.hpp"

#include "result.hpp"

#include <ropewalk/interop/safetensors.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace rw = ropewalk;

namespace lm {

namespace {

std::vector<std::int64_t> stored_shape(const Tensor& tensor) {
  if (tensor.is_norm()) return {tensor.columns};
  return {tensor.rows, tensor.columns};
}

}  // namespace

void write_weights(const std::filesystem::path& path, const Shape& shape,
                   const std::vector<float>& parameters) {
  const std::vector<Tensor> tensors = Layout(shape).all();
  std::vector<std::vector<unsigned char>> bytes;
  std::vector<rw::TensorData> data;
  for (const Tensor& tensor : tensors) {
    const rw::Span<const float> values(parameters.data() + tensor.first, tensor.size());
    bytes.push_back(rw::float_bytes(values, rw::Dtype::bf16));
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    data.push_back({tensors[i].name, rw::Dtype::bf16, stored_shape(tensors[i]), bytes[i]});
  }
  value_of(rw::save_safetensors(path.string(), data), path.string());
}

std::vector<float> read_weights(const std::filesystem::path& path, const Shape& shape) {
  const rw::Safetensors file = value_of(rw::load_safetensors(path.string()), path.string());
  const Layout layout(shape);
  std::vector<float> parameters(layout.size);
  for (const Tensor& tensor : layout.all()) {
    const rw::TensorEntry* entry = file.header.find(tensor.name);
    if (entry == nullptr || entry->shape != stored_shape(tensor))
      throw std::runtime_error(path.string() + ": " + tensor.name + " is not that of this model");
    const std::vector<float> values = value_of(rw::read_floats(file.data, *entry), path.string());
    std::copy(values.begin(), values.end(),
              parameters.begin() + static_cast<std::ptrdiff_t>(tensor.first));
  }
  return parameters;
}

}  // namespace lm

// Weights in the safetensors format: headers under hard limits, tensors as floats, files that come
// out the same for the same tensors. Leaf; needs nlohmann/json, as the other readers of interop/ do.
//
//   8 bytes     length N of the header, lowest byte first
//   N bytes     JSON, {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...},
//               and spaces behind it up to a multiple of 8
//   the rest    data, one tensor directly behind the other, row-major, lowest byte first
#pragma once

#include <ropewalk/interop/safetensors/file.hpp>
#include <ropewalk/interop/safetensors/read.hpp>
#include <ropewalk/interop/safetensors/write.hpp>

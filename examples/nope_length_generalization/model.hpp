// The model of this example: float, attention by the library.
#pragma once

#include "library_attention.hpp"
#include "transformer.hpp"

namespace lm {

using Model = Transformer<float, LibraryAttention>;

}  // namespace lm

// What the check of two units must refuse: a launcher that others see, and that waits.
#include <cuda_runtime.h>

#include "unit.hpp"

namespace ropewalk {
int planted(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
}  // namespace ropewalk

namespace ROPEWALK_TEST_UNIT {
int visible() { return ropewalk::planted(nullptr); }
}  // namespace ROPEWALK_TEST_UNIT

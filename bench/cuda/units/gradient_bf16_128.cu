#include "gradient.cuh"

template struct ropewalk_bench::GradientUnit<ropewalk::bfloat16, 128>;

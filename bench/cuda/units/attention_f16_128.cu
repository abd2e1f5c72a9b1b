#include "attention.cuh"

template struct ropewalk_bench::AttentionUnit<ropewalk::float16, 128>;

#include "attention.cuh"

template struct ropewalk_bench::AttentionUnit<ropewalk::bfloat16, 256>;

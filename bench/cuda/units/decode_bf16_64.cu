#include "decode.cuh"

template struct ropewalk_bench::DecodeUnit<ropewalk::bfloat16, 64>;

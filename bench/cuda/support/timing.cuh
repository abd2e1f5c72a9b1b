// Times of what a stream does, by events.
#pragma once

#include "device.cuh"

#include <functional>
#include <vector>

namespace ropewalk_bench {

/// Seconds of one call: the median of the repetitions and the quartiles beside it.
struct Timing {
  double median = 0;
  double low = 0;
  double high = 0;
};

/// Enqueues the work once. The index counts the calls: inputs are set `index % sets`.
using Call = std::function<void(std::int64_t index, cudaStream_t stream)>;

/// Measures calls beside each other: a repetition times each of them in turn, so that whatever slows
/// the card for a while slows all. A repetition of a call lasts five milliseconds or one run, whichever is
/// longer, between two events.
///   graph        replays the calls from a captured graph: what launches cost the host is left out
std::vector<Timing> measure(const std::vector<Call>& calls, int repetitions, bool graph = false);

}  // namespace ropewalk_bench

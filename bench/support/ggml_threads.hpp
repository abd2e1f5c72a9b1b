// Threads of ggml: its own, one to a processor as ours are.
#pragma once

#include <ggml-cpu.h>
#include <ggml.h>
#include <sched.h>

#include <cstddef>

namespace ropewalk_bench {

inline ggml_threadpool* new_pool(int threads, const cpu_set_t& allowed) {
  ggml_threadpool_params params = ggml_threadpool_params_default(threads);
  if (threads > 1) {
    params.strict_cpu = true;
    for (int cpu = 0; cpu < GGML_MAX_N_THREADS && cpu < CPU_SETSIZE; ++cpu) {
      params.cpumask[cpu] = CPU_ISSET(static_cast<std::size_t>(cpu), &allowed);
    }
  }
  return ggml_threadpool_new(&params);
}

}  // namespace ropewalk_bench

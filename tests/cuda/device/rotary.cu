// The rotary kernels on a device against rotate() in double, over the shapes of the host's test.
#include <ropewalk/cuda/rotary.cuh>

#include "cuda/device/support.cuh"
#include "cuda/rotary_cases.hpp"

namespace {

namespace rw = ropewalk;
using namespace ropewalk_test;

template <typename T>
rw::cuda::Status call(const rw::cuda::RotaryParams<T>& params, cudaStream_t stream) {
  return rw::cuda::rotate(params, stream);
}
template <typename T>
rw::cuda::Status call(const rw::cuda::KvWriteParams<T>& params, cudaStream_t stream) {
  return rw::cuda::rotate_and_store(params, stream);
}

template <typename T>
void move_own(const Mirror& mirror, rw::cuda::RotaryParams<T>& params) {
  params.k_out.data = mirror.of(params.k_out.data);
}
template <typename T>
void move_own(const Mirror& mirror, rw::cuda::KvWriteParams<T>& params) {
  params.v.data = mirror.of(params.v.data);
  params.cache.k = mirror.of(params.cache.k);
  params.cache.v = mirror.of(params.cache.v);
  params.cache.page_table = mirror.of(params.cache.page_table);
  params.targets.slots = mirror.of(params.targets.slots);
  params.targets.sequences = mirror.of(params.targets.sequences);
  params.targets.starts = mirror.of(params.targets.starts);
  params.targets.positions = mirror.of(params.targets.positions);
  params.targets.positions32 = mirror.of(params.targets.positions32);
}

/// The same parameters over the device's memory.
template <typename Params>
Params moved(const Mirror& mirror, Params params) {
  params.q.data = mirror.of(params.q.data);
  params.q_out.data = mirror.of(params.q_out.data);
  params.k.data = mirror.of(params.k.data);
  params.positions = mirror.of(params.positions);
  params.positions32 = mirror.of(params.positions32);
  params.angles.cos = mirror.of(params.angles.cos);
  params.angles.sin = mirror.of(params.angles.sin);
  params.head_scale = mirror.of(params.head_scale);
  params.position_scale = mirror.of(params.position_scale);
  move_own(mirror, params);
  return params;
}

/// Runs a call: now and then captured into a graph, now and then again and again.
struct OnDevice {
  int* calls;
  int* unequal;

  template <typename Params>
  void operator()(const Params& host, const std::vector<Array>& arrays) const {
    constexpr int every_captured = 10, every_repeated = 50, repeats = 50;
    Mirror mirror(arrays);
    const Params params = moved(mirror, host);
    const auto launch = [&](cudaStream_t stream) { require(call(params, stream), "the call"); };
    const int number = (*calls)++;
    if (number % every_captured == 1) {
      run_captured(launch);
    } else if (number % every_repeated == 0) {
      *unequal += count_unequal_runs(repeats, [&] {
        mirror.upload();
        launch(nullptr);
        return mirror.download();
      });
    } else {
      launch(nullptr);
    }
    mirror.write_back();
  }
};

template <typename T>
int run_type(const char* name, int shapes) {
  int calls = 0, unequal = 0, refused = 0, wrong = 0;
  Random rotations("cuda rotary"), writes("cuda kv write");
  for (int shape = 0; shape < shapes; ++shape) {
    for (const bool stores : {false, true}) {
      const OnDevice run{&calls, &unequal};
      const Outcome outcome =
          stores ? store_case<T>(writes, run) : rotation_case<T>(rotations, run);
      refused += !outcome.refused.empty();
      wrong += outcome.wrong;
      if (outcome.wrong != 0) std::printf("wrong: %s\n", outcome.text.c_str());
    }
  }
  std::printf("%s: %d calls, %d refused, %d elements wrong, %d runs unequal\n", name, calls,
              refused, wrong, unequal);
  return refused + wrong + unequal;
}

}  // namespace

int main(int count, char** arguments) {
  return device_main(count, arguments, 6, 500, [](int shapes) {
    return run_type<float>("float", shapes) + run_type<rw::float16>("float16", shapes) +
           run_type<rw::bfloat16>("bfloat16", shapes);
  });
}

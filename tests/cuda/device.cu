// The rotary kernels on a device against the same threads run on the host, over random shapes.
//   Skips, with the count, where no device answers.
#include <ropewalk/cuda/rotary.cuh>

#include "../support/random.hpp"
#include "emulation.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

constexpr int kShapes = 500;  // per type and entry point
constexpr std::int64_t kElements = 1 << 18;

void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

/// Memory on both sides, of one size.
template <typename T>
struct Both {
  std::vector<T> host;
  T* device = nullptr;

  explicit Both(std::int64_t size) : host(static_cast<std::size_t>(size)) {
    require(cudaMalloc(&device, bytes()), "cudaMalloc");
  }
  ~Both() { cudaFree(device); }
  Both(const Both&) = delete;
  Both& operator=(const Both&) = delete;

  std::size_t bytes() const { return host.size() * sizeof(T); }
  void upload() {
    require(cudaMemcpy(device, host.data(), bytes(), cudaMemcpyHostToDevice), "upload");
  }
  std::vector<T> download() const {
    std::vector<T> copy(host.size());
    require(cudaMemcpy(copy.data(), device, bytes(), cudaMemcpyDeviceToHost), "download");
    return copy;
  }
};

/// Elements further from the host's than both roundings explain. The host may round a product that
/// the device fuses: each is within 8.8 u |(x, y)| and half a last place of the exact value, and no
/// pair is longer than 8 sqrt 2 times the scales, up to 3.
template <typename T>
int count_wrong(const std::vector<T>& device, const std::vector<T>& host) {
  const double last_place = sizeof(T) == 4                   ? 0.0
                            : std::is_same_v<T, rw::float16> ? 0x1p-10
                                                             : 0x1p-7;
  int wrong = 0;
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (std::memcmp(&device[i], &host[i], sizeof(T)) == 0) continue;
    const double a = static_cast<double>(rw::ElementTraits<T>::load(device[i]));
    const double b = static_cast<double>(rw::ElementTraits<T>::load(host[i]));
    const double bound = 2 * 8.8 * 0x1p-24 * 8 * 1.4143 * 3 + last_place * std::fabs(b) + 0x1p-24;
    wrong += !(std::fabs(a - b) <= bound);
  }
  return wrong;
}

template <typename T>
int run_type(const char* name) {
  Random random(name);
  Both<T> in(kElements), out(kElements), keys(kElements), values(kElements);
  Both<std::int64_t> positions(64), slots(64);
  Both<float> head_scale(64), position_scale(64);
  const T poison = rw::ElementTraits<T>::store(std::nanf(""));
  int wrong = 0;
  for (int shape = 0; shape < kShapes; ++shape) {
    const int unit = random.one_in(2) ? 8 : 1;
    const int pairs = unit * static_cast<int>(random.integer(1, unit == 8 ? 16 : 70));
    const int first_dim = unit * static_cast<int>(random.integer(0, 2));
    const int head_dim = first_dim + 2 * pairs + unit * static_cast<int>(random.integer(0, 2));
    const std::int64_t tokens = random.integer(1, 24);
    const std::int64_t q_heads = random.integer(1, 16);
    const std::int64_t k_heads = random.integer(1, 4);
    for (T& element : in.host) {
      element = rw::ElementTraits<T>::store(static_cast<float>(random.uniform(-4.0, 4.0)));
    }
    for (auto* memory : {&out, &keys, &values}) {
      for (T& element : memory->host) element = poison;
    }
    for (std::size_t i = 0; i < 64; ++i) {
      positions.host[i] = random.integer(-1000000, 1000000);
      slots.host[i] = random.one_in(6) ? -1 : static_cast<std::int64_t>(63 - i);
      head_scale.host[i] = static_cast<float>(random.uniform(0.5, 1.5));
      position_scale.host[i] = static_cast<float>(random.uniform(0.5, 1.5));
    }
    in.upload();
    out.upload();
    keys.upload();
    values.upload();
    positions.upload();
    slots.upload();
    head_scale.upload();
    position_scale.upload();
    rw::RopeConfig config;
    config.head_dim = config.rotary_dim = 2 * pairs;
    const rw::cuda::RotaryAngles angles =
        rw::cuda::rotary_angles(rw::phase_turns(rw::spectrum(config)));
    const bool interleaved = random.one_in(2);
    const bool stores = random.one_in(2);
    // The same parameters over the memory of either side.
    const auto params_on = [&](bool device, auto& params) {
      const auto side = [device](auto& both) { return device ? both.device : both.host.data(); };
      const std::int64_t all = q_heads + 2 * k_heads;
      const auto view = [&](T* data, std::int64_t first, std::int64_t heads) {
        return rw::HeadView<T>{data + first * head_dim, tokens,  heads, head_dim,
                               all * head_dim,          head_dim};
      };
      params.q = view(side(in), 0, q_heads);
      params.q_out = view(side(out), 0, q_heads);
      params.k = view(side(in), q_heads, k_heads);
      params.positions = side(positions);
      params.angles = angles;
      params.first_dim = first_dim;
      params.pairing = interleaved ? rw::Pairing::interleaved : rw::Pairing::half_split;
      params.head_scale = side(head_scale);
      params.position_scale = side(position_scale);
      if constexpr (std::is_same_v<std::decay_t<decltype(params)>, rw::cuda::RotaryParams<T>>) {
        params.k_out = view(side(out), q_heads, k_heads);
      } else {
        params.v = view(side(in), q_heads + k_heads, k_heads);
        params.cache = {side(keys),         side(values), 4,          16, 16 * k_heads * head_dim,
                        k_heads * head_dim, head_dim,     side(slots)};
      }
      return params;
    };
    if (stores) {
      rw::cuda::KvWriteParams<T> params;
      require(rw::cuda::rotate_and_store(params_on(true, params), nullptr), "rotate_and_store");
      ropewalk_test::emulate_launch(params_on(false, params));
    } else {
      rw::cuda::RotaryParams<T> params;
      require(rw::cuda::rotate(params_on(true, params), nullptr), "rotate");
      ropewalk_test::emulate_launch(params_on(false, params));
    }
    require(cudaDeviceSynchronize(), "the kernel");
    wrong += count_wrong(out.download(), out.host) + count_wrong(keys.download(), keys.host) +
             count_wrong(values.download(), values.host);
  }
  std::printf("%s: %d shapes, %d elements wrong\n", name, kShapes, wrong);
  return wrong;
}

}  // namespace

int main() {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice || devices == 0) {
    std::printf("skip: %d shapes, no device answers (error %d)\n", 3 * kShapes,
                static_cast<int>(error));
    return 0;
  }
  require(error, "cudaGetDeviceCount");
  const int wrong = run_type<float>("float") + run_type<rw::float16>("float16") +
                    run_type<rw::bfloat16>("bfloat16");
  return wrong == 0 ? 0 : 1;
}

// The program of every consumer project: Llama-3-8B.
#include <ropewalk/ropewalk.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
  const ropewalk::RopeConfig config{128, 128, 500000.0, 8192};
  const ropewalk::Spectrum linear = ropewalk::spectrum(config, ropewalk::Linear{4.0});
  std::printf("critical dimension %d\n", ropewalk::critical_dimension(config));
  std::printf("theta for 262144 tokens %.4f\n", ropewalk::theta_for_length(config, 262144));
  std::printf("slowest wavelength, linear by 4 %.0f\n", 6.283185307179586 / linear.inv_freq.back());

  std::vector<float> head(128);  // its first pair is (1, 0)
  head[0] = 1.0f;
  const std::int64_t position[1] = {1000003};
  ropewalk::rotate(ropewalk::make_head_view(head.data(), 1, 1, 128), position,
                   ropewalk::phase_turns(linear), config.pairing);
  std::printf("first pair at 1000003 %.5f %.5f\n", static_cast<double>(head[0]),
              static_cast<double>(head[64]));
  return 0;
}

// The program of every consumer project: Llama-3-8B.
#include <ropewalk/ropewalk.hpp>

#include <cstdio>

int main() {
  const ropewalk::RopeConfig config{128, 128, 500000.0, 8192};
  const ropewalk::Spectrum linear = ropewalk::spectrum(config, ropewalk::Linear{4.0});
  std::printf("critical dimension %d\n", ropewalk::critical_dimension(config));
  std::printf("theta for 262144 tokens %.4f\n", ropewalk::theta_for_length(config, 262144));
  std::printf("slowest wavelength, linear by 4 %.0f\n", 6.283185307179586 / linear.inv_freq.back());
  return 0;
}

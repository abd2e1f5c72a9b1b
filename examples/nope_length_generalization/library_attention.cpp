#include "library_attention.hpp"

#include <ropewalk/attention.hpp>
#include <ropewalk/attention_gradient.hpp>
#include <ropewalk/simd/attention.hpp>

#include <cstddef>
#include <vector>

namespace rw = ropewalk;

namespace lm {

namespace {

/// Calls call(kernel) with a kernel that this machine can run, whatever the flags.
template <typename Call>
void with_kernel(const Call& call) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512bw")) return call(rw::simd::Avx512Attention{});
  if (__builtin_cpu_supports("avx2")) return call(rw::simd::Avx2Attention{});
#endif
  call(rw::simd::NativeAttention{});
}

rw::HeadView<const float> view(const Rows<float>& x, int heads, const AttentionShape& shape) {
  return rw::make_head_view(x.data(), x.rows(), heads, shape.head_dim);
}

rw::HeadView<float> view(Rows<float>& x, int heads, const AttentionShape& shape) {
  return rw::make_head_view(x.data(), x.rows(), heads, shape.head_dim);
}

rw::Span<const float> all(const Rows<float>& x) {
  return {x.data(), static_cast<std::size_t>(x.size())};
}

rw::Span<float> all(Rows<float>& x) { return {x.data(), static_cast<std::size_t>(x.size())}; }

rw::AttentionOptions options(const AttentionShape& shape, const double* head_scale) {
  return {.head_scale = {head_scale, static_cast<std::size_t>(shape.heads)}};
}

}  // namespace

void LibraryAttention::forward(const AttentionShape& shape, const Rows<float>& q,
                               const Rows<float>& k, const Rows<float>& v, const double* head_scale,
                               Rows<float>& out, Rows<float>& lse, Rows<float>* entropy) {
  out.resize(q.rows(), q.cols());
  lse.resize(q.rows(), shape.heads);
  rw::AttentionStatistics statistics{.lse = all(lse)};
  if (entropy != nullptr) {
    entropy->resize(q.rows(), shape.heads);
    statistics.entropy = all(*entropy);
  }
  with_kernel([&](auto kernel) {
    rw::attend<decltype(kernel)>(view(q, shape.heads, shape), view(k, shape.kv_heads, shape),
                                 view(v, shape.kv_heads, shape), view(out, shape.heads, shape),
                                 options(shape, head_scale), statistics);
  });
}

void LibraryAttention::backward(const AttentionShape& shape, const Rows<float>& q,
                                const Rows<float>& k, const Rows<float>& v,
                                const double* head_scale, const Rows<float>& out,
                                const Rows<float>& lse, const Rows<float>& dout, Rows<float>& dq,
                                Rows<float>& dk, Rows<float>& dv, double* head_scale_gradient) {
  dq.resize(q.rows(), q.cols());
  dk.resize(k.rows(), k.cols());
  dv.resize(v.rows(), v.cols());
  const std::size_t heads =
      head_scale_gradient == nullptr ? 0 : static_cast<std::size_t>(shape.heads);
  std::vector<double> gradient(heads);
  with_kernel([&](auto kernel) {
    rw::attend_backward<decltype(kernel)>(
        view(q, shape.heads, shape), view(k, shape.kv_heads, shape), view(v, shape.kv_heads, shape),
        view(out, shape.heads, shape), {.lse = all(lse)}, view(dout, shape.heads, shape),
        view(dq, shape.heads, shape), view(dk, shape.kv_heads, shape),
        view(dv, shape.kv_heads, shape), options(shape, head_scale), {.head_scale = gradient});
  });
  for (std::size_t head = 0; head < heads; ++head) head_scale_gradient[head] += gradient[head];
}

}  // namespace lm

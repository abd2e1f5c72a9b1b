// Rotation against a copy of as many bytes, and rotation with a write to the cache: against the copy,
// and, of a single token, against the two kernels it replaces.
#include "families.hpp"
#include "support/attention_arrays.cuh"
#include "support/timing.cuh"

#include <ropewalk/cuda/rotary.cuh>
#include <ropewalk/phase.hpp>
#include <ropewalk/spectrum.hpp>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

namespace rw = ropewalk;

constexpr int kHeadDim = 128;
constexpr std::int64_t kFirstPosition = 100000;
constexpr Bound kRotaryBound{0.90, 0.95, true};
constexpr Bound kWriteBound{0.90, 0.94, true};
constexpr Bound kTokenBound{1.3, 1.6, true};

/// What a float kernel and the rounding of its result may be off: the bound of rotary.cuh, of a pair
/// of this length with scales, and half a unit in the last place.
template <typename T>
double rotation_bound(double length, double result) {
  const double rounding = sizeof(T) == 4 ? 0.0 : rounding_of<T>();
  return 8 * 0x1p-24 * length + rounding * std::fabs(result) + 0x1p-25;
}

rw::Spectrum bench_spectrum() {
  rw::RopeConfig config;
  config.head_dim = config.rotary_dim = kHeadDim;
  config.theta = 500000.0;
  return rw::spectrum(config);
}

/// Queries, keys and values of some tokens, packed one behind the other.
template <typename T>
struct Packed {
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t kv_heads;

  std::int64_t row() const { return (heads + 2 * kv_heads) * kHeadDim; }
  std::int64_t size() const { return tokens * row(); }
  template <typename Element>
  rw::HeadView<Element> view(Element* data, std::int64_t first, std::int64_t count) const {
    return {data + first * kHeadDim, tokens, count, kHeadDim, row(), kHeadDim};
  }
};

/// Heads of one token as the exact angles turn them, compared with what the kernel wrote.
template <typename T>
void require_turned(const std::string& what, const std::vector<double>& before,
                    const std::vector<double>& after, std::int64_t position, bool interleaved) {
  const rw::Spectrum spectrum = bench_spectrum();
  const int pairs = kHeadDim / 2;
  for (std::size_t head = 0; head < before.size(); head += kHeadDim) {
    for (int pair = 0; pair < pairs; ++pair) {
      const std::size_t first = head + static_cast<std::size_t>(interleaved ? 2 * pair : pair);
      const std::size_t second = first + static_cast<std::size_t>(interleaved ? 1 : pairs);
      const long double angle =
          static_cast<long double>(position) *
          static_cast<long double>(spectrum.inv_freq[static_cast<std::size_t>(pair)]);
      const double cosine = static_cast<double>(std::cos(angle));
      const double sine = static_cast<double>(std::sin(angle));
      const double x = before[first];
      const double y = before[second];
      const double length = std::hypot(x, y);
      const double turned[2] = {x * cosine - y * sine, x * sine + y * cosine};
      require_close(what, after[first], turned[0], rotation_bound<T>(length, turned[0]));
      require_close(what, after[second], turned[1], rotation_bound<T>(length, turned[1]));
    }
  }
}

std::vector<std::int64_t> consecutive(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

/// A copy of so many bytes, through sets of its own.
class CopyPeer {
 public:
  CopyPeer(const Device& device, std::int64_t bytes)
      : bytes_(bytes),
        sets_(rotating_sets(device, 2 * bytes)),
        from_(sets_ * bytes / 4),
        to_(sets_ * bytes / 4) {
    fill_normal(from_.data(), from_.size(), 1.0, 99);
  }
  void operator()(std::int64_t index, cudaStream_t stream) const {
    const std::int64_t first = index % sets_ * (bytes_ / 4);
    require(cudaMemcpyAsync(to_.data() + first, from_.data() + first,
                            static_cast<std::size_t>(bytes_), cudaMemcpyDeviceToDevice, stream),
            "cudaMemcpyAsync");
  }

 private:
  std::int64_t bytes_;
  std::int64_t sets_;
  DeviceArray<float> from_;
  DeviceArray<float> to_;
};

/// The row of ours beside a peer's.
Row compared(Row row, const std::vector<Timing>& timings, const std::string& peer,
             const Bound& bound) {
  row.seconds = timings[0].median;
  row.low = timings[0].low;
  row.high = timings[0].high;
  row.peer = peer;
  row.ratio = timings[1].median / timings[0].median;
  row.has_bound = true;
  row.bound = bound;
  return row;
}

struct RotaryCase {
  std::int64_t tokens = 0;
  bool interleaved = false;
  bool in_place = true;
  bool table = false;
  bool scaled = false;
};

template <typename T>
void rotary_case(Report& report, const Device& device, const RotaryCase& wanted) {
  const Packed<T> packed{wanted.tokens, 32, 8};
  const std::int64_t turned_bytes =
      wanted.tokens * 40 * kHeadDim * static_cast<std::int64_t>(sizeof(T));
  const std::string name =
      std::string(element_name<T>()) + " " + std::to_string(turned_bytes / 1000000) + " MB " +
      (wanted.interleaved ? "interleaved " : "half-split ") +
      (wanted.in_place ? "in place" : "out of place") + (wanted.table ? " from a table" : "") +
      (wanted.scaled ? " with scales" : "");
  if (!report.wants("rotary", name)) return;

  const int sets = rotating_sets(device, turned_bytes);
  std::vector<DeviceArray<T>> in, out;
  for (int set = 0; set < sets; ++set) {
    in.push_back(normal_array<T>(packed.size(), 1.0, 100 + static_cast<std::uint64_t>(set)));
    if (!wanted.in_place) {
      out.emplace_back(packed.size());
      out.back().poison();
    }
  }
  const DeviceArray<std::int64_t> positions(consecutive(kFirstPosition, wanted.tokens));
  const rw::Spectrum spectrum = bench_spectrum();
  DeviceArray<float> cos, sin;
  const std::vector<float> ones(static_cast<std::size_t>(wanted.tokens), 1.0f);
  const DeviceArray<float> scale(ones);
  rw::cuda::RotaryParams<T> params;
  params.angles = rw::cuda::rotary_angles(rw::phase_turns(spectrum));
  if (wanted.table) {
    const auto table = rw::phase_table<float>(spectrum, kFirstPosition, wanted.tokens);
    cos = DeviceArray<float>(table.cos);
    sin = DeviceArray<float>(table.sin);
    params.angles.cos = cos.data();
    params.angles.sin = sin.data();
    params.angles.rows = wanted.tokens;
    params.angles.row_stride = kHeadDim / 2;
    params.angles.first_position = kFirstPosition;
  }
  params.positions = positions.data();
  params.pairing = wanted.interleaved ? rw::Pairing::interleaved : rw::Pairing::half_split;
  if (wanted.scaled) {
    params.head_scale = scale.data();
    params.position_scale = scale.data();
  }
  const Call rotate = [&](std::int64_t index, cudaStream_t stream) {
    const auto set = static_cast<std::size_t>(index % sets);
    T* to = wanted.in_place ? in[set].data() : out[set].data();
    rw::cuda::RotaryParams<T> one = params;
    one.q = packed.template view<const T>(in[set].data(), 0, packed.heads);
    one.q_out = packed.template view<T>(to, 0, packed.heads);
    one.k = packed.template view<const T>(in[set].data(), packed.heads, packed.kv_heads);
    one.k_out = packed.template view<T>(to, packed.heads, packed.kv_heads);
    require(rw::cuda::rotate(one, stream), name);
  };

  const std::vector<std::int64_t> tokens = {0, wanted.tokens / 2, wanted.tokens - 1};
  std::vector<std::vector<double>> before;
  for (const std::int64_t token : tokens) {
    before.push_back(download_rows(in[0].data() + token * packed.row(), 40, kHeadDim, kHeadDim));
  }
  rotate(0, nullptr);
  require(cudaDeviceSynchronize(), name);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const T* to = wanted.in_place ? in[0].data() : out[0].data();
    require_turned<T>(name, before[i],
                      download_rows(to + tokens[i] * packed.row(), 40, kHeadDim, kHeadDim),
                      kFirstPosition + tokens[i], wanted.interleaved);
  }

  const CopyPeer copy(device, turned_bytes);
  Row row;
  row.family = "rotary";
  row.name = name;
  row.element = element_name<T>();
  row.work = 2.0 * static_cast<double>(turned_bytes);
  report.add(compared(row, measure({rotate, std::cref(copy)}, report.options().repetitions),
                      "a copy of as many bytes", kRotaryBound));
}

/// A cache that some tokens are written to: dense, or pages of 16 in a random order.
template <typename T>
struct WrittenCache {
  static constexpr std::int64_t kPageSize = 16;

  DeviceArray<T> k, v;
  DeviceArray<std::int64_t> slots;
  std::vector<std::int64_t> slot;  // of each token

  WrittenCache(std::int64_t tokens, std::int64_t kv_heads, bool paged, std::int64_t every)
      : k(tokens * every * kv_heads * kHeadDim), v(tokens * every * kv_heads * kHeadDim) {
    slot = consecutive(0, tokens);
    const std::int64_t pages = tokens / kPageSize;
    for (std::int64_t token = 0; token < tokens; ++token) {
      std::int64_t& at = slot[static_cast<std::size_t>(token)];
      // 7919 is prime and divides no number of pages used here: a permutation.
      if (paged && pages > 0) at = token / kPageSize * 7919 % pages * kPageSize + token % kPageSize;
      at *= every;
    }
    slots = DeviceArray<std::int64_t>(slot);
    k.poison();
    v.poison();
  }
};

struct WriteCase {
  std::int64_t tokens = 0;
  bool paged = false;
};

template <typename T>
void write_case(Report& report, const Device& device, const WriteCase& wanted) {
  const bool few = wanted.tokens < 1024;
  const Packed<T> packed{wanted.tokens, 32, 8};
  const std::int64_t bytes = packed.size() * static_cast<std::int64_t>(sizeof(T));
  const std::string name =
      std::string(element_name<T>()) + " " +
      (few ? std::to_string(wanted.tokens) + " tokens" : std::to_string(bytes / 1000000) + " MB") +
      (wanted.paged ? " paged" : " dense");
  if (!report.wants("rotate and store", name)) return;

  // Few tokens: a slot every 64, as sequences of their own have.
  const std::int64_t every = few ? 64 : 1;
  const int sets = few ? 8 : rotating_sets(device, bytes);
  std::vector<DeviceArray<T>> in;
  std::vector<WrittenCache<T>> caches;
  for (int set = 0; set < sets; ++set) {
    in.push_back(normal_array<T>(packed.size(), 1.0, 200 + static_cast<std::uint64_t>(set)));
    caches.emplace_back(wanted.tokens, packed.kv_heads, wanted.paged, every);
  }
  const DeviceArray<std::int64_t> positions(consecutive(kFirstPosition, wanted.tokens));
  const auto angles = rw::cuda::rotary_angles(rw::phase_turns(bench_spectrum()));
  const std::int64_t slots = wanted.tokens * every;
  const std::int64_t page_size = wanted.paged && !few ? WrittenCache<T>::kPageSize : slots;
  const auto params_of = [&](std::size_t set) {
    rw::cuda::KvWriteParams<T> params;
    params.q = packed.template view<const T>(in[set].data(), 0, packed.heads);
    params.q_out = packed.template view<T>(in[set].data(), 0, packed.heads);
    params.k = packed.template view<const T>(in[set].data(), packed.heads, packed.kv_heads);
    params.v = packed.template view<const T>(in[set].data(), packed.heads + packed.kv_heads,
                                             packed.kv_heads);
    params.cache.k = caches[set].k.data();
    params.cache.v = caches[set].v.data();
    params.cache.pages = slots / page_size;
    params.cache.page_size = page_size;
    params.cache.head_stride = kHeadDim;
    params.cache.token_stride = packed.kv_heads * kHeadDim;
    params.cache.page_stride = page_size * params.cache.token_stride;
    params.targets.slots = caches[set].slots.data();
    params.positions = positions.data();
    params.angles = angles;
    return params;
  };
  const Call fused = [&](std::int64_t index, cudaStream_t stream) {
    require(rw::cuda::rotate_and_store(params_of(static_cast<std::size_t>(index % sets)), stream),
            name);
  };
  // The same as two launches: queries and keys in place, then keys and values as they are.
  const Call two = [&](std::int64_t index, cudaStream_t stream) {
    const auto set = static_cast<std::size_t>(index % sets);
    rw::cuda::KvWriteParams<T> write = params_of(set);
    rw::cuda::RotaryParams<T> rotate;
    rotate.q = write.q;
    rotate.q_out = write.q_out;
    rotate.k = write.k;
    rotate.k_out = packed.template view<T>(in[set].data(), packed.heads, packed.kv_heads);
    rotate.positions = positions.data();
    rotate.angles = angles;
    require(rw::cuda::rotate(rotate, stream), name);
    write.q = {};
    write.q_out = {};
    write.angles.pairs = 0;
    require(rw::cuda::rotate_and_store(write, stream), name);
  };

  const std::vector<std::int64_t> tokens = {0, wanted.tokens / 2, wanted.tokens - 1};
  std::vector<std::vector<double>> before;
  for (const std::int64_t token : tokens) {
    before.push_back(download_rows(in[0].data() + token * packed.row(), 48, kHeadDim, kHeadDim));
  }
  fused(0, nullptr);
  require(cudaDeviceSynchronize(), name);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::int64_t position = kFirstPosition + tokens[i];
    const auto cut = [&](std::size_t first, std::size_t heads) {
      const auto at = before[i].begin() + static_cast<std::ptrdiff_t>(first * kHeadDim);
      return std::vector<double>(at, at + static_cast<std::ptrdiff_t>(heads * kHeadDim));
    };
    require_turned<T>(
        name + ": queries", cut(0, 32),
        download_rows(in[0].data() + tokens[i] * packed.row(), 32, kHeadDim, kHeadDim), position,
        false);
    const std::int64_t at = caches[0].slot[static_cast<std::size_t>(tokens[i])] * 8 * kHeadDim;
    require_turned<T>(name + ": keys", cut(32, 8),
                      download_rows(caches[0].k.data() + at, 8, kHeadDim, kHeadDim), position,
                      false);
    const auto values = download_rows(caches[0].v.data() + at, 8, kHeadDim, kHeadDim);
    for (std::size_t j = 0; j < values.size(); ++j) {
      require_close(name + ": values", values[j], cut(40, 8)[j], 0.0);
    }
  }

  Row row;
  row.family = "rotate and store";
  row.name = name;
  row.element = element_name<T>();
  row.work = 2.0 * static_cast<double>(bytes);
  const int repetitions = report.options().repetitions;
  if (few) {
    Row beside =
        compared(row, measure({fused, two}, repetitions, true), "two kernels", kTokenBound);
    beside.has_bound = wanted.tokens == 1;  // what was asked
    report.add(beside);
  } else {
    const CopyPeer copy(device, bytes);
    report.add(compared(row, measure({fused, std::cref(copy)}, repetitions),
                        "a copy of as many bytes", kWriteBound));
  }
}

}  // namespace

void rotary_cases(Report& report, const Device& device) {
  rotary_case<rw::bfloat16>(report, device, {8192});
  rotary_case<rw::float16>(report, device, {8192});
  rotary_case<float>(report, device, {4096});
  for (const bool interleaved : {false, true}) {
    rotary_case<rw::bfloat16>(report, device, {32768, interleaved, true});
    rotary_case<rw::bfloat16>(report, device, {32768, interleaved, false});
  }
  rotary_case<rw::bfloat16>(report, device, {32768, false, false, true, false});
  rotary_case<rw::bfloat16>(report, device, {32768, false, false, false, true});
  rotary_case<rw::float16>(report, device, {32768, false, false});
  rotary_case<float>(report, device, {16384, false, false});
}

void cache_write_cases(Report& report, const Device& device) {
  for (const bool paged : {false, true}) {
    write_case<rw::bfloat16>(report, device, {8192, paged});
    write_case<rw::bfloat16>(report, device, {32768, paged});
  }
  write_case<rw::float16>(report, device, {32768, true});
  write_case<float>(report, device, {16384, true});
  for (const std::int64_t tokens : {1, 8, 64}) {
    write_case<rw::bfloat16>(report, device, {tokens, false});
  }
}

}  // namespace ropewalk_bench

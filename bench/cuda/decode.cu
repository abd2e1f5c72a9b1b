// Decoding: one query per head and sequence against keys and values of a gigabyte, which are read
// once. Held against the copy: so many bytes in the time of a copy that moves as many.
#include "families.hpp"
#include "support/attention_arrays.cuh"
#include "support/timing.cuh"
#include "units/units.hpp"

#include <ropewalk/phase.hpp>
#include <ropewalk/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

using rw::cuda::Statistics;

constexpr int kSets = 2;  // each of many times the last cache

struct DecodeCase {
  std::int64_t sequences = 1;
  std::int64_t keys = 0;  // of the longest sequence
  int group = 4;          // query heads of a kv head
  std::int64_t kv_heads = 8;
  std::int64_t page_size = 0;  // 0: dense
  bool ragged = false;         // lengths between 1 and `keys`, else all the longest
  bool rotates = false;        // the cache holds keys as they were before rotation
  std::vector<Statistics> levels = {Statistics::entropy};
};

const char* level_name(Statistics level) {
  return level == Statistics::lse ? "lse" : (level == Statistics::entropy ? "entropy" : "variance");
}

rw::Spectrum spectrum_of(int head_dim) {
  rw::RopeConfig config;
  config.head_dim = config.rotary_dim = head_dim;
  config.theta = 500000.0;
  return rw::spectrum(config);
}

template <typename T, int kHeadDim>
class DecodeRun {
 public:
  DecodeRun(Report& report, const DecodeCase& wanted) : report_(report), wanted_(wanted) {
    shape_.sequences = wanted.sequences;
    shape_.heads = wanted.group * wanted.kv_heads;
    shape_.kv_heads = wanted.kv_heads;
    shape_.head_dim = kHeadDim;
    shape_.queries = 1;
    shape_.keys = wanted.keys;
    shape_.mask = "causal";
    name_ = std::string(element_name<T>()) + " d" + std::to_string(kHeadDim) + " group " +
            std::to_string(wanted.group) + " " + std::to_string(wanted.sequences) + " x " +
            (wanted.ragged ? "up to " : "") + std::to_string(wanted.keys) +
            (wanted.page_size == 0 ? " dense" : " pages of " + std::to_string(wanted.page_size)) +
            (wanted.rotates ? " rotates" : "");
  }

  void run() {
    std::vector<Statistics> levels;
    for (const Statistics level : wanted_.levels) {
      if (report_.wants("decode", name_of(level))) levels.push_back(level);
    }
    if (levels.empty()) return;
    set_up();
    AttentionResults<T> results(shape_);
    std::vector<Call> calls;
    for (const Statistics level : levels) {
      check(results, level);
      calls.push_back(call(results, level, wanted_.rotates));
    }
    if (wanted_.rotates) calls.push_back(call(results, levels[0], false));
    const std::vector<Timing> timings = measure(calls, report_.options().repetitions);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      Row row;
      row.family = "decode";
      row.name = name_of(levels[i]);
      row.element = element_name<T>();
      row.shape = shape_;
      row.shape.statistics = level_name(levels[i]);
      row.seconds = timings[i].median;
      row.low = timings[i].low;
      row.high = timings[i].high;
      row.work = read_bytes_;
      if (wanted_.rotates) {
        row.peer = "keys that are rotated already";
        row.ratio = timings.back().median / timings[i].median;
        row.has_bound = true;
        row.bound = {0.95, 0.98, true};
      } else if (report_.ceilings.copy > 0) {
        row.peer = "the copy of 1 GiB";
        row.ratio = row.rate() / report_.ceilings.copy;
        row.has_bound = levels[i] == Statistics::entropy;
        row.bound = {0.85, 0.92, true};
      }
      report_.add(row);
    }
  }

 private:
  using Unit = DecodeUnit<T, kHeadDim>;

  std::string name_of(Statistics level) const { return name_ + " " + level_name(level); }
  bool paged() const { return wanted_.page_size != 0; }
  std::int64_t token_stride() const { return shape_.kv_heads * kHeadDim; }

  void set_up() {
    std::mt19937_64 random(wanted_.sequences * 1000003 + wanted_.keys);
    counts_.assign(static_cast<std::size_t>(shape_.sequences),
                   static_cast<std::int32_t>(shape_.keys));
    if (wanted_.ragged) {
      for (std::int32_t& count : counts_) {
        count = static_cast<std::int32_t>(1 + random() % static_cast<std::uint64_t>(shape_.keys));
      }
    }
    key_counts_ = DeviceArray<std::int32_t>(counts_);
    read_bytes_ = 2.0 * sizeof(T) * static_cast<double>(token_stride()) *
                  std::accumulate(counts_.begin(), counts_.end(), 0.0);
    page_size_ = paged() ? wanted_.page_size : shape_.keys;
    pages_per_sequence_ = (shape_.keys + page_size_ - 1) / page_size_;
    const std::int64_t pages = shape_.sequences * pages_per_sequence_;
    if (paged()) {
      table_.resize(static_cast<std::size_t>(pages));
      std::iota(table_.begin(), table_.end(), 0);
      for (std::size_t i = table_.size(); i > 1; --i) {
        std::swap(table_[i - 1], table_[random() % i]);
      }
      page_table_ = DeviceArray<std::int32_t>(table_);
    }
    const std::int64_t rows = shape_.sequences * shape_.heads;
    for (int set = 0; set < kSets; ++set) {
      const auto seed = 10 * static_cast<std::uint64_t>(set);
      q_.push_back(normal_array<T>(rows * kHeadDim, 1.0, seed + 1));
      k_.push_back(normal_array<T>(pages * page_size_ * token_stride(), 1.0, seed + 2));
      v_.push_back(normal_array<T>(k_.back().size(), 1.0, seed + 3));
    }
    angles_ = rw::cuda::rotary_angles(rw::phase_turns(spectrum_of(kHeadDim)));
  }

  rw::cuda::DecodeParams<T> params(std::size_t set, const AttentionResults<T>& results,
                                   Statistics level, bool rotates) const {
    rw::cuda::DecodeParams<T> params;
    params.shape = shape_of(shape_);
    params.q = contiguous<const T>(q_[set].data(), 1, shape_.heads, kHeadDim);
    params.out = contiguous<T>(results.out.data(), 1, shape_.heads, kHeadDim);
    params.cache.k = k_[set].data();
    params.cache.v = v_[set].data();
    params.cache.pages = shape_.sequences * pages_per_sequence_;
    params.cache.page_size = page_size_;
    params.cache.page_stride = page_size_ * token_stride();
    params.cache.token_stride = token_stride();
    params.cache.head_stride = kHeadDim;
    if (paged()) {
      params.cache.page_table = page_table_.data();
      params.cache.sequences = shape_.sequences;
      params.cache.pages_per_sequence = pages_per_sequence_;
    }
    params.key_counts = key_counts_.data();
    params.statistics = results.statistics(level);
    if (rotates) params.angles = angles_;
    return params;
  }

  Call call(const AttentionResults<T>& results, Statistics level, bool rotates) {
    const std::size_t bytes = Unit::workspace(params(0, results, level, rotates));
    if (workspace_.bytes() < bytes) {
      workspace_ = DeviceArray<unsigned char>(static_cast<std::int64_t>(bytes));
    }
    return [this, &results, level, rotates](std::int64_t index, cudaStream_t stream) {
      auto one = params(static_cast<std::size_t>(index % kSets), results, level, rotates);
      one.workspace = workspace_.data();
      one.workspace_bytes = workspace_.bytes();
      require(Unit::decode(level, one, stream), name_);
    };
  }

  /// Keys and values of a head, in order.
  std::vector<double> rows_of(const DeviceArray<T>& cache, std::int64_t sequence,
                              std::int64_t kv_head) const {
    std::vector<double> rows;
    const std::int64_t count = counts_[static_cast<std::size_t>(sequence)];
    for (std::int64_t first = 0; first < count; first += page_size_) {
      const std::int64_t index = sequence * pages_per_sequence_ + first / page_size_;
      const std::int64_t page = paged() ? table_[static_cast<std::size_t>(index)] : sequence;
      const std::int64_t here = std::min(page_size_, count - first);
      const auto part =
          download_rows(cache.data() + page * page_size_ * token_stride() + kv_head * kHeadDim,
                        here, token_stride(), kHeadDim);
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  }

  /// As rotate_and_store would have kept them: turned by exact angles, rounded once.
  void turn(std::vector<double>& rows) const {
    const rw::Spectrum spectrum = spectrum_of(kHeadDim);
    constexpr std::size_t pairs = kHeadDim / 2;
    const auto round = [](double value) {
      using Traits = rw::ElementTraits<T>;
      return static_cast<double>(Traits::load(Traits::store(static_cast<float>(value))));
    };
    for (std::size_t key = 0; key * kHeadDim < rows.size(); ++key) {
      for (std::size_t pair = 0; pair < pairs; ++pair) {
        const double angle = static_cast<double>(key) * spectrum.inv_freq[pair];
        double& x = rows[key * kHeadDim + pair];
        double& y = rows[key * kHeadDim + pairs + pair];
        const double turned = x * std::cos(angle) - y * std::sin(angle);
        y = round(x * std::sin(angle) + y * std::cos(angle));
        x = round(turned);
      }
    }
  }

  void check(AttentionResults<T>& results, Statistics level) {
    results.poison();
    call(results, level, wanted_.rotates)(0, nullptr);
    require(cudaDeviceSynchronize(), name_);
    // The first, the last, and one between, where there are so many.
    const std::int64_t step = std::max(std::int64_t{1}, (shape_.sequences - 1) / 2);
    for (std::int64_t sequence = 0; sequence < shape_.sequences; sequence += step) {
      const std::int64_t head = (5 * sequence + 3) % shape_.heads;
      const std::int64_t count = counts_[static_cast<std::size_t>(sequence)];
      RowInputs inputs;
      inputs.query = download_rows(q_[0].data() + (sequence * shape_.heads + head) * kHeadDim, 1,
                                   kHeadDim, kHeadDim);
      inputs.keys = rows_of(k_[0], sequence, head / wanted_.group);
      inputs.values = rows_of(v_[0], sequence, head / wanted_.group);
      if (wanted_.rotates) turn(inputs.keys);
      inputs.logit_scale = 1 / std::sqrt(static_cast<double>(kHeadDim));
      inputs.visible = rw::AttentionMask{}.keys(count - 1, {0, count});
      require_row(name_of(level), results.row(shape_, sequence, head, level, true),
                  exact_row(inputs), rounding_of<T>());
    }
  }

  Report& report_;
  DecodeCase wanted_;
  CaseShape shape_;
  std::string name_;
  std::vector<std::int32_t> counts_;
  std::vector<std::int32_t> table_;
  DeviceArray<std::int32_t> key_counts_;
  DeviceArray<std::int32_t> page_table_;
  std::int64_t page_size_ = 0;
  std::int64_t pages_per_sequence_ = 0;
  double read_bytes_ = 0;
  std::vector<DeviceArray<T>> q_, k_, v_;
  DeviceArray<unsigned char> workspace_;
  rw::cuda::RotaryAngles angles_;
};

}  // namespace

void decode_cases(Report& report, const Device&) {
  const std::vector<Statistics> all = {Statistics::lse, Statistics::entropy, Statistics::variance};
  const auto run = [&](const DecodeCase& wanted) {
    DecodeRun<rw::bfloat16, 128>(report, wanted).run();
  };
  for (const int group : {1, 4, 8}) {
    run({.sequences = 8, .keys = 32768, .group = group, .levels = all});
    run({.sequences = 8, .keys = 32768, .group = group, .page_size = 64});
  }
  run({.sequences = 1, .keys = 262144});
  run({.sequences = 1, .keys = 262144, .page_size = 16});
  run({.sequences = 64, .keys = 4096});
  run({.sequences = 64, .keys = 4096, .page_size = 16});
  run({.sequences = 64, .keys = 8192, .page_size = 64, .ragged = true});
  for (const int group : {1, 4, 8}) {
    run({.sequences = 8, .keys = 32768, .group = group, .rotates = true});
  }
  run({.sequences = 8, .keys = 32768, .page_size = 64, .rotates = true});
  DecodeRun<rw::bfloat16, 64>(report, {.sequences = 32, .keys = 32768, .group = 8, .kv_heads = 4})
      .run();
  DecodeRun<rw::bfloat16, 256>(report, {.sequences = 8, .keys = 16384, .group = 2, .kv_heads = 8})
      .run();
}

}  // namespace ropewalk_bench

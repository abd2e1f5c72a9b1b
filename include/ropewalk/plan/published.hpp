// Training plans that others published, as data: to compare with, and to recognise. Row 9.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/rope_config.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// One stage of training as its source gives it.
struct PublishedStage {
  std::int64_t length = 0;       // tokens of a training sequence
  double theta = 0.0;            // the base trained with
  int digits = 0;                // significant digits the source prints; 0: all there are
  int steps = 0;                 // optimiser steps; 0: not stated, or none
  std::int64_t tokens = 0;       // trained on in this stage; 0: not stated, or none
  std::int64_t from_length = 0;  // the stage whose base this one starts from; 0: the one before
};

/// How a plan's bases came about.
enum class PublishedBases {
  by_hand,             ///< round numbers, no formula stated
  liu,                 ///< theta_for_length in one step from the trained length, rounded down
  chained_dynamic_ntk  ///< dynamic_ntk_theta with factor 4, each stage from an earlier one
};

/// A plan others trained by. Where it starts is `trained`: base and length of the model it took.
struct PublishedPlan {
  const char* name;
  const char* source;
  RopeConfig trained;
  PublishedBases bases;
  Span<const PublishedStage> stages;
};

namespace detail {

inline constexpr RopeConfig kLlama2AsTrained{128, 128, 10000.0, 4096, Pairing::half_split};
inline constexpr RopeConfig kLlama3AsTrained{128, 128, 500000.0, 8192, Pairing::half_split};
inline constexpr RopeConfig kDanube2AsTrained{80, 80, 10000.0, 8192, Pairing::half_split};
inline constexpr RopeConfig kQwen25AsBegun{128, 128, 10000.0, 4096, Pairing::half_split};

// Steps times sequences times length gives the tokens, exactly. The stage at 1048576 starts from
// the weights of the one before but from the base of 262144.
inline constexpr PublishedStage kGradientCards[] = {
    {65536, 15.3e6, 3, 30, 62914560, 0},
    {262144, 207.1e6, 4, 24, 100663296, 0},
    {524288, 1.06e9, 3, 50, 419430400, 0},
    {1048576, 2.80e9, 3, 50, 838860800, 262144},
};
// The 4194304 of the same cards is not dynamic NTK (that gives 3.80e10).
inline constexpr PublishedStage kGradientLongest[] = {{4194304, 45.2e9, 3, 12, 201326592, 0}};
inline constexpr PublishedStage kGradientConfigs[] = {{262144, 283461213.0, 0, 0, 0, 0},
                                                      {1048576, 3580165449.0, 0, 0, 0, 0}};

inline constexpr PublishedStage kLwmText[] = {
    {32768, 1e6, 0, 0, 4800000000, 0},   {131072, 1e7, 0, 0, 12000000000, 0},
    {262144, 1e7, 0, 0, 12000000000, 0}, {524288, 2.5e7, 0, 0, 3000000000, 0},
    {1048576, 5e7, 0, 0, 1800000000, 0},
};

// Tokens are steps times the batch of the scripts on eight devices, 2^20 or 1024000. The last base
// was written into the config without training.
inline constexpr PublishedStage kEasyContextLlama2[] = {
    {32768, 1e6, 0, 1000, 1048576000, 0}, {65536, 5e6, 0, 1000, 1048576000, 0},
    {256000, 1e7, 0, 500, 512000000, 0},  {256000, 2.5e7, 0, 500, 512000000, 0},
    {256000, 5e7, 0, 150, 153600000, 0},  {512000, 1e8, 0, 300, 307200000, 0},
    {512000, 2.5e8, 0, 90, 92160000, 0},  {1048576, 1e9, 0, 0, 0, 0},
};
inline constexpr PublishedStage kEasyContextDanube2[] = {
    {16000, 3e4, 0, 400, 409600000, 0},   {32000, 1e5, 0, 400, 409600000, 0},
    {32000, 3e5, 0, 400, 409600000, 0},   {64000, 1e6, 0, 400, 409600000, 0},
    {64000, 2.5e6, 0, 400, 409600000, 0}, {64000, 5e6, 0, 400, 409600000, 0},
    {128000, 1e7, 0, 300, 307200000, 0},  {128000, 3e7, 0, 200, 204800000, 0},
    {256000, 1e8, 0, 200, 204800000, 0},
};

inline constexpr PublishedStage kQwen25Million[] = {
    {32768, 1e6, 0, 0, 0, 0},
    {65536, 1e6, 0, 0, 0, 0},
    {131072, 5e6, 0, 0, 0, 0},
    {262144, 1e7, 0, 0, 0, 0},
};

inline constexpr PublishedStage kLlama2Long[] = {{32768, 5e5, 0, 0, 400000000000, 0}};
inline constexpr PublishedStage kCodeLlama[] = {{16384, 1e6, 0, 0, 0, 0}};

}  // namespace detail

/// Every published plan. Configuration values are facts; what a source does not state is 0.
inline constexpr PublishedPlan kPublishedPlans[] = {
    {"gradient-cards", "model cards of gradientai/Llama-3-8B-Instruct-262k and -Gradient-1048k",
     detail::kLlama3AsTrained, PublishedBases::chained_dynamic_ntk, detail::kGradientCards},
    {"gradient-4194k", "model card of gradientai/Llama-3-8B-Instruct-Gradient-4194k",
     detail::kLlama3AsTrained, PublishedBases::liu, detail::kGradientLongest},
    {"gradient-configs", "config.json of gradientai/Llama-3-8B-Instruct-262k and -Gradient-1048k",
     detail::kLlama3AsTrained, PublishedBases::liu, detail::kGradientConfigs},
    {"lwm-text", "Liu et al. 2024, arXiv 2402.08268", detail::kLlama2AsTrained,
     PublishedBases::by_hand, detail::kLwmText},
    {"easycontext-llama-2-7b", "jzhang38/EasyContext, train_scripts/EasyContext-1M-Llama-2-7B.sh",
     detail::kLlama2AsTrained, PublishedBases::by_hand, detail::kEasyContextLlama2},
    {"easycontext-danube2", "jzhang38/EasyContext, train_scripts/EasyContext-256K-danube2.sh",
     detail::kDanube2AsTrained, PublishedBases::by_hand, detail::kEasyContextDanube2},
    {"qwen2.5-1m", "Yang et al. 2025, arXiv 2501.15383; its first stage arXiv 2412.15115",
     detail::kQwen25AsBegun, PublishedBases::by_hand, detail::kQwen25Million},
    {"llama-2-long", "Xiong et al. 2023, arXiv 2309.16039", detail::kLlama2AsTrained,
     PublishedBases::by_hand, detail::kLlama2Long},
    {"code-llama", "Roziere et al. 2023, arXiv 2308.12950", detail::kLlama2AsTrained,
     PublishedBases::by_hand, detail::kCodeLlama},
};

}  // namespace v0
}  // namespace ropewalk

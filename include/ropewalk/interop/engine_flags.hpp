// What to paste into an engine so that it runs a schedule. Leaf.
#pragma once

#include <ropewalk/interop/engine_flags/config_files.hpp>
#include <ropewalk/interop/engine_flags/ggml_engines.hpp>
#include <ropewalk/interop/engine_flags/servers.hpp>

#include <optional>
#include <string_view>

namespace ropewalk {
inline namespace v0 {

/// An engine, and the version where it matters.
enum class Engine {
  llama_cpp,
  vllm,       ///< 0.11.1 and later
  vllm_0_10,  ///< 0.10 and earlier
  sglang,
  transformers5,
  transformers4,
  ollama,
  koboldcpp,
  exllama,  ///< and tabbyAPI
  lm_studio,
  mlx,
  tensorrt_llm  ///< PyTorch backend
};

/// An engine and its name in programs and files.
struct EngineName {
  Engine engine;
  std::string_view name;
};

/// Every engine, in the order of the enumeration.
inline constexpr EngineName kEngines[] = {
    {Engine::llama_cpp, "llama.cpp"},
    {Engine::vllm, "vllm"},
    {Engine::vllm_0_10, "vllm_0.10"},
    {Engine::sglang, "sglang"},
    {Engine::transformers5, "transformers5"},
    {Engine::transformers4, "transformers4"},
    {Engine::ollama, "ollama"},
    {Engine::koboldcpp, "koboldcpp"},
    {Engine::exllama, "exllama"},
    {Engine::lm_studio, "lmstudio"},
    {Engine::mlx, "mlx"},
    {Engine::tensorrt_llm, "tensorrt-llm"},
};

/// The engine of a name in kEngines, if there is one.
inline std::optional<Engine> engine_named(std::string_view name) noexcept {
  for (const EngineName& entry : kEngines) {
    if (entry.name == name) return entry.engine;
  }
  return std::nullopt;
}

/// The lines that make an engine run `schedule` on `model`: a command, a config member, a file. The
/// word MODEL stands for the path. Refused, with the reason, where the engine would silently ignore
/// a part of it or run something else, and where theta leaves float32, in which engines compute.
///   model        as read from its config.json
///   schedule     checked here as by check(config, scaling); variant indexes model.variants
///   Numbers      float64 where the engine reads JSON, nine digits where it keeps float32; a point
///                in every locale
inline EngineLines engine_lines(Engine engine, const ModelConfig& model,
                                const EngineSchedule& schedule) {
  if (schedule.variant >= model.variants.size())
    return detail::refused("the model has no such variant");
  Fault fault = check(schedule.config, schedule.scaling);
  if (fault.code == Errc::ok) fault = detail::check_length("length", schedule.length, 1);
  if (fault.code != Errc::ok) {
    return detail::refused(std::string(fault.field) + " = " + detail::json_text(fault.value) + " " +
                           message(fault.code));
  }
  if (!detail::fits_float32(schedule.config.theta))
    return detail::refused(detail::theta_beyond_float32(schedule.config.theta));
  switch (engine) {
    case Engine::llama_cpp:
      return detail::llama_cpp_lines(model, schedule);
    case Engine::vllm:
      return detail::vllm_lines(model, schedule);
    case Engine::vllm_0_10:
      return detail::vllm_0_10_lines(model, schedule);
    case Engine::sglang:
      return detail::sglang_lines(model, schedule);
    case Engine::transformers5:
      return detail::transformers5_lines(model, schedule);
    case Engine::transformers4:
      return detail::transformers4_lines(model, schedule);
    case Engine::ollama:
      return detail::ollama_lines(model, schedule);
    case Engine::koboldcpp:
      return detail::koboldcpp_lines(model, schedule);
    case Engine::exllama:
      return detail::exllama_lines(model, schedule);
    case Engine::lm_studio:
      return detail::lm_studio_lines(model, schedule);
    case Engine::mlx:
      return detail::mlx_lines(model, schedule);
    case Engine::tensorrt_llm:
      return detail::tensorrt_llm_lines(model, schedule);
  }
  return detail::refused("no such engine");
}

}  // namespace v0
}  // namespace ropewalk

// Scales of attention heads put into a checkpoint: the rows of every query projection times the scale
// of their head, so that any engine runs the result unmodified.
#include <ropewalk/interop/fold_head_scales.hpp>
#include <ropewalk/interop/head_scales.hpp>
#include <support/command_line.hpp>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr int kCannotFold = 3;

struct Request {
  std::string checkpoint;
  std::string scales;
  std::string config;
  std::string output;
  std::string prefix;
  std::string layout;
  bool overwrite = false;
  bool dry_run = false;
};

/// What a reader returned, or the end of the program with the file's name.
template <typename Value>
Value value_or_end(const rw::Result<Value>& result, const std::string& file, int exit_code) {
  if (!result) throw Failure{exit_code, file + ": " + message(result.fault())};
  return result.value();
}

/// The config, given or beside the checkpoint; a model that says nothing where there is none.
rw::FoldModel load_model(Request& request) {
  if (request.config.empty()) {
    const std::string beside =
        request.checkpoint.substr(0, request.checkpoint.rfind('/') + 1) + "config.json";
    if (std::ifstream(beside)) request.config = beside;
  }
  rw::FoldModel model;
  if (!request.config.empty())
    model = value_or_end(rw::read_fold_model_file(request.config), request.config, kBadConfig);
  if (request.layout.empty()) return model;
  const std::map<std::string, rw::QueryLayout> layouts = {
      {"concatenated", rw::QueryLayout::concatenated},
      {"per_head", rw::QueryLayout::per_head},
      {"per_group", rw::QueryLayout::per_group},
      {"quarters", rw::QueryLayout::quarters}};
  const auto named = layouts.find(request.layout);
  if (named == layouts.end()) {
    throw Failure{kUsageError, "--layout " + request.layout.substr(0, 40) +
                                   " is none of concatenated, per_head, per_group, quarters"};
  }
  model.fused = named->second;
  return model;
}

std::string in_column(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

/// "1.05 .. 1.4", of the factors of a projection's queries.
std::string range_of(const std::vector<double>& head_scale) {
  const auto [low, high] = std::minmax_element(head_scale.begin(), head_scale.end());
  return number(*low, 6) + (*low == *high ? "" : " .. " + number(*high, 6));
}

std::string table(const rw::Checkpoint& checkpoint, const rw::FoldPlan& plan,
                  const std::vector<rw::LayerHeadScales>& scales, const rw::FoldReport* report) {
  std::size_t width = 8;
  for (const rw::FoldedTensor& fold : plan.tensors)
    width = std::max(width, checkpoint.headers[fold.shard].tensors[fold.tensor].name.size() + 2);
  std::string text = in_column("  tensor", width + 2) + in_column("type", 6) +
                     in_column("head scales", 22) +
                     (report != nullptr ? "largest rounding" : "elements") + "\n";
  for (std::size_t index = 0; index < plan.tensors.size(); ++index) {
    const rw::FoldedTensor& fold = plan.tensors[index];
    const rw::TensorEntry& tensor = checkpoint.headers[fold.shard].tensors[fold.tensor];
    const auto layer =
        std::find_if(scales.begin(), scales.end(),
                     [&](const rw::LayerHeadScales& one) { return one.layer == fold.layer; });
    text += "  " + in_column(tensor.name, width) +
            in_column(std::string(rw::dtype_name(tensor.dtype)), 6) +
            in_column(range_of(layer->head_scale), 22);
    if (report == nullptr) {
      text += std::to_string(tensor.bytes() * 8 /
                             static_cast<std::uint64_t>(rw::dtype_bits(tensor.dtype)));
    } else {
      const rw::FoldRounding& rounding = report->rounding[index];
      text += number(rounding.largest_error, 2);
      if (rounding.underflows > 0)
        text += ", " + std::to_string(rounding.underflows) + " below the smallest normal number";
    }
    text += "\n";
  }
  return text;
}

int run(Request& request) {
  if (request.output.empty() != request.dry_run)
    throw Failure{kUsageError, "give exactly one of --output FILE and --dry-run"};
  const rw::HeadScales file =
      value_or_end(rw::read_head_scales_file(request.scales), request.scales, kBadConfig);
  const std::vector<rw::LayerHeadScales> scales = rw::layer_head_scales(file);
  if (scales.empty())
    throw Failure{kCannotFold, request.scales + ": every scale is 1, so there is nothing to fold"};
  const rw::Checkpoint checkpoint =
      value_or_end(rw::open_checkpoint(request.checkpoint), request.checkpoint, kBadConfig);
  rw::FoldModel model = load_model(request);
  if (model.heads == 0) model.heads = static_cast<int>(file.heads);
  if (model.kv_heads == 0) model.kv_heads = model.heads;
  const rw::FoldPlan plan =
      value_or_end(rw::plan_fold(checkpoint.headers, model, scales, request.prefix),
                   request.checkpoint, kCannotFold);

  std::cout << "scales of " << file.model << ", from " << file.trained_length << " to "
            << file.target_length << " tokens: " << scales.size() << " of " << file.layers
            << " layers, " << file.heads << " heads\n";
  if (request.dry_run) {
    std::cout << table(checkpoint, plan, scales, nullptr);
  } else {
    const rw::Result<rw::FoldReport> written =
        rw::write_folded(checkpoint, plan, request.output, request.overwrite);
    const bool of_tensor =
        !written && !written.fault().key.empty();  // no finite number once scaled
    const rw::FoldReport report =
        value_or_end(written, request.checkpoint, of_tensor ? kCannotFold : kBadConfig);
    std::cout << table(checkpoint, plan, scales, &report) << report.bytes << " bytes in "
              << checkpoint.files.size() << (checkpoint.files.size() == 1 ? " file" : " files")
              << "\n";
  }
  for (const std::string& warning : plan.warnings) std::cout << "warning: " << warning << "\n";
  return 0;
}

int fold_head_scales(int argc, char** argv) {
  CLI::App app{"Scales of attention heads folded into the query projections of a checkpoint",
               "fold_head_scales"};
  app.footer(
      "Everything but the query projections and their biases is copied byte for byte. Models with\n"
      "a norm after the query projection, clipped or quantized queries are refused.\n"
      "Exit codes: 1 usage, 2 unreadable or invalid file, 3 the model cannot take the scales.");
  Request request;
  app.add_option("--checkpoint", request.checkpoint,
                 "model.safetensors, or the .index.json of a checkpoint of several files")
      ->type_name("FILE")
      ->required();
  app.add_option("--scales", request.scales, "The head scales, JSON")
      ->type_name("FILE")
      ->required();
  app.add_option("--config", request.config,
                 "The model's config.json, if not the one beside the checkpoint")
      ->type_name("FILE");
  app.add_option("--output", request.output, "The new checkpoint, or its new index")
      ->type_name("FILE");
  app.add_option("--prefix", request.prefix, "Of tensor names, where several stacks have layers")
      ->type_name("TEXT");
  app.add_option("--layout", request.layout,
                 "Of fused projections of unknown models: concatenated, per_head, per_group, "
                 "quarters")
      ->type_name("NAME");
  app.add_flag("--overwrite", request.overwrite, "Replace files that are there");
  app.add_flag("--dry-run", request.dry_run, "Say what would be done, from the headers alone");
  return run_program(app, argc, argv, [&] { return run(request); });
}

}  // namespace

int main(int argc, char** argv) { return guarded(fold_head_scales, argc, argv); }

// Head scales put into a checkpoint: the rows of every query projection, and its bias, times the scale
// of their head, so that any engine runs the result unmodified. Leaf; needs nlohmann/json.
//
// Why that is the same: the logit of head h is softmax_scale * (q . k), and q enters it linearly.
// Rotation is linear too and turns q without changing its length, so a scale of the rows passes
// through it, and so it does through a scale by position. It does not pass through a norm behind the
// projection, nor through clipping; both are refused. What is added to the logits afterwards (ALiBi,
// T5 biases, sinks) is not scaled, as attention.hpp does not scale it either; a soft cap bends the
// scaled logits.
//
//   const auto model = read_fold_model_file("config.json");
//   const auto checkpoint = open_checkpoint("model.safetensors");
//   const auto plan = plan_fold(checkpoint.value().headers, model.value(), scales);
//   const auto report = write_folded(checkpoint.value(), plan.value(), "folded.safetensors");
#pragma once

#include <ropewalk/interop/fold_head_scales/checkpoint.hpp>
#include <ropewalk/interop/fold_head_scales/layer.hpp>
#include <ropewalk/interop/fold_head_scales/model.hpp>
#include <ropewalk/interop/fold_head_scales/plan.hpp>
#include <ropewalk/interop/fold_head_scales/scale.hpp>
#include <ropewalk/interop/fold_head_scales/write.hpp>

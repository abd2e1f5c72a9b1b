// The entropy of attention: how it grows with the position, where distraction begins, and how it
// goes with the scales of the heads. All entropies are in nats; bits_of_nats() converts. Row 9.
//
//     EntropyCurve curve(positions, layers, heads);
//     curve.add(layer, entropy);                  // AttentionStatistics::entropy, sample by sample
//     entropy_knee(curve.mean());                 // where the mean begins to rise faster, if so
//     correlation(curve.converged(), head_scale);
#pragma once

#include <ropewalk/analysis/entropy/correlation.hpp>
#include <ropewalk/analysis/entropy/curve.hpp>
#include <ropewalk/analysis/entropy/knee.hpp>

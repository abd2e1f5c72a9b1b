// Scans of bases with threads, a progress line and Ctrl-C.
#pragma once

#include <ropewalk/analysis/minimum_theta.hpp>

#include <cstdint>
#include <optional>

/// What is asked: one model shape, one length.
struct ThetaQuestion {
  ropewalk::RopeConfig config;
  std::int64_t length = 0;  ///< >= 7
  int threads = 1;          ///< >= 1
};

/// Two scans: the whole grid, then a finer one from half the smallest base it found up to that. A
/// scan that was stopped covers its grid up to some base.
struct ThetaAnswer {
  ropewalk::ThetaGrid grid;
  ropewalk::ThetaScan scan;
  std::optional<ropewalk::ThetaGrid> fine_grid;
  ropewalk::ThetaScan fine_scan;

  bool complete() const { return scan.scanned == grid.points; }
  bool fine_complete() const { return !fine_grid || fine_scan.scanned == fine_grid->points; }

  std::optional<double> minimum() const;  ///< some base works
  std::optional<double> safe() const;     ///< every larger base of the grid works
};

/// Scans with the quickest kernel of this machine; from now on Ctrl-C stops a scan. The progress line
/// is on standard error, where that is a terminal.
ThetaAnswer search_theta(const ThetaQuestion& question, const ropewalk::ThetaGrid& grid);

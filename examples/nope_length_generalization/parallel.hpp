// Work on several threads, each taking every n-th piece.
#pragma once

#include <exception>
#include <thread>
#include <vector>

namespace lm {

/// Calls work(piece, thread) for every piece in 0 .. pieces - 1. The first exception is thrown on.
template <typename Work>
void parallel(int threads, int pieces, const Work& work) {
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(threads));
  const auto run = [&](int thread) {
    try {
      for (int piece = thread; piece < pieces; piece += threads) work(piece, thread);
    } catch (...) {
      failures[static_cast<std::size_t>(thread)] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
  run(0);
  for (std::thread& other : others) other.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace lm

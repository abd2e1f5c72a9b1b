// Perplexity in windows that slide over documents longer than the context. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>

#include <cmath>
#include <cstdint>
#include <optional>

namespace ropewalk {
inline namespace v0 {

/// Which part of a document a model reads at once, and which tokens of it count. With context 6 and
/// stride 2, in a document of 11 tokens:
///
///     token    0 1 2 3 4 5 6 7 8 9 10
///     window 0 [. . . . x x]                x  scored, predicted from the tokens of the window
///     window 1     [. . . . x x]               before it
///     window 2         [. . . . x x]
///
/// A window ends at every context + n stride that is below the length of the document, and is left
/// out where it would end with the document: one of `context` tokens has none.
///   Source       Wang et al. 2024, arXiv 2404.12224, as their evaluation was run: stride 256
struct SlidingWindows {
  std::int64_t context = 0;   // tokens the model reads, >= 2
  std::int64_t stride = 256;  // 1 .. context: tokens from window to window, of which all are scored
  std::int64_t maximum_windows = 0;  // over all documents; 0: no bound; the paper's is 8192

  Fault validate() const noexcept {
    Fault fault = detail::check_length("context", context, 2);
    if (fault.code != Errc::ok) return fault;
    fault = detail::check_length("stride", stride, 1);
    if (fault.code != Errc::ok) return fault;
    if (stride > context) return {Errc::above_maximum, "stride", static_cast<double>(stride)};
    return detail::check_length("maximum_windows", maximum_windows, 0);
  }

  /// Windows of one document, regardless of maximum_windows; *this sound, length >= 0.
  std::int64_t windows(std::int64_t length) const noexcept {
    return length > context ? (length - context - 1) / stride + 1 : 0;
  }

  /// Tokens scored in every window, its last ones: `stride` of them, but never the first of a
  /// window, which has none before it to be predicted from; *this sound.
  std::int64_t scored() const noexcept { return stride < context ? stride : context - 1; }
};

/// Mean loss over the windows of any number of documents. The mean is that of the windows' means,
/// which is that of the tokens, since every window scores as many.
class SlidingPerplexity {
 public:
  ///   Throws       std::invalid_argument naming field and value
  explicit SlidingPerplexity(const SlidingWindows& sizes) : sizes_(sizes) {
    detail::require("SlidingPerplexity", sizes.validate());
  }

  /// Reads a document, front to back.
  ///   document     its tokens, of any type; documents no longer than the context add nothing
  ///   model        model(Span<const Token> window, std::int64_t scored) -> double: the sum, over
  ///                the last `scored` tokens of the window, of -ln of the probability that the
  ///                model gives each after those before it in the window. (A network that reads the
  ///                window has them in its outputs window.size() - scored - 1 .. window.size() - 2)
  ///   Returns      how many windows were read
  ///   Throws       std::invalid_argument where the loss is not finite; windows before count
  template <typename Token, typename Model>
  std::int64_t add(Span<const Token> document, Model&& model) {
    std::int64_t windows = sizes_.windows(static_cast<std::int64_t>(document.size()));
    if (sizes_.maximum_windows > 0 && windows > sizes_.maximum_windows - windows_) {
      windows = sizes_.maximum_windows - windows_;
    }
    for (std::int64_t window = 0; window < windows; ++window) {
      const Span<const Token> tokens(document.data() + window * sizes_.stride,
                                     static_cast<std::size_t>(sizes_.context));
      const double loss = model(tokens, sizes_.scored());
      detail::require("SlidingPerplexity::add", detail::check_finite("loss", loss));
      loss_ += loss / static_cast<double>(sizes_.scored());
      ++windows_;
    }
    return windows;
  }

  /// Windows read so far.
  std::int64_t windows() const noexcept { return windows_; }

  /// Mean loss of a token, in nats.
  ///   Throws       std::invalid_argument before the first window
  double loss() const {
    if (windows_ == 0) detail::refuse("SlidingPerplexity", {Errc::not_positive, "windows", 0.0});
    return loss_ / static_cast<double>(windows_);
  }

  /// e^loss; none where that is beyond the range of double, which others print as infinite.
  ///   Throws       std::invalid_argument before the first window
  std::optional<double> perplexity() const {
    constexpr double largest = 709.78;  // of ln of the largest double
    const double mean = loss();
    if (mean > largest) return std::nullopt;
    return std::exp(mean);
  }

 private:
  SlidingWindows sizes_;
  double loss_ = 0.0;  // sum over windows of their mean
  std::int64_t windows_ = 0;
};

}  // namespace v0
}  // namespace ropewalk

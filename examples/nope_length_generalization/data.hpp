// Text as documents of bytes, and windows of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lm {

/// Documents one after the other, each ended by a zero byte.
struct Text {
  std::string bytes;
  std::vector<std::size_t> starts;  ///< of each document
  std::vector<std::size_t> sizes;   ///< without the zero byte

  std::size_t documents() const { return starts.size(); }
};

/// What a model sees and what it is to predict: inputs are a zero byte and then the targets but the
/// last, so that position 0 predicts the first byte from nothing.
struct Window {
  std::vector<unsigned char> inputs, targets;
};

/// Throws std::runtime_error: unreadable, or without a document.
Text read_text(const std::filesystem::path& path);

Window window_at(const Text& text, std::size_t first_byte, std::size_t length);

/// Window number `index` of an endless sequence that `seed` fixes: every place in the text where
/// `length` bytes of one document follow is as likely as any other.
Window random_window(const Text& text, std::size_t length, std::uint64_t seed, std::uint64_t index);

/// The windows of every document, one behind the other without overlap.
std::vector<Window> all_windows(const Text& text, std::size_t length);

/// 64 bits that look random, the same everywhere: the index-th of the sequence of a seed.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index);

}  // namespace lm

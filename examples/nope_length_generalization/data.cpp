#include "data.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace lm {

Text read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  Text text;
  text.bytes.assign(std::istreambuf_iterator<char>(file), {});
  for (std::size_t first = 0; first < text.bytes.size();) {
    std::size_t end = text.bytes.find('\0', first);
    if (end == std::string::npos) end = text.bytes.size();
    if (end > first) {
      text.starts.push_back(first);
      text.sizes.push_back(end - first);
    }
    first = end + 1;
  }
  if (text.starts.empty()) throw std::runtime_error("no document in " + path.string());
  return text;
}

Window window_at(const Text& text, std::size_t first_byte, std::size_t length) {
  Window window;
  const char* first = text.bytes.data() + first_byte;
  window.targets.assign(first, first + length);
  window.inputs.reserve(length);
  window.inputs.push_back(0);
  window.inputs.insert(window.inputs.end(), first, first + length - 1);
  return window;
}

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) {
  // SplitMix64 (Steele, Lea, Flood 2014): a counter, mixed.
  std::uint64_t bits = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
  return bits ^ (bits >> 31);
}

Window random_window(const Text& text, std::size_t length, std::uint64_t seed,
                     std::uint64_t index) {
  std::size_t places = 0;
  for (const std::size_t size : text.sizes) places += size >= length ? size - length + 1 : 0;
  if (places == 0) throw std::runtime_error("no document is long enough for a window");
  std::size_t place = random_bits(seed, index) % places;
  for (std::size_t document = 0;; ++document) {
    const std::size_t size = text.sizes[document];
    const std::size_t here = size >= length ? size - length + 1 : 0;
    if (place < here) return window_at(text, text.starts[document] + place, length);
    place -= here;
  }
}

std::vector<Window> all_windows(const Text& text, std::size_t length) {
  std::vector<Window> windows;
  for (std::size_t document = 0; document < text.documents(); ++document) {
    for (std::size_t first = 0; first + length <= text.sizes[document]; first += length)
      windows.push_back(window_at(text, text.starts[document] + first, length));
  }
  return windows;
}

}  // namespace lm

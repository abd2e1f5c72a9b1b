// As much of ELF64, little-endian, as the checks read: sections and symbols. No system header, so
// that the checks build wherever nvcc runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace ropewalk_test {

class Elf {
 public:
  struct Section {
    std::string name;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint32_t type = 0;
    std::uint32_t link = 0;
  };
  struct Symbol {
    std::string name;
    unsigned binding = 0;     // 0 local, 1 global, 2 weak
    unsigned visibility = 0;  // 0 default, 2 hidden
    bool defined = false;
  };

  /// Throws std::runtime_error where the file is none or ends early.
  explicit Elf(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(stream), {});
    constexpr std::uint64_t magic = 0x0102464c457f;  // 0x7f E L F, 64 bits, little-endian
    if (bytes_.size() < 64 || number(0, 6) != magic) {
      throw std::runtime_error(path + " is not ELF64, little-endian");
    }
    const std::uint64_t table = number(0x28, 8);
    const std::uint64_t entry = number(0x3a, 2);
    const std::uint64_t count = number(0x3c, 2);
    const std::uint64_t names = number(table + number(0x3e, 2) * entry + 0x18, 8);
    for (std::uint64_t index = 0; index < count; ++index) {
      const std::uint64_t at = table + index * entry;
      Section section;
      section.name = text(names + number(at, 4));
      section.type = static_cast<std::uint32_t>(number(at + 4, 4));
      section.offset = number(at + 0x18, 8);
      section.size = number(at + 0x20, 8);
      section.link = static_cast<std::uint32_t>(number(at + 0x28, 4));
      sections_.push_back(section);
    }
  }

  const std::vector<Section>& sections() const { return sections_; }

  std::vector<Symbol> symbols() const {
    constexpr std::uint32_t symbol_table = 2;
    std::vector<Symbol> symbols;
    for (const Section& section : sections_) {
      if (section.type != symbol_table) continue;
      const std::uint64_t names = sections_.at(section.link).offset;
      for (std::uint64_t at = section.offset; at + 24 <= section.offset + section.size; at += 24) {
        Symbol symbol;
        symbol.name = text(names + number(at, 4));
        symbol.binding = static_cast<unsigned>(number(at + 4, 1) >> 4);
        symbol.visibility = static_cast<unsigned>(number(at + 5, 1) & 3);
        symbol.defined = number(at + 6, 2) != 0;
        symbols.push_back(symbol);
      }
    }
    return symbols;
  }

  std::uint64_t number(std::uint64_t at, int size) const {
    std::uint64_t value = 0;
    for (int byte = size - 1; byte >= 0; --byte) {
      value = value << 8 | static_cast<unsigned char>(bytes_.at(
                               static_cast<std::size_t>(at + static_cast<unsigned>(byte))));
    }
    return value;
  }

 private:
  std::string text(std::uint64_t at) const {
    std::string text;
    for (char c; (c = bytes_.at(static_cast<std::size_t>(at))) != '\0'; ++at) text += c;
    return text;
  }

  std::vector<char> bytes_;
  std::vector<Section> sections_;
};

}  // namespace ropewalk_test

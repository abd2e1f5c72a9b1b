// What is in a cubin, without a disassembler: instructions of 16 bytes, told by their lower 12 bits.
//   cubin_check <cubin> <kernels>
// Fails where a kernel touches local memory, where the wide ones do not move 16 bytes at a time, and
// where there are not so many kernels as said.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <elf.h>

namespace {

constexpr unsigned kLoadLocal = 0x983, kStoreLocal = 0x387;
constexpr unsigned kLoadGlobal = 0x981, kStoreGlobal = 0x986, kStoreGlobalOld = 0x386;
constexpr unsigned kSixteenBytes = 6;  // the width field of global loads and stores

template <typename T>
T read_at(const std::vector<char>& file, std::uint64_t at) {
  T value{};
  if (at > file.size() || sizeof value > file.size() - at) {
    std::fprintf(stderr, "gate refuses: the cubin ends early\n");
    std::exit(2);
  }
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  std::ifstream stream(arguments[1], std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(stream), {}};
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  const auto names = read_at<Elf64_Shdr>(
      file, header.e_shoff + std::uint64_t{header.e_shstrndx} * sizeof(Elf64_Shdr));
  int kernels = 0;
  int wrong = 0;
  for (std::uint64_t index = 0; index < header.e_shnum; ++index) {
    const auto section = read_at<Elf64_Shdr>(file, header.e_shoff + index * sizeof(Elf64_Shdr));
    const std::string name(file.data() + names.sh_offset + section.sh_name);
    if (name.rfind(".text.", 0) != 0) continue;
    ++kernels;
    int instructions = 0, local = 0, wide_loads = 0, wide_stores = 0;
    for (std::uint64_t at = 0; at + 16 <= section.sh_size; at += 16) {
      const auto low = read_at<std::uint64_t>(file, section.sh_offset + at);
      const auto high = read_at<std::uint64_t>(file, section.sh_offset + at + 8);
      const auto opcode = static_cast<unsigned>(low & 0xfff);
      const bool is_wide = ((high >> 9) & 7) == kSixteenBytes;
      ++instructions;
      local += opcode == kLoadLocal || opcode == kStoreLocal;
      wide_loads += opcode == kLoadGlobal && is_wide;
      wide_stores += (opcode == kStoreGlobal || opcode == kStoreGlobalOld) && is_wide;
    }
    std::printf("%6d instructions %3d LDG.128 %3d STG.128 %d local  %s\n", instructions, wide_loads,
                wide_stores, local, name.c_str() + 6);
    // Lb1 in the mangled name: the kernels that move 16 bytes.
    const bool expects_wide = name.find("Lb1E") != std::string::npos;
    if (local != 0) {
      std::printf("gate refuses: local memory is touched\n");
      ++wrong;
    }
    if (expects_wide && (wide_loads < 8 || wide_stores < 8)) {
      std::printf("gate refuses: fewer than 8 loads and 8 stores of 16 bytes\n");
      ++wrong;
    }
  }
  if (kernels != std::atoi(arguments[2])) {
    std::printf("gate refuses: %d kernels, not %s\n", kernels, arguments[2]);
    ++wrong;
  }
  return wrong == 0 ? 0 : 1;
}

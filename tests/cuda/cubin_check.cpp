// What is in a cubin, without a disassembler: instructions of 16 bytes, told by 12 bits.
//   cubin_check <cubin> <architecture> <kernels> <rule>...
//   rule         <part of the kernel's mangled name>:<instruction>:<at least>[:<at most>], counts
//                per kernel. It must match some kernel.
// Fails where a kernel breaks a rule, touches local memory, or touches global memory before it
// waits for the previous kernel; and where there are not so many kernels as said.
#include "elf.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <vector>

namespace {

/// As toolkit 13.0 encodes them for all architectures from 80 on; gates/instructions.cu holds each.
struct Instruction {
  const char* name;
  std::vector<unsigned> opcodes;
  bool sixteen_bytes = false;  // only where the width field says so
  int since = 80;              // architectures before have none, and no rule about it holds there
};

const std::vector<Instruction> kInstructions = {
    {"LDL", {0x983}},                   // local memory: spills, arrays with an index
    {"STL", {0x387, 0x987}},            //
    {"LDG", {0x981}},                   // global memory
    {"STG", {0x386, 0x986}},            //
    {"LDG.128", {0x981}, true},         //
    {"STG.128", {0x386, 0x986}, true},  //
    {"LDS", {0x984}},                   // shared memory
    {"STS", {0x388}},                   //
    {"LDSM", {0x83b}},                  // ldmatrix
    {"LDGSTS", {0xfae}},                // cp.async
    {"HMMA", {0x23c}},                  // mma.sync of 16-bit types
    {"MUFU", {0x308}},                  // exp2 and its like
    {"ATOM",
     {0x3a9, 0x98e, 0x9a3, 0x9a6, 0x9a8,  // atomic, global
      0x38c, 0x38d, 0x58d, 0x98c}},       // atomic, shared
    {"WAIT", {0x82e}, false, 90},         // griddepcontrol.wait
    {"RELEASE", {0x82d}, false, 90},      // griddepcontrol.launch_dependents
};

struct Rule {
  std::string text, kernel;
  const Instruction* instruction = nullptr;
  int least = 0, most = 1 << 30;
  int kernels = 0;  // that it was asked of
};

Rule parse(const std::string& text) {
  std::vector<std::string> fields(1);
  for (const char c : text) {
    if (c == ':') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  Rule rule;
  rule.text = text;
  if (fields.size() == 3 || fields.size() == 4) {
    rule.kernel = fields[0];
    for (const Instruction& known : kInstructions) {
      if (fields[1] == known.name) rule.instruction = &known;
    }
    rule.least = std::atoi(fields[2].c_str());
    if (fields.size() == 4) rule.most = std::atoi(fields[3].c_str());
  }
  if (rule.instruction == nullptr) {
    std::printf("gate refuses: no rule is written %s\n", text.c_str());
    std::exit(1);
  }
  return rule;
}

int check(int count, char** arguments) {
  const ropewalk_test::Elf cubin(arguments[1]);
  const int architecture = std::atoi(arguments[2]);
  std::vector<Rule> rules = {parse(":LDL:0:0"), parse(":STL:0:0")};
  for (int i = 4; i < count; ++i) rules.push_back(parse(arguments[i]));
  int kernels = 0;
  int wrong = 0;
  for (const auto& section : cubin.sections()) {
    if (section.name.rfind(".text.", 0) != 0) continue;
    ++kernels;
    std::map<std::string, int> counts;
    int before_wait = 0;
    for (std::uint64_t at = section.offset; at + 16 <= section.offset + section.size; at += 16) {
      const std::uint64_t opcode = cubin.number(at, 8) & 0xfff;
      const bool wide = (cubin.number(at + 8, 8) >> 9 & 7) == 6;  // of global loads and stores
      for (const Instruction& known : kInstructions) {
        if (known.sixteen_bytes && !wide) continue;
        for (const unsigned wanted : known.opcodes) counts[known.name] += opcode == wanted;
      }
      if (counts["WAIT"] == 0) {
        before_wait = counts["LDG"] + counts["STG"] + counts["LDGSTS"] + counts["ATOM"];
      }
    }
    const std::string kernel = section.name.substr(6);
    std::printf("sm_%d %6d instructions", architecture, static_cast<int>(section.size / 16));
    for (const Instruction& known : kInstructions) {
      const int found = counts[known.name];
      if (found != 0) std::printf(" %d %s", found, known.name);
    }
    std::printf("  %s\n", kernel.c_str());
    if (counts["WAIT"] != 0 && before_wait != 0) {
      std::printf(
          "gate refuses: sm_%d: %d accesses of memory before the wait for the previous kernel, "
          "in %s\n",
          architecture, before_wait, kernel.c_str());
      ++wrong;
    }
    for (Rule& rule : rules) {
      if (kernel.find(rule.kernel) == std::string::npos) continue;
      ++rule.kernels;
      if (architecture < rule.instruction->since) continue;
      const int found = counts[rule.instruction->name];
      if (found >= rule.least && found <= rule.most) continue;
      std::printf("gate refuses: sm_%d: %d %s, the rule is %s, in %s\n", architecture, found,
                  rule.instruction->name, rule.text.c_str(), kernel.c_str());
      ++wrong;
    }
  }
  for (const Rule& rule : rules) {
    if (rule.kernels != 0) continue;
    std::printf("gate refuses: no kernel is meant by the rule %s\n", rule.text.c_str());
    ++wrong;
  }
  if (kernels != std::atoi(arguments[3])) {
    std::printf("gate refuses: %d kernels, not %s\n", kernels, arguments[3]);
    ++wrong;
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) return 2;
  try {
    return check(count, arguments);
  } catch (const std::exception& error) {
    std::printf("gate refuses: %s\n", error.what());
    return 2;
  }
}

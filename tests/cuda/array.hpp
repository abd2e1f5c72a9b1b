// What a test's call reads and writes.
#pragma once

#include <cstddef>
#include <vector>

namespace ropewalk_test {

/// Memory of the host that a call reads or writes: what a device needs a copy of.
struct Array {
  const void* data;
  std::size_t bytes;
};

template <typename T>
Array array_of(const std::vector<T>& memory) {
  return {memory.data(), memory.size() * sizeof(T)};
}

}  // namespace ropewalk_test

// The value of a file that was read, or an exception that says why there is none.
#pragma once

#include <ropewalk/interop/model.hpp>

#include <stdexcept>
#include <string>

namespace lm {

template <typename T>
T value_of(const ropewalk::Result<T>& result, const std::string& path) {
  if (result) return result.value();
  const ropewalk::ReadFault& fault = result.fault();
  std::string text = path + ":";
  for (const std::string* part : {&fault.key, &fault.value, &fault.text}) {
    if (!part->empty()) text += " " + *part;
  }
  throw std::runtime_error(text);
}

}  // namespace lm

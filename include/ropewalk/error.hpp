// What is refused, and how it is said. Row 1.
#pragma once

#include <ropewalk/config.hpp>

#include <cstdio>
#include <stdexcept>

namespace ropewalk {
inline namespace v0 {

/// Why a value was refused.
enum class Errc {
  ok,
  not_finite,        ///< NaN or an infinity
  not_positive,      ///< must be greater than zero
  below_minimum,     ///< under the smallest value the formula is defined for
  above_maximum,     ///< over the largest value the formula is defined for
  odd,               ///< pairs need an even number
  wrong_length,      ///< a list does not have one entry per pair
  wrong_count,       ///< a number of things is not that of what they belong to
  wrong_order,       ///< two bounds are the wrong way round
  indivisible,       ///< one size must divide the other without a rest
  overlapping,       ///< two elements would share memory
  unknown,           ///< the formula needs it and it was not given
  unsupported,       ///< asked of something that does not offer it
  no_solution,       ///< the question has no answer for these values
  result_not_finite  ///< the formula left the range of double
};

/// The reason in words, as used in every message.
constexpr const char* message(Errc code) noexcept {
  switch (code) {
    case Errc::ok:
      return "is sound";
    case Errc::not_finite:
      return "is not a finite number";
    case Errc::not_positive:
      return "must be greater than zero";
    case Errc::below_minimum:
      return "is below the smallest value allowed";
    case Errc::above_maximum:
      return "is above the largest value allowed";
    case Errc::odd:
      return "must be even";
    case Errc::wrong_length:
      return "must have one entry per rotated pair";
    case Errc::wrong_count:
      return "differs from the count it must equal";
    case Errc::wrong_order:
      return "is on the wrong side of its partner";
    case Errc::indivisible:
      return "leaves a rest where a division must be whole";
    case Errc::overlapping:
      return "makes elements share memory";
    case Errc::unknown:
      return "is needed here and was not given";
    case Errc::unsupported:
      return "is not offered by what was called";
    case Errc::no_solution:
      return "leaves the formula without a solution";
    case Errc::result_not_finite:
      return "takes the result out of the range of double";
  }
  return "is refused";
}

/// One refused value: which field, what it held. `code` is `Errc::ok` when nothing is wrong.
struct Fault {
  Errc code = Errc::ok;
  const char* field = "";  ///< name of the field, static storage
  double value = 0.0;      ///< what it held
  int index = -1;          ///< entry of a list field, -1 where the field is no list
};

namespace detail {

/// Throws std::invalid_argument naming the place, the field and the value.
[[noreturn]] inline void refuse(const char* where, const Fault& fault) {
  char text[256];
  char entry[16] = "";
  if (fault.index >= 0) std::snprintf(entry, sizeof entry, "[%d]", fault.index);
  std::snprintf(text, sizeof text, "%s: %s%s = %.17g %s", where, fault.field, entry, fault.value,
                message(fault.code));
  ROPEWALK_THROW(std::invalid_argument(text));
}

inline void require(const char* where, const Fault& fault) {
  if (fault.code != Errc::ok) refuse(where, fault);
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

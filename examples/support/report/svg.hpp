// The small change of SVG: numbers, text and its width.
#pragma once

#include <string>
#include <string_view>

namespace report {

/// Text between tags or in an attribute, the five reserved characters written as entities.
std::string escaped(std::string_view text);

/// A number with so many decimals, the same bytes in every locale and from every compiler.
///   value        finite. Moved up by 1e-7 first: halves, which many coordinates are exactly, then
///                do not depend on the last bit
std::string fixed(double value, int decimals);

/// A coordinate in pixels, one decimal.
std::string pixels(double value);

/// "12 345 678": digits in groups of three, joined by spaces that do not break.
std::string grouped(double whole);

/// Upper estimate of the width of a text in pixels, for the widest of the usual sans-serif fonts.
double text_width(std::string_view text, double font_size);

/// Where a text starts from.
enum class Anchor { start, middle, end };

/// A <text> element; `style` is its class.
std::string text_element(double x, double y, std::string_view text, std::string_view style,
                         Anchor anchor = Anchor::start);

}  // namespace report

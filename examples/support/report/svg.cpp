#include <support/report/svg.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace report {

namespace {

/// The text with U+FFFD for what is no UTF-8, as a file's name need not be.
std::string readable(std::string_view text) {
  using nlohmann::json;
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace))
      .get<std::string>();
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char letter : readable(text)) {
    switch (letter) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        // Control characters have no place in XML.
        safe += static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f ? ' ' : letter;
    }
  }
  return safe;
}

std::string fixed(double value, int decimals) {
  char digits[512];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value + 1e-7,
                                          std::chars_format::fixed, decimals);
  std::string text(digits, end);
  if (text.find_first_not_of("-0.") == std::string::npos && text[0] == '-') text.erase(0, 1);
  return text;
}

std::string pixels(double value) {
  std::string text = fixed(value, 1);
  if (text.size() > 2 && text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string grouped(double whole) {
  std::string digits = fixed(std::round(whole), 0);
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, "\u00a0");
  return digits;
}

double text_width(std::string_view text, double font_size) {
  double ems = 0.0;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if ((byte & 0xc0u) == 0x80u) continue;  // the rest of a character already counted
    if (std::string_view("iljI.,:;'|! ").find(letter) != std::string_view::npos) {
      ems += 0.34;
    } else if (std::string_view("frt()[]/-*").find(letter) != std::string_view::npos) {
      ems += 0.45;
    } else if (std::string_view("mwMW%@").find(letter) != std::string_view::npos) {
      ems += 1.0;
    } else if ((letter >= 'A' && letter <= 'Z') || byte >= 0x80u) {
      ems += 0.75;
    } else {
      ems += 0.64;
    }
  }
  return ems * font_size;
}

std::string text_element(double x, double y, std::string_view text, std::string_view style,
                         Anchor anchor) {
  std::string element = "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\"";
  if (!style.empty()) element += " class=\"" + std::string(style) + "\"";
  if (anchor == Anchor::middle) element += " text-anchor=\"middle\"";
  if (anchor == Anchor::end) element += " text-anchor=\"end\"";
  return element + ">" + escaped(text) + "</text>\n";
}

}  // namespace report

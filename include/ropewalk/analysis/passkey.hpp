// Passkey retrieval: a number is hidden in a long text and asked for at its end. Row 9.
#pragma once

#include <ropewalk/analysis/passkey/numpy_random.hpp>
#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// The pieces of a prompt. It is put together as text and then tokenized as a whole:
///
///     task filler ... filler info filler ... filler question     and the model is to go on: key
///
/// Published results used other words; to compare with them, give theirs.
struct PasskeyTexts {
  const char* task =
      "Somewhere in the long text below a number is told to you. Keep it in mind, for in the end "
      "you "
      "are asked for it.\n";
  const char* filler = " Rain falls on the roof. A clock ticks. The boats lie in the harbour.";
  const char* info = "\nThe secret number is {key}. Remember: {key} is the secret number.\n";
  const char* question = "\nWhich number was secret? The secret number is";  // no space at the end
};

/// One prompt to be made.
struct PasskeyCase {
  std::size_t length_index = 0;
  std::size_t depth = 0;      // index of the bin
  std::int64_t length = 0;    // tokens of prompt and answer
  std::int64_t position = 0;  // where in these the info shall stand, at most
  std::int64_t key = 0;       // 10000 .. 99999
};

/// Lengths k maximum_length / lengths for k = 1 .. lengths, in each of them `depths` bins of equal
/// width, in each of these `keys` prompts. The divisions are whole ones, rounded down.
///   Source       Wang et al. 2024, arXiv 2404.12224, as their evaluation was run
struct PasskeyGrid {
  static constexpr std::int64_t kMaximumLength = std::int64_t{1} << 31;
  static constexpr std::int64_t kMaximumCases = std::int64_t{1} << 24;

  std::int64_t maximum_length = 0;  // tokens, depths * lengths .. 2^31
  std::int64_t lengths = 16;        // >= 1; the product of these three at most 2^24
  std::int64_t depths = 10;         // >= 1
  std::int64_t keys = 10;           // >= 1
  std::uint32_t seed = 42;

  Fault validate() const noexcept {
    Fault fault = detail::check_length("lengths", lengths, 1);
    if (fault.code == Errc::ok) fault = detail::check_length("depths", depths, 1);
    if (fault.code == Errc::ok) fault = detail::check_length("keys", keys, 1);
    if (fault.code != Errc::ok) return fault;
    if (lengths > kMaximumCases) return above_maximum("lengths", lengths);
    if (depths > kMaximumCases / lengths) return above_maximum("depths", depths);
    if (keys > kMaximumCases / (lengths * depths)) return above_maximum("keys", keys);
    if (maximum_length > kMaximumLength) return above_maximum("maximum_length", maximum_length);
    return detail::check_length("maximum_length", maximum_length, lengths * depths);
  }

  std::int64_t length(std::int64_t index) const noexcept {
    return (index + 1) * (maximum_length / lengths);
  }

  /// Every case, the longest first, in the order in which the paper's evaluation draws its random
  /// numbers: with the same seed, and lengths that divide maximum_length, these are its positions
  /// and keys.
  ///   Returns      (lengths, depths, keys), row-major, lengths falling
  ///   Throws       std::invalid_argument naming field and value
  std::vector<PasskeyCase> cases() const {
    detail::require("PasskeyGrid", validate());
    NumpyRandom random(seed);
    std::vector<PasskeyCase> all;
    all.reserve(static_cast<std::size_t>(lengths * depths * keys));
    for (std::int64_t index = lengths; index-- > 0;) {
      const std::int64_t bin = length(index) / depths;
      for (std::int64_t depth = 0; depth < depths; ++depth) {
        const std::size_t first = all.size();
        for (std::int64_t key = 0; key < keys; ++key) {
          all.push_back({static_cast<std::size_t>(index), static_cast<std::size_t>(depth),
                         length(index), random.integer(depth * bin, (depth + 1) * bin), 0});
        }
        for (std::size_t i = first; i < all.size(); ++i) all[i].key = random.integer(10000, 100000);
      }
    }
    return all;
  }

 private:
  static Fault above_maximum(const char* field, std::int64_t value) noexcept {
    return {Errc::above_maximum, field, static_cast<double>(value)};
  }
};

/// What a tokenizer makes of a case.
///   Tokens       what the tokenizer returns
template <typename Tokens>
struct PasskeyPrompt {
  Tokens tokens = {};
  Tokens answer = {};         // of the key alone
  std::int64_t position = 0;  // where the info begins, after a whole number of fillers
};

namespace detail {

inline void append_text(std::vector<char>& text, const char* part) {
  while (*part != '\0') text.push_back(*part++);
}

/// `part` with `key` where it says {key}; returns how often it does.
inline int append_with_key(std::vector<char>& text, const char* part, Span<const char> key) {
  int found = 0;
  while (*part != '\0') {
    const bool here =
        part[0] == '{' && part[1] == 'k' && part[2] == 'e' && part[3] == 'y' && part[4] == '}';
    if (!here) {
      text.push_back(*part++);
      continue;
    }
    for (const char digit : key) text.push_back(digit);
    part += 5;
    ++found;
  }
  return found;
}

inline std::vector<char> decimal_digits(std::int64_t value) {
  std::vector<char> digits;
  std::int64_t power = 1;
  while (value / power >= 10) power *= 10;
  for (; power > 0; power /= 10) digits.push_back(static_cast<char>('0' + value / power % 10));
  return digits;
}

template <typename Tokenizer>
using tokens_of = std::decay_t<decltype(std::declval<Tokenizer&>()(Span<const char>(), true))>;

}  // namespace detail

/// The prompt of a case. With the numbers of tokens of the pieces, the info stands where asked for,
/// but after the task and so that info, question and answer still fit; filler is repeated
/// floor((position - task) / filler) times before it and floor(rest / filler) times after it.
///   tokenizer    tokenizer(Span<const char> text, bool special) -> tokens, a container with size()
///                and operator[]; `special` asks for what the model wants in front of a text. It is
///                asked for with the prompt and in counting task and info (as the paper's
///                evaluation does: with one such token, one is counted that the prompt has not)
///   Throws       std::invalid_argument where the length has no room for the pieces, a filler has
///                no tokens, the info does not say {key}, or the tokens of the whole do not fit
///                where those of the pieces would
template <typename Tokenizer>
PasskeyPrompt<detail::tokens_of<Tokenizer>> passkey_prompt(const PasskeyCase& wanted,
                                                           const PasskeyTexts& texts,
                                                           Tokenizer&& tokenizer) {
  constexpr const char* where = "passkey_prompt";
  const auto count = [&tokenizer](const std::vector<char>& text, bool special) {
    return static_cast<std::int64_t>(tokenizer(Span<const char>(text), special).size());
  };
  const auto text_of = [](const char* part) {
    std::vector<char> text;
    detail::append_text(text, part);
    return text;
  };
  const std::vector<char> key = detail::decimal_digits(wanted.key);
  std::vector<char> info_text;
  if (detail::append_with_key(info_text, texts.info, key) == 0) {
    detail::refuse(where, {Errc::unknown, "info: {key}", 0.0});
  }
  PasskeyPrompt<detail::tokens_of<Tokenizer>> prompt;
  prompt.answer = tokenizer(Span<const char>(key), false);
  const std::int64_t task = count(text_of(texts.task), true);
  const std::int64_t filler = count(text_of(texts.filler), false);
  const std::int64_t info = count(info_text, true);
  const std::int64_t question = count(text_of(texts.question), false);
  if (filler < 1) detail::refuse(where, {Errc::not_positive, "filler", 0.0});

  const std::int64_t room = wanted.length - static_cast<std::int64_t>(prompt.answer.size());
  const std::int64_t last = room - info - question;
  if (last < task) {
    detail::refuse(where, {Errc::below_minimum, "length", static_cast<double>(wanted.length)});
  }
  std::int64_t position = wanted.position < task ? task : wanted.position;
  if (position > last) position = last;
  const std::int64_t before = (position - task) / filler;
  prompt.position = task + before * filler;
  const std::int64_t after = (last - prompt.position) / filler;

  std::vector<char> text = text_of(texts.task);
  for (std::int64_t i = 0; i < before; ++i) detail::append_text(text, texts.filler);
  text.insert(text.end(), info_text.begin(), info_text.end());
  for (std::int64_t i = 0; i < after; ++i) detail::append_text(text, texts.filler);
  detail::append_text(text, texts.question);
  prompt.tokens = tokenizer(Span<const char>(text), true);
  if (static_cast<std::int64_t>(prompt.tokens.size()) > room) {
    detail::refuse(
        where, {Errc::above_maximum, "prompt.tokens", static_cast<double>(prompt.tokens.size())});
  }
  return prompt;
}

/// How many keys were found, by length and depth.
struct PasskeyTable {
  std::vector<std::int64_t> lengths = {};  // tokens, rising
  std::int64_t depths = 0;
  std::int64_t keys = 0;                     // tried in each cell
  std::vector<std::int64_t> successes = {};  // (lengths, depths), row-major

  double accuracy(std::size_t length_index, std::size_t depth) const noexcept {
    const std::size_t cell = length_index * static_cast<std::size_t>(depths) + depth;
    return static_cast<double>(successes[cell]) / static_cast<double>(keys);
  }

  /// Share of the keys found at lengths of at most `longest` tokens; with the trained window, what
  /// the paper reports. None where every length is longer.
  std::optional<double> mean_accuracy(std::int64_t longest) const noexcept {
    std::int64_t found = 0;
    std::int64_t tried = 0;
    for (std::size_t i = 0; i < successes.size(); ++i) {
      if (lengths[i / static_cast<std::size_t>(depths)] > longest) break;
      found += successes[i];
      tried += keys;
    }
    if (tried == 0) return std::nullopt;
    return static_cast<double>(found) / static_cast<double>(tried);
  }
};

/// Asks a model for every key of a grid, the longest texts first.
///   tokenizer    as of passkey_prompt()
///   generator    generator(const tokens& prompt, std::int64_t new_tokens) -> tokens: what the
///                model goes on with, by its default way of choosing. A key is found where these
///                are the tokens of the key, neither more nor fewer
///   Throws       std::invalid_argument as PasskeyGrid::cases() and passkey_prompt()
template <typename Tokenizer, typename Generator>
PasskeyTable passkey_retrieval(const PasskeyGrid& grid, const PasskeyTexts& texts,
                               Tokenizer&& tokenizer, Generator&& generator) {
  const std::vector<PasskeyCase> cases = grid.cases();
  PasskeyTable table;
  for (std::int64_t i = 0; i < grid.lengths; ++i) table.lengths.push_back(grid.length(i));
  table.depths = grid.depths;
  table.keys = grid.keys;
  table.successes.resize(static_cast<std::size_t>(grid.lengths * grid.depths));
  for (const PasskeyCase& one : cases) {
    const auto prompt = passkey_prompt(one, texts, tokenizer);
    const auto& answer = prompt.answer;
    const auto& continued = generator(prompt.tokens, static_cast<std::int64_t>(answer.size()));
    bool found = continued.size() == answer.size();
    for (std::size_t i = 0; found && i < answer.size(); ++i) found = continued[i] == answer[i];
    if (!found) continue;
    ++table.successes[one.length_index * static_cast<std::size_t>(grid.depths) + one.depth];
  }
  return table;
}

}  // namespace v0
}  // namespace ropewalk

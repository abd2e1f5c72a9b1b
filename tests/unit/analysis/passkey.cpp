#include <ropewalk/analysis/passkey.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rw = ropewalk;
using Tokens = std::vector<std::int32_t>;

namespace {

constexpr std::int32_t kBegin = 256;

std::string text_of(const Tokens& tokens) {
  std::string text;
  for (const std::int32_t token : tokens) text += static_cast<char>(token);
  return text;
}

/// A token per byte.
Tokens bytes(rw::Span<const char> text, bool) { return Tokens(text.begin(), text.end()); }

/// The same with one token in front where special tokens are asked for.
Tokens bytes_after_begin(rw::Span<const char> text, bool special) {
  Tokens tokens = special ? Tokens{kBegin} : Tokens{};
  tokens.insert(tokens.end(), text.begin(), text.end());
  return tokens;
}

/// Of 20, 10, 17 (with a key) and 6 bytes.
constexpr rw::PasskeyTexts short_texts() {
  return {"Remember the number.", " Filler!!!", " It is {key}, ok?", "Which?"};
}

rw::PasskeyGrid grid_of(std::int64_t maximum_length, std::int64_t lengths, std::int64_t depths,
                        std::int64_t keys) {
  rw::PasskeyGrid grid;
  grid.maximum_length = maximum_length;
  grid.lengths = lengths;
  grid.depths = depths;
  grid.keys = keys;
  return grid;
}

rw::PasskeyCase case_at(std::int64_t length, std::int64_t position, std::int64_t key = 12345) {
  rw::PasskeyCase one;
  one.length = length;
  one.position = position;
  one.key = key;
  return one;
}

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a model that reads finds every key, one that guesses none") {
  const rw::PasskeyGrid grid = grid_of(32768, 16, 10, 2);
  const rw::PasskeyTexts texts;
  std::size_t longest = 0;
  const auto reader = [&](const Tokens& prompt, std::int64_t new_tokens) {
    longest = prompt.size() > longest ? prompt.size() : longest;
    const std::string text = text_of(prompt);
    const std::string before = "The secret number is ";
    return bytes(
        text.substr(text.find(before) + before.size(), static_cast<std::size_t>(new_tokens)),
        false);
  };
  const rw::PasskeyTable table = rw::passkey_retrieval(grid, texts, bytes, reader);
  CHECK(table.mean_accuracy(32768) == 1.0);
  CHECK(table.mean_accuracy(2048) == 1.0);
  CHECK_FALSE(table.mean_accuracy(2047).has_value());
  CHECK(table.lengths.front() == 2048);
  CHECK(table.lengths.back() == 32768);
  CHECK(longest <= 32768 - 5);
  CHECK(longest > 32768 - 5 - 2 * std::string(texts.filler).size());
  const rw::PasskeyTable guesses =
      rw::passkey_retrieval(grid_of(4096, 4, 2, 2), texts, bytes, [](const Tokens&, std::int64_t) {
        return Tokens{'1', '2', '3'};
      });
  CHECK(guesses.mean_accuracy(4096) == 0.0);
}

TEST_CASE("cases are 16 lengths of 10 depths of 10 keys, the longest first") {
  rw::PasskeyGrid grid;
  grid.maximum_length = 32768;
  const std::vector<rw::PasskeyCase> cases = grid.cases();
  REQUIRE(cases.size() == 1600);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const rw::PasskeyCase& one = cases[i];
    CHECK(one.length_index == 15 - i / 100);
    CHECK(one.length == 2048 * (16 - static_cast<std::int64_t>(i / 100)));
    CHECK(one.depth == i / 10 % 10);
    const std::int64_t bin = one.length / 10;
    CHECK(one.position >= static_cast<std::int64_t>(one.depth) * bin);
    CHECK(one.position < static_cast<std::int64_t>(one.depth + 1) * bin);
    CHECK(one.key >= 10000);
    CHECK(one.key <= 99999);
  }
  grid.seed = 43;
  const std::vector<rw::PasskeyCase> others = grid.cases();
  std::size_t same = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) same += others[i].key == cases[i].key ? 1u : 0u;
  CHECK(same < 5);
}

TEST_CASE("the text is task, filler, info, filler and question, as long as it fits") {
  // 20 task, 17 info, 6 question, 5 answer: at length 100, fillers of 10 share 52 tokens.
  const auto at = [](std::int64_t position) {
    const auto prompt = rw::passkey_prompt(case_at(100, position), short_texts(), bytes);
    CHECK(prompt.answer == Tokens{'1', '2', '3', '4', '5'});
    CHECK(prompt.tokens.size() == 20 + 17 + 6 + 50);
    CHECK(text_of(prompt.tokens).find(" It is 12345, ok?") ==
          static_cast<std::size_t>(prompt.position));
    return prompt.position;
  };
  CHECK(at(0) == 20);  // after the task
  CHECK(at(20) == 20);
  CHECK(at(29) == 20);  // whole fillers only
  CHECK(at(30) == 30);
  CHECK(at(69) == 60);
  CHECK(at(70) == 70);
  CHECK(at(72) == 70);  // the last place of all
  CHECK(at(99) == 70);
  const auto prompt = rw::passkey_prompt(case_at(100, 30), short_texts(), bytes);
  CHECK(text_of(prompt.tokens) ==
        "Remember the number. Filler!!! It is 12345, ok? Filler!!! Filler!!! Filler!!! Filler!!!"
        "Which?");
}

TEST_CASE("special tokens stand in front and are counted with the task and with the info") {
  const auto prompt = rw::passkey_prompt(case_at(100, 30), short_texts(), bytes_after_begin);
  CHECK(prompt.tokens.front() == kBegin);
  CHECK(prompt.position ==
        21);  // the task is 21 tokens, and a whole filler no longer fits before 30
  CHECK(prompt.answer.size() == 5);
  // 100 - 5 - 21 - 18 - 6 = 50 tokens are left for filler.
  CHECK(times(text_of(prompt.tokens), " Filler!!!") == 5);
  CHECK(prompt.tokens.size() == 21 + 17 + 6 + 50);
  // With one token less a filler fewer fits, though there would be room: the info's own is counted.
  CHECK(times(text_of(rw::passkey_prompt(case_at(99, 30), short_texts(), bytes_after_begin).tokens),
              " Filler!!!") == 4);
}

TEST_CASE("the shortest length holds the pieces and no filler; below it is refused") {
  const auto prompt = rw::passkey_prompt(case_at(48, 24), short_texts(), bytes);
  CHECK(text_of(prompt.tokens) == "Remember the number. It is 12345, ok?Which?");
  CHECK_THROWS_WITH(rw::passkey_prompt(case_at(47, 24), short_texts(), bytes),
                    contains("length = 47"));
}

TEST_CASE("the key stands wherever the info says {key}") {
  rw::PasskeyTexts texts = short_texts();
  texts.info = "{key}{ke}{key}";
  const auto prompt = rw::passkey_prompt(case_at(100, 0, 98760), texts, bytes);
  CHECK(text_of(prompt.tokens).find("98760{ke}98760") == 20);
  texts.info = "no key";
  CHECK_THROWS_WITH(rw::passkey_prompt(case_at(100, 0), texts, bytes), contains("{key}"));
}

TEST_CASE("the own texts say the key twice, and end where it is to follow") {
  const rw::PasskeyTexts texts;
  const auto prompt = rw::passkey_prompt(case_at(2048, 1000, 54321), texts, bytes);
  const std::string text = text_of(prompt.tokens);
  CHECK(times(text, "54321") == 2);
  CHECK(text.find(texts.task) == 0);
  CHECK(text.substr(text.size() - 4) == "r is");
  CHECK(times(text, texts.filler) > 20);
}

TEST_CASE("a tokenizer that needs more for the whole than for its pieces is refused") {
  const auto growing = [](rw::Span<const char> text, bool) {
    return Tokens(text.size() > 60 ? 2 * text.size() : text.size());
  };
  CHECK_THROWS_WITH(rw::passkey_prompt(case_at(100, 30), short_texts(), growing),
                    contains("prompt.tokens = 186"));
  rw::PasskeyTexts texts = short_texts();
  texts.filler = "";
  CHECK_THROWS_WITH(rw::passkey_prompt(case_at(100, 30), texts, bytes), contains("filler"));
}

TEST_CASE("a table counts what was found, and averages up to a length") {
  const rw::PasskeyGrid grid = grid_of(400, 4, 2, 3);
  // Found: every key up to length 200, and half of the depths at 300.
  const auto model = [&](const Tokens& prompt, std::int64_t) {
    const std::string text = text_of(prompt);
    const std::size_t at = text.find(" It is ");
    const std::string key = text.substr(at + 7, 5);
    const bool found = prompt.size() <= 200 || (prompt.size() <= 300 && at < 150);
    return bytes(found ? key : std::string("00000"), false);
  };
  const rw::PasskeyTable table = rw::passkey_retrieval(grid, short_texts(), bytes, model);
  CHECK(table.lengths == std::vector<std::int64_t>{100, 200, 300, 400});
  CHECK(table.successes == std::vector<std::int64_t>{3, 3, 3, 3, 3, 0, 0, 0});
  CHECK(table.accuracy(2, 0) == 1.0);
  CHECK(table.accuracy(2, 1) == 0.0);
  CHECK(table.mean_accuracy(100) == 1.0);
  CHECK(table.mean_accuracy(299) == 1.0);
  CHECK(table.mean_accuracy(300) == Approx(5.0 / 6.0));
  CHECK(table.mean_accuracy(1000) == Approx(5.0 / 8.0));
  CHECK_FALSE(table.mean_accuracy(99).has_value());
}

TEST_CASE("a key counts as found only where all of its tokens come and none more") {
  const rw::PasskeyGrid grid = grid_of(100, 1, 1, 4);
  const auto with = [&](auto change) {
    const auto model = [&](const Tokens& prompt, std::int64_t new_tokens) {
      const std::string text = text_of(prompt);
      CHECK(new_tokens == 5);
      Tokens key = bytes(text.substr(text.find(" It is ") + 7, 5), false);
      change(key);
      return key;
    };
    return rw::passkey_retrieval(grid, short_texts(), bytes, model).successes[0];
  };
  CHECK(with([](Tokens&) {}) == 4);
  CHECK(with([](Tokens& key) { key.pop_back(); }) == 0);
  CHECK(with([](Tokens& key) { key.push_back(' '); }) == 0);
  CHECK(with([](Tokens& key) { key[4] ^= 1; }) == 0);
  CHECK(with([](Tokens& key) { key.clear(); }) == 0);
}

TEST_CASE("unsound grids are refused by name") {
  const auto refused = [](const rw::PasskeyGrid& grid) {
    const std::string field = grid.validate().field;
    CHECK_THROWS_WITH(grid.cases(), contains(field));
    return field;
  };
  CHECK(refused(grid_of(32768, 0, 10, 10)) == "lengths");
  CHECK(refused(grid_of(32768, 16, 0, 10)) == "depths");
  CHECK(refused(grid_of(32768, 16, 10, -1)) == "keys");
  CHECK(refused(grid_of(159, 16, 10, 10)) == "maximum_length");
  CHECK(refused(grid_of((std::int64_t{1} << 31) + 1, 16, 10, 10)) == "maximum_length");
  CHECK(refused(grid_of(std::int64_t{1} << 31, 1 << 12, 1 << 12, 2)) == "keys");
  CHECK(refused(grid_of(std::int64_t{1} << 31, std::int64_t{1} << 40, 10, 10)) == "lengths");
  CHECK(grid_of(160, 16, 10, 10).cases().size() == 1600);
}

#include <support/command_line.hpp>
#include <support/report/page.hpp>
#include <support/report/schedule_output.hpp>
#include <support/report/svg.hpp>

#include <string_view>

namespace rw = ropewalk;

namespace report {

namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--ground:#ffffff;--ink:#1b1f24;--soft:#57606a;--grid:#d8dde3;
--gate:#0072b2;--hint:#9a5b00;--descriptive:#57606a}
@media (prefers-color-scheme:dark){:root{--ground:#14181d;--ink:#e6e9ed;--soft:#a3acb7;
--grid:#39424c;--gate:#56b4e9;--hint:#e69f00;--descriptive:#a3acb7}}
*{box-sizing:border-box}
body{margin:0 auto;padding:24px 16px 48px;max-width:944px;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,"DejaVu Sans",Helvetica,Arial,sans-serif;overflow-wrap:break-word}
h1{font-size:26px;line-height:1.25;margin:0 0 8px}
h2{font-size:20px;line-height:1.3;margin:44px 0 8px}
p{margin:8px 0;max-width:74ch}
.lead{color:var(--soft)}
nav ul{padding-left:20px;columns:2 300px;margin:8px 0}
a{color:inherit}
.role{display:inline-block;border:1.5px solid currentColor;border-radius:4px;padding:0 7px;
font-size:12px;font-weight:600;line-height:19px;vertical-align:2px;margin-left:6px;white-space:nowrap}
.gate{color:var(--gate)}.hint{color:var(--hint)}.descriptive{color:var(--descriptive)}
.descriptive{border-style:dashed}.hint{border-style:double;border-width:3px;line-height:16px}
.evidence{color:var(--soft);font-size:14px}
.wide{overflow-x:auto;margin:12px 0}
figure{margin:0}
svg.figure{display:block;width:100%;min-width:760px;height:auto}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 8px;border-bottom:1px solid var(--grid);text-align:right;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;min-width:200px;position:sticky;left:0;background:var(--ground)}
td.words,th.words{text-align:left;vertical-align:top}
thead th{font-weight:600;line-height:1.3}
td .role{font-size:11px;line-height:16px}td .hint{line-height:13px}
small{color:var(--soft);font-weight:400}
)css";

std::string tag(std::string_view name, const std::string& contents, std::string_view style = "") {
  std::string element = "<" + std::string(name);
  if (!style.empty()) element += " class=\"" + std::string(style) + "\"";
  return element + ">" + contents + "</" + std::string(name) + ">";
}

std::string role_mark(rw::FigureRole role) {
  return tag("span", rw::role_name(role), "role " + std::string(rw::role_name(role)));
}

std::string tokens_of(std::int64_t length) {
  return escaped(grouped(static_cast<double>(length))) + " tokens";
}

std::string introduction(const ScheduleReport& report) {
  const std::string gate = tag("span", "gate", "role gate");
  const std::string hint = tag("span", "hint", "role hint");
  const std::string descriptive = tag("span", "descriptive", "role descriptive");
  std::string text =
      tag("h1", escaped(report.title) + " to " + tokens_of(report.length.target_length)) + "\n" +
      tag("p", "Schedules for a longer context, side by side: " + escaped(facts_line(report)) + ".",
          "lead") +
      "\n";
  text += tag("p",
              "No closed formula predicts quality, so there is no score here. Every figure "
              "carries what it may be used for:" +
                  gate + " schedules that work pass it, but passing is not enough;" + hint +
                  " it went with measured quality in the few cases that were published;" +
                  descriptive + " it says what a schedule does and nothing more.") +
          "\n";
  for (const std::string& warning : report.model->warnings)
    text += tag("p", "Warning: " + escaped(warning)) + "\n";
  return text;
}

std::string contents(const std::vector<LabelledFigure>& figures) {
  std::string items = tag("li", "<a href=\"#figures-table\">All figures of every schedule</a>");
  for (const LabelledFigure& labelled : figures) {
    const std::string title = labelled.figure.title.substr(0, labelled.figure.title.find(", "));
    items += tag("li", "<a href=\"#" + labelled.figure.id + "\">" + escaped(title) + "</a>");
  }
  items += tag("li", "<a href=\"#precision-table\">Precision of every schedule</a>");
  items += tag("li", "<a href=\"#evidence-table\">Meaning and evidence</a>");
  return tag("nav", tag("ul", items)) + "\n";
}

std::string figure_part(const LabelledFigure& labelled) {
  const std::string title = labelled.figure.title.substr(0, labelled.figure.title.find(", "));
  return "<section id=\"" + labelled.figure.id + "\">\n" +
         tag("h2", escaped(title) + role_mark(labelled.role)) + "\n<figure><figcaption>" +
         tag("p", escaped(labelled.reading)) +
         tag("p", "Evidence: " + escaped(labelled.evidence), "evidence") +
         "</figcaption>\n<div class=\"wide\">" + draw(labelled.figure, false) +
         "</div></figure>\n</section>\n";
}

std::string name_of(rw::ScheduleFigure figure) {
  const rw::FigureDescription is = rw::describe(figure);
  const std::string unit = *is.unit == '\0' ? "" : " " + tag("small", escaped(is.unit));
  return escaped(is.title) + unit + role_mark(is.role);
}

/// A row per figure, a column per schedule.
std::string figures_table(const ScheduleReport& report) {
  std::string head = tag("th", "figure");
  std::string missing;
  for (const ScheduleEntry& entry : report.entries) {
    if (entry.applies()) {
      head += tag("th", escaped(entry.title));
    } else {
      missing +=
          tag("p", escaped(entry.title) + " does not apply: " + escaped(entry.reason)) + "\n";
    }
  }
  std::string rows;
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    std::string row = tag("td", name_of(figure));
    for (const ScheduleEntry& entry : report.entries) {
      if (entry.applies())
        row += tag("td", escaped(figure_text(report.compared(entry).figures, figure)));
    }
    rows += tag("tr", row) + "\n";
  }
  std::string better = tag("td", "Pareto order: better in something and worse in nothing");
  for (const ScheduleEntry& entry : report.entries) {
    if (!entry.applies()) continue;
    const std::string titles = dominators(report, entry);
    better += tag("td", titles.empty() ? "none" : escaped(titles));
  }
  return "<section id=\"figures-table\">\n" + tag("h2", "All figures of every schedule") + "\n" +
         missing + "<div class=\"wide\">" +
         tag("table",
             tag("thead", tag("tr", head)) + "\n" + tag("tbody", rows + tag("tr", better))) +
         "</div>\n</section>\n";
}

std::string precision_table(const ScheduleReport& report) {
  std::string head = tag("th", "schedule");
  for (const PrecisionWay& way : kPrecisionWays) head += tag("th", escaped(way.title));
  std::string rows;
  for (const ScheduleEntry& entry : report.entries) {
    if (!entry.applies()) continue;
    std::string row = tag("td", escaped(entry.title));
    for (const rw::PrecisionBudget& budget : report.precision[entry.compared]) {
      const std::string position = grouped(static_cast<double>(budget.safe_position));
      row += tag("td", (budget.safe_position >= budget.limit ? "at least " : "") + position);
    }
    rows += tag("tr", row) + "\n";
  }
  return "<section id=\"precision-table\">\n" +
         tag("h2", "Precision of every schedule" + role_mark(rw::FigureRole::descriptive)) + "\n" +
         tag("p", "Last position, in tokens, at which every pair's cosine is within " +
                      number(report.error_bound, 6) + " of the exact one; positions up to " +
                      escaped(grouped(static_cast<double>(report.precision_limit))) +
                      " were looked at.") +
         "\n<div class=\"wide\">" +
         tag("table", tag("thead", tag("tr", head)) + "\n" + tag("tbody", rows)) +
         "</div>\n</section>\n";
}

std::string evidence_table() {
  std::string rows;
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    const rw::FigureDescription is = rw::describe(figure);
    rows +=
        tag("tr", tag("td", escaped(is.title), "words") + tag("td", role_mark(is.role), "words") +
                      tag("td", escaped(is.meaning), "words") +
                      tag("td", escaped(is.evidence), "words")) +
        "\n";
  }
  return "<section id=\"evidence-table\">\n" + tag("h2", "Meaning and evidence") +
         "\n<div class=\"wide\">" +
         tag("table",
             "<thead><tr><th class=\"words\">figure</th><th class=\"words\">use</th>"
             "<th class=\"words\">meaning</th><th class=\"words\">evidence</th></tr>"
             "</thead>\n" +
                 tag("tbody", rows)) +
         "</div>\n</section>\n";
}

}  // namespace

std::string page(const ScheduleReport& report, const std::vector<LabelledFigure>& figures) {
  std::string body = introduction(report) + contents(figures) + figures_table(report);
  for (const LabelledFigure& labelled : figures) body += figure_part(labelled);
  body += precision_table(report) + evidence_table();
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escaped(report.title) + " to " + tokens_of(report.length.target_length) +
         "</title>\n<style>" + std::string(kStyle) + figure_style() + "</style></head>\n<body>\n" +
         body + "</body></html>\n";
}

}  // namespace report

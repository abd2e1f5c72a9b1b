// Looks at a report as the browser has laid it out, and leaves its findings in the document:
// <pre id="verdict"> with one line per fault, or "sound" and what was seen.
"use strict";
(() => {
  const faults = [];
  const seen = [];
  const expected = window.ropewalkExpected;
  const box = (element) => element.getBoundingClientRect();
  const name = (element) => `"${element.textContent.trim().slice(0, 40)}"`;

  // Relative luminance and contrast as WCAG 2 defines them.
  const luminance = (colour) => {
    const part = (value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    const [red, green, blue] = colour.match(/[\d.]+/g).map(Number);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = getComputedStyle(document.body).backgroundColor;

  const checkOverlap = (figure, texts) => {
    for (let i = 0; i < texts.length; ++i) {
      for (let j = i + 1; j < texts.length; ++j) {
        const a = box(texts[i]);
        const b = box(texts[j]);
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 0.5 && high > 0.5) {
          faults.push(`${figure}: text overlap of ${name(texts[i])} and ${name(texts[j])}`);
        }
      }
    }
  };

  const checkFigure = (svg) => {
    const figure = svg.dataset.figure;
    const frame = box(svg);
    if (frame.width < 300 || frame.height < 200) faults.push(`${figure}: has no size`);
    const within = (inner, room) =>
      inner.left >= frame.left - room && inner.right <= frame.right + room &&
      inner.top >= frame.top - room && inner.bottom <= frame.bottom + room;
    const texts = [...svg.querySelectorAll("text")];
    for (const text of texts) {
      const place = box(text);
      if (place.width === 0 || place.height === 0) faults.push(`${figure}: empty text`);
      if (!within(place, 0.5)) faults.push(`${figure}: text leaves the figure: ${name(text)}`);
      const size = parseFloat(getComputedStyle(text).fontSize) * frame.width / 880;
      if (size < 10) faults.push(`${figure}: text of ${size.toFixed(1)} px: ${name(text)}`);
      if (contrast(getComputedStyle(text).fill, ground) < 4.5) {
        faults.push(`${figure}: too little contrast: ${name(text)}`);
      }
    }
    checkOverlap(figure, texts);
    const series = [...svg.querySelectorAll("[data-series]")];
    for (const one of series) {
      const place = box(one);
      if (place.width === 0 && place.height === 0) {
        faults.push(`${figure}: series ${one.dataset.series} is not drawn`);
      } else if (!within(place, 6)) {
        faults.push(`${figure}: series ${one.dataset.series} leaves the figure`);
      }
      for (const path of one.querySelectorAll(".line")) {
        if (contrast(getComputedStyle(path).stroke, ground) < 2) {
          faults.push(`${figure}: series ${one.dataset.series} is too faint`);
        }
      }
    }
    if (series.length !== expected[figure]) {
      faults.push(`${figure}: ${series.length} series, expected ${expected[figure]}`);
    }
    seen.push(figure);
    // Lines that share a panel and a colour differ in dashes.
    if (svg.querySelectorAll("[data-panel]").length > 1) return;
    const looks = new Set();
    for (const path of svg.querySelectorAll("[data-series] .line")) {
      const style = getComputedStyle(path);
      looks.add(style.stroke + style.strokeDasharray);
    }
    const lines = new Set([...svg.querySelectorAll("[data-series] .line")]
      .map((path) => path.parentElement.dataset.series)).size;
    if (looks.size < lines) faults.push(`${figure}: ${lines} lines in ${looks.size} looks`);
  };

  const figures = [...document.querySelectorAll("svg[data-figure]")];
  figures.forEach(checkFigure);
  for (const figure of Object.keys(expected)) {
    if (!figures.some((svg) => svg.dataset.figure === figure)) faults.push(`${figure}: missing`);
  }
  for (const svg of figures) {
    if (svg.closest("section").querySelector(".role") === null) {
      faults.push(`${svg.dataset.figure}: not labelled gate, hint or descriptive`);
    }
  }
  const page = document.documentElement;
  if (page.scrollWidth > window.innerWidth) {
    faults.push(`the page is ${page.scrollWidth} wide in a window of ${window.innerWidth}`);
  }
  for (const link of document.querySelectorAll("a[href^='#']")) {
    if (!document.getElementById(link.hash.slice(1))) faults.push(`no target for ${link.hash}`);
  }
  const verdict = document.createElement("pre");
  verdict.id = "verdict";
  const words = `window ${window.innerWidth}, ground ${ground}: ${seen.join(", ")}`;
  verdict.textContent = faults.length === 0 ? `sound: ${words}` : faults.join("\n");
  document.body.replaceChildren(verdict);
})();

// Charts by Vega-Lite in the page's own colours, each with a table of what it shows.
"use strict";

(() => {
  const { explorer } = window;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  let known = null;
  dark.addEventListener("change", () => {
    known = null;
  });

  /** Colours of the page, as they are now. */
  explorer.colors = () => {
    if (known) return known;
    const style = getComputedStyle(document.documentElement);
    const of = (name) => {
      const probe = document.createElement("span");
      probe.style.color = `var(--${name})`;
      document.body.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found;
    };
    known = {
      ink: of("ink"),
      muted: of("muted"),
      line: of("line"),
      paper: of("paper"),
      positive: of("positive"),
      negative: of("negative"),
      accent: of("accent"),
      font: style.getPropertyValue("--font"),
    };
    return known;
  };

  /** A colour that was chosen on white, made lighter where the page is dark. */
  explorer.onPaper = (hex) => {
    if (!dark.matches) return hex;
    const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `#${parts.map((part) => Math.round(part + 0.4 * (255 - part)).toString(16).padStart(2, "0")).join("")}`;
  };

  const config = () => {
    const { ink, muted, line, font } = explorer.colors();
    return {
      background: null,
      font,
      view: { stroke: null },
      axis: { labelColor: muted, titleColor: muted, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 11, titleFontSize: 12, titleFontWeight: 400, titlePadding: 8 },
      legend: { labelColor: ink, titleColor: muted, labelFontSize: 12, orient: "top", title: null, symbolSize: 90, symbolStrokeWidth: 2.5, symbolOpacity: 1 },
      header: { labelColor: ink, titleColor: muted },
      text: { color: ink, font },
      aria: false,
    };
  };

  // The page's own images and nothing else, without the question across origins that a page from a disk may not ask.
  const loader = {
    load: () => Promise.reject(new Error("charts have their data with them")),
    sanitize: (url) => Promise.resolve({ href: url, crossOrigin: null }),
  };

  /** Draw a specification of Vega-Lite or Vega into a place; gives the view, which can be updated. */
  explorer.draw = async (place, spec, options = {}) => {
    const isVega = String(spec.$schema ?? "").includes("/vega/");
    const { view } = await window.vegaEmbed(place, spec, {
      mode: isVega ? "vega" : "vega-lite",
      config: config(),
      actions: false,
      renderer: "svg",
      defaultStyle: false,
      loader,
      tooltip: { theme: dark.matches ? "dark" : "light" },
      ...options,
    });
    place.querySelectorAll("svg, canvas").forEach((one) => {
      one.setAttribute("aria-hidden", "true");
      one.setAttribute("focusable", "false");
    });
    return view;
  };

  /**
   * A figure: a place for a chart, what it shows, and its numbers in a table that is made when it is opened.
   * `rows` may be called again later: the table follows.
   */
  explorer.figure = (title, about, columns, rows) => {
    const { element } = explorer;
    const place = element("div", { class: "chart" });
    const held = element("div", {});
    const details = element("details", {}, element("summary", {}, "Numbers of this chart"), held);
    const fill = () => {
      if (details.open) held.replaceChildren(explorer.table(title, columns, rows()));
    };
    details.addEventListener("toggle", fill);
    const node = element("figure", {}, element("figcaption", {}, element("h3", {}, title), element("p", {}, about)), place, details);
    return { node, place, fill };
  };

  explorer.whenThemeChanges = (listener) => dark.addEventListener("change", listener);
})();

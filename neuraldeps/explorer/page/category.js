// One category: its dependency by one estimator, or two side by side, at a size that slides.
"use strict";

(() => {
  const { explorer } = window;

  const pairOptions = () => explorer.index.pairs.map((_, at) => ({ value: at, label: explorer.pairName(at) }));
  const estimatorOptions = () => explorer.index.estimators.map((one) => ({ value: one.name, label: one.label }));

  /** Which dependency each side shows. */
  const sidesOf = (state) => {
    const sides = [{ pair: explorer.pairAt(state.source, state.target), estimator: state.estimator, suffix: "" }];
    if (state.view === "compare") sides.push({ pair: explorer.pairAt(state.source2, state.target2), estimator: state.estimator2, suffix: "2" });
    return sides;
  };

  const flagChips = (known) =>
    known.flags.map((flag) => explorer.element("li", { class: `flag ${flag.name}`, title: flag.meaning }, flag.name));

  const heading = (at, known) => {
    const { element, categories, percent, plain, count } = explorer;
    const pair = explorer.index.pairs[known.pair];
    const samples = explorer.strips.samples(at);
    const whose = pair.pseudo_positives ? "images that the network itself takes for it" : "held-out images of its own";
    const facts = [
      known.nImages ? `${known.nImages} ${whose}` : "no held-out image of its own",
      known.original === null ? null : `${percent(known.original)} of them right`,
      `second moment ${plain(known.secondMoment)} × the median's`,
      known.err0 === null ? null : `err(0) ${percent(known.err0, 2)} of it`,
    ];
    const n = categories.n;
    const step = (by, label) =>
      element("a", { class: "button", href: explorer.state.link({ category: categories.key((at + by + n) % n) }), "aria-label": label }, by < 0 ? "‹" : "›");
    return element(
      "div",
      { class: "heading" },
      explorer.tile(at, "large"),
      element(
        "div",
        { class: "title" },
        element("h2", {}, element("bdi", {}, categories.caption(at)), " ", explorer.picture(at) && categories.character(at) ? element("bdi", { class: "glyph" }, categories.character(at)) : null, " ", element("span", { class: "code" }, categories.code(at))),
        !categories.name(at).includes(",") ? null : element("p", { class: "synonyms" }, element("bdi", {}, categories.name(at))),
        element("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
        known.flags.length ? element("ul", { class: "flags", "aria-label": "Flags" }, flagChips(known)) : null,
      ),
      samples
        ? explorer.strip(samples, explorer.index.images[at] - 1, "Further sample images of the category")
        : null,
      element("div", { class: "steps" }, step(-1, "Previous category"), step(1, "Next category")),
    );
  };

  const penaltyText = (known, estimator, size) => {
    if (!explorer.estimator(estimator).has_penalty) return "";
    const { alpha, relative } = known.penalty(size);
    return alpha === null ? "" : `penalty α = ${explorer.plain(alpha)} (${explorer.plain(relative)} of the largest)`;
  };

  /** The slider of the size, for all sides at once. */
  const slider = (state, change) => {
    const { element, index } = explorer;
    const output = element("output", { for: "size" }, String(state.size));
    const note = element("span", { class: "note" });
    const input = element("input", {
      id: "size",
      type: "range",
      min: 0,
      max: index.sizes.length - 1,
      value: index.sizes.indexOf(state.size),
      "aria-valuetext": explorer.count(state.size, "other"),
    });
    input.addEventListener("input", () => change(index.sizes[Number(input.value)]));
    const show = (size, text) => {
      input.value = index.sizes.indexOf(size);
      input.setAttribute("aria-valuetext", explorer.count(size, "other"));
      output.textContent = size;
      note.textContent = text;
    };
    return { node: element("div", { class: "slider" }, element("label", { for: "size" }, "At most this many others"), input, output, note), show };
  };

  const choices = (state, side, number) => {
    const go = (changes) => explorer.state.go(changes);
    return explorer.element(
      "div",
      { class: "choices" },
      explorer.select(number ? "Second networks" : "Networks", pairOptions(), side.pair, (value) => {
        const { source, target } = explorer.index.pairs[Number(value)];
        go({ [`source${side.suffix}`]: source, [`target${side.suffix}`]: target });
      }),
      explorer.select(number ? "Second estimator" : "Estimator", estimatorOptions(), side.estimator, (value) => go({ [`estimator${side.suffix}`]: value })),
    );
  };

  const measureRows = (known, estimator, size) => {
    const { percent } = explorer;
    const pair = explorer.index.pairs[known.pair];
    return [
      { what: "error on its own images", before: "", now: percent(known.share("error", estimator, size)) },
      { what: "the same, where it was fitted", before: "", now: percent(known.share("error_fit", estimator, size)) },
      { what: "error on all images", before: "", now: percent(known.share("error_all", estimator, size)) },
      { what: "accuracy on its own images", before: percent(known.original), now: percent(known.share("accuracy", estimator, size)) },
      { what: "accuracy on all images", before: percent(pair.accuracy, 3), now: percent(known.accuracyAll(estimator, size), 3) },
    ];
  };

  const MEASURES = [
    { head: "Held-out images", cell: (row) => row.what },
    { head: "Logit replaced", cell: (row) => row.now, number: true },
    { head: "Not replaced", cell: (row) => row.before, number: true },
  ];

  const TERMS = [
    { head: "Source", cell: (row) => explorer.categoryLink(row.category) },
    { head: "Coefficient", cell: (row) => explorer.element("span", { class: row.coef < 0 ? "negative" : "positive" }, explorer.signed(row.coef)), number: true },
  ];

  const definitionRows = (known, estimator, size) =>
    explorer.index.epsilon.map((epsilon, at) => ({
      epsilon,
      all: known.delta("delta", estimator, at, size),
      own: known.delta("delta_own", estimator, at, size),
    }));

  const DEFINITION = [
    { head: "ε", cell: (row) => explorer.percent(row.epsilon, 0) },
    { head: "δ, all images", cell: (row) => explorer.percent(row.all), number: true },
    { head: "δ, its own", cell: (row) => explorer.percent(row.own), number: true },
  ];

  const stabilityTable = (known) =>
    known.stability.length
      ? explorer.table(
          "Stability of the best subset over halves of the images",
          [
            { head: "Others", cell: (row) => String(row.size) },
            { head: "Stability", cell: (row) => (row.value === null ? "–" : row.value.toFixed(2)), number: true },
            { head: "95 %", cell: (row) => (row.low === null ? "–" : `${row.low.toFixed(2)} to ${row.high.toFixed(2)}`), number: true },
            { head: "Near-equal supports", cell: (row) => String(row.nearEqual), number: true },
          ],
          known.stability,
        )
      : null;

  const controlsTable = (known) =>
    known.controls.length
      ? explorer.table(
          "Sources that nobody searched for",
          [
            { head: "Which", cell: (row) => `${row.name}, ${row.size}` },
            { head: "Error", cell: (row) => explorer.percent(row.error), number: true },
            { head: "Accuracy", cell: (row) => explorer.percent(row.accuracy), number: true },
          ],
          known.controls,
        )
      : null;

  const worstImages = (known) => {
    const { element } = explorer;
    if (!known.worst.length) return null;
    const strip = explorer.strips.worst(known.pair, known.at);
    const n = known.worst.length;
    return element(
      "section",
      { class: "card worst" },
      element("h3", {}, `The ${explorer.count(n, "image")} that the best subset misses most`),
      strip ? explorer.strip(strip, n, "The images of the table below, from left to right") : null,
      explorer.table(
        "Missed most",
        [
          { head: "Image", cell: (row) => element("bdi", {}, String(row.path)) },
          { head: "Missed by, logits", cell: (row) => explorer.plain(row.residual), number: true },
        ],
        known.worst,
      ),
    );
  };

  /** One dependency: its star graph and its numbers; `show(size)` changes them. */
  const panel = async (known, side, label) => {
    const { element } = explorer;
    const place = element("div", { class: "star" });
    const sources = element("div", { class: "sources" });
    const numbers = element("div", { class: "numbers" });
    const node = element("section", { class: "card panel", "aria-label": label }, place, sources, numbers);
    const start = async (size) => {
      const draw = await explorer.star(place, known.at);
      const show = (size_) => {
        const terms = known.terms(side.estimator, size_);
        sources.replaceChildren(explorer.table("Sources", TERMS, terms));
        numbers.replaceChildren(
          explorer.table("What it leaves", MEASURES, measureRows(known, side.estimator, size_)),
          explorer.table("Missed by more than ε (Definition 1)", DEFINITION, definitionRows(known, side.estimator, size_)),
        );
        return draw(terms);
      };
      await show(size);
      return show;
    };
    return { node, start };
  };

  const seriesOf = (sides, knowns) => {
    const { index } = explorer;
    if (sides.length === 1) return index.estimators.map((one) => ({ known: knowns[0], estimator: one.name, label: one.label, color: one.color }));
    const colors = ["#0072b2", "#d55e00"];
    return sides.map((side, number) => ({
      known: knowns[number],
      estimator: side.estimator,
      label: `${number + 1}: ${explorer.estimator(side.estimator).label}, ${explorer.pairName(side.pair)}`,
      color: colors[number],
    }));
  };

  /** Error against size, with what nobody searched for beside it. */
  const errorChart = (sides, knowns, size) => {
    const { index, percent } = explorer;
    const series = seriesOf(sides, knowns);
    const values = series.flatMap((one) =>
      index.sizes.map((at) => ({ size: at, error: one.known.share("error", one.estimator, at), who: one.label })).filter((row) => row.error !== null),
    );
    const last = index.sizes[index.sizes.length - 1];
    const nulls = sides.length > 1 ? [] : knowns[0].controls.filter((row) => row.size <= last && row.error !== null).map((row) => ({ size: row.size, error: row.error, who: row.name }));
    const figure = explorer.figure(
      "Error by number of others",
      "On the category's own held-out images, relative to its logit: 0 % is exact.",
      [
        { head: "Others", cell: (row) => String(row.size) },
        ...series.map((one) => ({ head: one.label, cell: (row) => percent(one.known.share("error", one.estimator, row.size)), number: true })),
      ],
      () => index.sizes.map((at) => ({ size: at })),
    );
    const highest = Math.min(1.5, Math.max(...[...values, ...nulls].map((row) => row.error), 0.1));
    const scale = { domain: [0, highest], clamp: true };
    const who = [...series.map((one) => one.label), ...new Set(nulls.map((row) => row.who))];
    const colors = [...series.map((one) => one.color), ...["#8a8f98", "#b08fc7", "#6b7280"]].slice(0, who.length).map(explorer.onPaper);
    const spec = {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: "container",
      height: 250,
      params: [{ name: "current", value: size }],
      encoding: {
        x: { field: "size", type: "quantitative", title: "at most this many others", scale: { domain: [Math.min(1, index.sizes[0]), last], nice: false }, axis: { tickMinStep: 1, grid: false } },
        y: { field: "error", type: "quantitative", title: "relative error", axis: { format: "%" }, scale },
        color: { field: "who", type: "nominal", scale: { domain: who, range: colors }, legend: { columns: window.innerWidth < 520 ? 3 : 0, labelLimit: 320 } },
      },
      layer: [
        { data: { values }, mark: { type: "line", strokeWidth: 2.5, interpolate: "monotone" } },
        { data: { values }, mark: { type: "point", filled: true, size: 70, opacity: 1 }, transform: [{ filter: "datum.size == current" }], encoding: { tooltip: [{ field: "who", title: "who" }, { field: "error", format: ".1%", title: "error" }] } },
        { data: { values: nulls }, mark: { type: "point", shape: "diamond", filled: true, size: 60, opacity: 0.9 }, encoding: { tooltip: [{ field: "who", title: "sources" }, { field: "size" }, { field: "error", format: ".1%" }] } },
        { data: { values: [{}] }, mark: { type: "rule", strokeDash: [3, 3], opacity: 0.6 }, encoding: { x: { datum: { expr: "current" } }, y: null, color: { value: explorer.colors().muted } } },
      ],
    };
    return { ...figure, start: () => explorer.draw(figure.place, spec) };
  };

  const mount = async (main, state) => {
    const { element } = explorer;
    const at = explorer.categories.find(state.category);
    const sides = sidesOf(state);
    const knowns = await Promise.all(sides.map((side) => explorer.category(side.pair, at)));
    const bar = slider(state, (size) => explorer.state.go({ size }, { replace: true }));
    const panels = await Promise.all(sides.map((side, number) => panel(knowns[number], side, `Dependency ${sides.length > 1 ? number + 1 : ""}`)));
    const chart = errorChart(sides, knowns, state.size);
    const isPair = sides.length > 1;
    const others = element(
      "div",
      { class: "pair-of-cards" },
      element("section", { class: "card" }, chart.node),
      isPair ? null : worstImages(knowns[0]),
    );
    const nulls = isPair ? [] : [stabilityTable(knowns[0]), controlsTable(knowns[0])].filter(Boolean).map((one) => element("section", { class: "card" }, one));
    main.replaceChildren(
      heading(at, knowns[0]),
      element("div", { class: "bar card" }, isPair ? null : choices(state, sides[0], 0), bar.node, element("p", { class: "note meaning" })),
      element(
        "div",
        { class: isPair ? "two" : "one" },
        panels.map((one, number) => (isPair ? element("div", {}, element("div", { class: "bar" }, choices(state, sides[number], number)), one.node) : one.node)),
      ),
      others,
      nulls.length ? element("div", { class: "pair-of-cards" }, nulls) : "",
    );
    const shows = await Promise.all(panels.map((one) => one.start(state.size)));
    const meaning = (side) => `${explorer.estimator(side.estimator).label}: ${explorer.estimator(side.estimator).meaning}`;
    main.querySelector(".bar .meaning").textContent = [...new Set(sides.map(meaning))].join("; ");
    const note = (size) => sides.map((side, number) => penaltyText(knowns[number], side.estimator, size)).filter(Boolean).join("; ");
    bar.show(state.size, note(state.size));
    const chartView = await chart.start();
    return async ({ size }) => {
      bar.show(size, note(size));
      await Promise.all([...shows.map((show) => show(size)), chartView.signal("current", size).runAsync()]);
      explorer.say(`${explorer.count(size, "other")}: error ${explorer.percent(knowns[0].share("error", sides[0].estimator, size))}`);
    };
  };

  explorer.views = { category: { title: "Category", mount }, compare: { title: "Compare", mount } };
  explorer.bar = { slider, pairOptions, estimatorOptions };
})();

// All pairs at a glance: how errors are distributed over the categories.
"use strict";

(() => {
  const { explorer } = window;
  const SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json";
  const share = (value) => (value === null ? null : value / explorer.index.scale.share);

  /** One bar per pair: the middle half and nine tenths of the categories, and the median. */
  const pairsChart = (state, found) => {
    const { index, percent } = explorer;
    const rows = (size) =>
      index.pairs.map((_, at) => {
        const own = found.pairs[at][state.estimator];
        const [low, first, median, third, high] = own.quantiles[index.sizes.indexOf(size)].map(share);
        return { pair: explorer.pairName(at), at, low, first, median, third, high, within: own.within[index.sizes.indexOf(size)].map(share) };
      });
    let now = rows(state.size);
    const figure = explorer.figure(
      "Error of the categories, by pair of networks",
      "Thin: nine tenths of the categories; thick: the middle half; line: the median. On own held-out images.",
      [
        { head: "Networks", cell: (row) => row.pair },
        { head: "Median", cell: (row) => percent(row.median), number: true },
        { head: "Middle half", cell: (row) => `${percent(row.first)} to ${percent(row.third)}`, number: true },
        { head: "Nine tenths", cell: (row) => `${percent(row.low)} to ${percent(row.high)}`, number: true },
        ...index.bounds.map((bound, at) => ({ head: `Within ${percent(bound, 0)}`, cell: (row) => percent(row.within[at]), number: true })),
      ],
      () => now,
    );
    const color = explorer.onPaper(explorer.estimator(state.estimator).color);
    const y = { field: "pair", type: "nominal", sort: null, title: null, axis: { labelLimit: 260, ticks: false, domain: false, labelPadding: 8, labelFontSize: 12 } };
    const x = (field) => ({ field, type: "quantitative", title: "relative error", axis: { format: "%", tickCount: 8 }, scale: { domainMin: 0 } });
    const spec = {
      $schema: SCHEMA,
      width: "container",
      height: 34 * now.length,
      data: { name: "pairs", values: now },
      layer: [
        { mark: { type: "bar", height: 3, color, opacity: 0.6 }, encoding: { y, x: x("low"), x2: { field: "high" } } },
        { mark: { type: "bar", height: 15, cornerRadius: 3, color, opacity: 0.85 }, encoding: { y, x: x("first"), x2: { field: "third" }, tooltip: [{ field: "pair" }, { field: "median", format: ".1%" }, { field: "first", format: ".1%" }, { field: "third", format: ".1%" }] } },
        { mark: { type: "tick", size: 22, thickness: 3, color: explorer.colors().ink }, encoding: { y, x: x("median") } },
      ],
    };
    return {
      ...figure,
      start: async () => {
        const view = await explorer.draw(figure.place, spec);
        return (size) => {
          now = rows(size);
          figure.fill();
          return view.data("pairs", now).runAsync();
        };
      },
    };
  };

  /** Median and quartiles against the size, by every estimator, of one pair. */
  const bandsChart = (pair, found, size) => {
    const { index, percent } = explorer;
    const values = index.estimators.flatMap((one) =>
      index.sizes.map((at, place) => {
        const [, first, median, third] = found.pairs[pair][one.name].quantiles[place].map(share);
        return { size: at, first, median, third, who: one.label };
      }),
    );
    const figure = explorer.figure(
      `Error by number of others, ${explorer.pairName(pair)}`,
      "Median and middle half of the categories, by every estimator.",
      [
        { head: "Others", cell: (row) => String(row.size) },
        ...index.estimators.map((one) => ({
          head: one.label,
          cell: (row) => percent(values.find((value) => value.size === row.size && value.who === one.label).median),
          number: true,
        })),
      ],
      () => index.sizes.map((at) => ({ size: at })),
    );
    const last = index.sizes[index.sizes.length - 1];
    const spec = {
      $schema: SCHEMA,
      width: "container",
      height: 260,
      params: [{ name: "current", value: size }],
      data: { values },
      encoding: {
        x: { field: "size", type: "quantitative", title: "at most this many others", scale: { domain: [Math.min(1, index.sizes[0]), last], nice: false }, axis: { tickMinStep: 1, grid: false } },
        color: { field: "who", type: "nominal", scale: { domain: index.estimators.map((one) => one.label), range: index.estimators.map((one) => explorer.onPaper(one.color)) }, legend: { symbolOpacity: 1 } },
      },
      layer: [
        { mark: { type: "area", opacity: 0.18 }, encoding: { y: { field: "first", type: "quantitative", title: "relative error", axis: { format: "%" }, scale: { domainMin: 0 } }, y2: { field: "third" } } },
        { mark: { type: "line", strokeWidth: 2.5 }, encoding: { y: { field: "median", type: "quantitative" } } },
        { data: { values: [{}] }, mark: { type: "rule", strokeDash: [3, 3], opacity: 0.6 }, encoding: { x: { datum: { expr: "current" } }, color: { value: explorer.colors().muted } } },
      ],
    };
    return {
      ...figure,
      start: async () => {
        const view = await explorer.draw(figure.place, spec);
        return (at) => view.signal("current", at).runAsync();
      },
    };
  };

  /** How many categories have which error, of one pair and by one estimator. */
  const histogramChart = (pair, found, state) => {
    const { index, percent } = explorer;
    const rows = (size) => {
      const counts = found.pairs[pair][state.estimator].histogram[index.sizes.indexOf(size)];
      return counts.map((n, bin) => ({ n, from: bin * index.step, to: (bin + 1) * index.step }));
    };
    let now = rows(state.size);
    const figure = explorer.figure(
      `Categories by error, ${explorer.pairName(pair)}`,
      `${explorer.estimator(state.estimator).label}, on own held-out images; the last bar holds all larger errors.`,
      [
        { head: "Error", cell: (row) => (row.from >= 1 ? "100 % or more" : `${percent(row.from, 0)} to ${percent(row.to, 0)}`) },
        { head: "Categories", cell: (row) => String(row.n), number: true },
      ],
      () => now,
    );
    const spec = {
      $schema: SCHEMA,
      width: "container",
      height: 260,
      data: { name: "bins", values: now },
      mark: { type: "rect", color: explorer.onPaper(explorer.estimator(state.estimator).color), opacity: 0.85, stroke: explorer.colors().paper, strokeWidth: 2 },
      encoding: {
        x: { field: "from", type: "quantitative", title: "relative error", axis: { format: "%", grid: false }, scale: { domain: [0, 1 + index.step] } },
        x2: { field: "to" },
        y: { field: "n", type: "quantitative", title: "categories", scale: { domainMin: 0 } },
        y2: { datum: 0 },
        tooltip: [{ field: "from", format: ".0%" }, { field: "n", title: "categories" }],
      },
    };
    return {
      ...figure,
      start: async () => {
        const view = await explorer.draw(figure.place, spec);
        return (size) => {
          now = rows(size);
          figure.fill();
          return view.data("bins", now).runAsync();
        };
      },
    };
  };

  const mount = async (main, state) => {
    const { element } = explorer;
    const found = await explorer.load("overview");
    const pair = explorer.pairAt(state.source, state.target);
    const bar = explorer.bar.slider(state, (size) => explorer.state.go({ size }, { replace: true }));
    const charts = [pairsChart(state, found), histogramChart(pair, found, state), bandsChart(pair, found, state.size)];
    main.replaceChildren(
      element("h2", {}, "Overview"),
      element(
        "div",
        { class: "bar card" },
        element(
          "div",
          { class: "choices" },
          explorer.select("Networks", explorer.bar.pairOptions(), pair, (value) => {
            const { source, target } = explorer.index.pairs[Number(value)];
            explorer.state.go({ source, target });
          }),
          explorer.select("Estimator", explorer.bar.estimatorOptions(), state.estimator, (value) => explorer.state.go({ estimator: value })),
        ),
        bar.node,
      ),
      element("section", { class: "card" }, charts[0].node),
      element("div", { class: "pair-of-cards" }, charts.slice(1).map((one) => element("section", { class: "card" }, one.node))),
    );
    bar.show(state.size, "");
    const shows = await Promise.all(charts.map((one) => one.start()));
    return ({ size }) => {
      bar.show(size, "");
      return Promise.all(shows.map((show) => show(size)));
    };
  };

  explorer.views.overview = { title: "Overview", mount };
})();

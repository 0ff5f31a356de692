// Who depends on whom: categories in their communities, and the dependencies of one of them.
"use strict";

(() => {
  const { explorer } = window;
  const LIGHT = ["#0072b2", "#b85c00", "#007a5a", "#b0478c", "#5b5bd6", "#8a6d00", "#c0392b", "#3f7d20", "#7a5195", "#00707f"];
  const DARK = ["#56b4e9", "#f0a04b", "#3ccf9f", "#e79ac4", "#a3a3ff", "#e3c85b", "#ff8a75", "#9bd46a", "#c99be0", "#4fd1dd"];
  const FEW = 3000; // beyond them, dots on a canvas

  const communities = (map) => {
    const used = new Map();
    map.sources.forEach((sources) => sources.forEach((at) => used.set(at, (used.get(at) ?? 0) + 1)));
    const members = map.inside.map(() => []);
    map.community.forEach((community, at) => members[community].push(at));
    return members.map((own, number) => ({
      number,
      size: own.length,
      inside: map.inside[number] / explorer.index.scale.share,
      hubs: own.sort((a, b) => (used.get(b) ?? 0) - (used.get(a) ?? 0) || a - b).slice(0, 5),
    }));
  };

  const neighbours = (map, at) => {
    const edges = map.sources[at].map((source) => ({ from: source, to: at, kind: "it depends on" }));
    map.sources.forEach((sources, target) => {
      if (sources.includes(at)) edges.push({ from: at, to: target, kind: "depend on it" });
    });
    return edges;
  };

  const place = (map, at) => ({ x: map.x[at] / 100, y: map.y[at] / 100 });

  const drawn = (map, at) => {
    const edges = neighbours(map, at).map((edge) => {
      const [from, to] = [place(map, edge.from), place(map, edge.to)];
      return { x: from.x, y: from.y, x2: to.x, y2: to.y, kind: edge.kind };
    });
    return { edges, chosen: [place(map, at)] };
  };

  const specOf = (map, at, width) => {
    const { categories, colors } = explorer;
    const isMany = categories.n > FEW;
    const { ink, positive, negative, paper } = colors();
    const palette = window.matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;
    const values = Array.from({ length: categories.n }, (_, one) => ({
      ...place(map, one),
      category: one,
      name: categories.caption(one),
      text: categories.character(one) ?? "●",
      color: palette[map.community[one] % palette.length],
    }));
    const [xs, ys] = [values.map((one) => one.x), values.map((one) => one.y)];
    const range = (list) => [Math.min(...list) - 1, Math.max(...list) + 1];
    const [x0, x1] = range(xs);
    const [y0, y1] = range(ys);
    const height = Math.round(Math.max(260, Math.min(900, (width * (y1 - y0)) / (x1 - x0))));
    const unit = Math.min(width / (x1 - x0), height / (y1 - y0));
    const middle = [(x0 + x1) / 2, (y0 + y1) / 2];
    const domain = (centre, pixels) => [centre - pixels / unit / 2, centre + pixels / unit / 2];
    const axis = (field, centre, pixels) => ({ field, type: "quantitative", axis: null, scale: { domain: domain(centre, pixels), nice: false, zero: false } });
    const encoding = { x: axis("x", middle[0], width), y: axis("y", middle[1], height) };
    const size = Math.max(4, Math.min(22, 0.92 * unit));
    const edges = drawn(map, at);
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width,
      height,
      padding: 0,
      autosize: "none",
      encoding,
      layer: [
        {
          params: [{ name: "window", select: { type: "interval", zoom: "wheel![event.shiftKey]" }, bind: "scales" }],
          data: { values },
          mark: isMany ? { type: "circle", size: Math.max(3, 0.6 * unit * unit), opacity: 0.9 } : { type: "text", fontSize: size, baseline: "middle", cursor: "pointer" },
          encoding: {
            ...encoding,
            ...(isMany ? {} : { text: { field: "text" } }),
            color: { field: "color", type: "nominal", scale: null },
            tooltip: { field: "name" },
          },
        },
        {
          data: { name: "edges", values: edges.edges },
          mark: { type: "rule", strokeWidth: 2, opacity: 0.75, strokeCap: "round" },
          encoding: { ...encoding, x2: { field: "x2" }, y2: { field: "y2" }, color: { field: "kind", type: "nominal", scale: { domain: ["it depends on", "depend on it"], range: [positive, negative] }, legend: null } },
        },
        {
          data: { name: "chosen", values: edges.chosen },
          mark: { type: "point", shape: "circle", size: Math.max(260, 2.2 * unit * unit), strokeWidth: 2.5, color: ink, fill: paper, fillOpacity: 0.15 },
          encoding,
        },
      ],
    };
  };

  const mount = async (main, state) => {
    const { element, categories } = explorer;
    const pair = explorer.pairAt(state.source, state.target);
    const map = await explorer.load(`maps/${pair}`);
    const groups = communities(map);
    const spot = element("div", { class: "chart map" });
    const beside = element("section", { class: "card", "aria-live": "off" });
    const row = (group) => ({ ...group });
    const palette = window.matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;
    main.replaceChildren(
      element("h2", {}, `Who depends on whom, ${explorer.pairName(pair)}`),
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
        ),
        element("p", { class: "note" }, `Best subsets of ${map.size}: ${explorer.count(groups.length, "community", "communities")} (Louvain). In the middle of each stand those that most others depend on. Choose a category to see its own; drag to move, Shift and wheel to zoom.`),
      ),
      element("div", { class: "map-and-list" }, element("section", { class: "card" }, spot), beside),
      element(
        "section",
        { class: "card" },
        explorer.table(
          "Communities",
          [
            { head: "Community", cell: (one) => element("span", { class: "swatch", style: `--swatch: ${palette[one.number % palette.length]}` }, String(one.number + 1)) },
            { head: "Categories", cell: (one) => String(one.size), number: true },
            { head: "Dependencies within", cell: (one) => explorer.percent(one.inside, 0), number: true },
            { head: "Most depended on", cell: (one) => element("span", { class: "links" }, one.hubs.map((at) => explorer.categoryLink(at, { view: "map" }))) },
          ],
          groups.map(row),
        ),
      ),
    );
    const width = Math.max(280, Math.floor(spot.clientWidth));
    const first = categories.find(state.category);
    const view = await explorer.draw(spot, specOf(map, first, width), { renderer: categories.n > FEW ? "canvas" : "svg" });
    view.addEventListener("click", (event, item) => {
      const at = item?.datum?.category;
      if (at !== undefined) explorer.state.go({ category: categories.key(at) });
    });
    const show = async (next) => {
      const at = categories.find(next.category);
      const { edges, chosen } = drawn(map, at);
      const links = neighbours(map, at);
      const list = (title, of, kind, color) =>
        element(
          "div",
          {},
          element("h3", { class: color }, `${title} (${links.filter((edge) => edge.kind === kind).length})`),
          element("ul", { class: "plain" }, links.filter((edge) => edge.kind === kind).map((edge) => element("li", {}, explorer.categoryLink(of(edge), { view: "map" })))),
        );
      beside.replaceChildren(
        element("h3", {}, element("a", { class: "category", href: explorer.state.link({ view: "category", category: categories.key(at) }) }, explorer.tile(at), element("bdi", {}, categories.caption(at)))),
        element("p", { class: "note" }, `Community ${map.community[at] + 1}`),
        list("It depends on", (edge) => edge.from, "it depends on", "positive"),
        list("Depend on it", (edge) => edge.to, "depend on it", "negative"),
      );
      await view.data("edges", edges).data("chosen", chosen).runAsync();
      explorer.say(`${categories.caption(at)}: depends on ${map.sources[at].length}, ${links.length - map.sources[at].length} depend on it`);
    };
    await show(state);
    return show;
  };

  explorer.views.map = { title: "Map", mount, updates: ["category"] };
})();

// The star graph: the target in the middle, its sources around it, coefficients on the edges.
"use strict";

(() => {
  const { explorer } = window;

  const SPEC = {
    $schema: "https://vega.github.io/schema/vega/v6.json",
    autosize: "none",
    padding: 0,
    data: [{ name: "edges", values: [] }, { name: "nodes", values: [] }],
    marks: [
      {
        type: "rule",
        from: { data: "edges" },
        encode: { update: { x: { field: "x" }, y: { field: "y" }, x2: { field: "x2" }, y2: { field: "y2" }, stroke: { field: "color" }, strokeWidth: { field: "width" }, strokeOpacity: { value: 0.75 } } },
      },
      {
        type: "rect",
        from: { data: "nodes" },
        encode: { update: { x: { signal: "datum.x - datum.r" }, y: { signal: "datum.y - datum.r" }, width: { signal: "2 * datum.r" }, height: { signal: "2 * datum.r" }, cornerRadius: { value: 6 }, fill: { field: "fill" } } },
      },
      {
        type: "text",
        from: { data: "nodes" },
        encode: { update: { x: { field: "x" }, y: { field: "y" }, text: { field: "character" }, fontSize: { signal: "1.2 * datum.r" }, align: { value: "center" }, baseline: { value: "middle" }, fill: { field: "ink" } } },
      },
      {
        type: "image",
        from: { data: "nodes" },
        encode: { update: { x: { signal: "datum.x - datum.r" }, y: { signal: "datum.y - datum.r" }, width: { signal: "2 * datum.r" }, height: { signal: "2 * datum.r" }, url: { field: "url" }, aspect: { value: false } } },
      },
      {
        type: "rect",
        from: { data: "nodes" },
        encode: { update: { x: { signal: "datum.x - datum.r" }, y: { signal: "datum.y - datum.r" }, width: { signal: "2 * datum.r" }, height: { signal: "2 * datum.r" }, cornerRadius: { value: 6 }, fill: { value: "transparent" }, stroke: { field: "color" }, strokeWidth: { field: "frame" }, cursor: { value: "pointer" }, tooltip: { signal: "{title: datum.name, coefficient: datum.coef}" } } },
      },
      ...["halo", "coef"].map((kind) => ({
        type: "text",
        interactive: false,
        from: { data: "edges" },
        encode: { update: { x: { field: "cx" }, y: { field: "cy" }, text: { field: "coef" }, fontSize: { field: "size" }, fontWeight: { value: 600 }, align: { value: "center" }, baseline: { value: "middle" }, ...(kind === "halo" ? { stroke: { field: "paper" }, strokeWidth: { value: 5 }, strokeJoin: { value: "round" }, fill: { field: "paper" } } : { fill: { field: "color" } }) } },
      })),
      ...["halo", "name"].map((kind) => ({
        type: "text",
        interactive: false,
        from: { data: "nodes" },
        encode: { update: { x: { field: "lx" }, y: { field: "ly" }, text: { field: "label" }, fontSize: { field: "labelSize" }, limit: { field: "limit" }, lineHeight: { signal: "1.15 * datum.labelSize" }, align: { field: "align" }, baseline: { field: "baseline" }, ...(kind === "halo" ? { stroke: { field: "paper" }, strokeWidth: { value: 4 }, strokeJoin: { value: "round" }, fill: { field: "paper" } } : { fill: { field: "ink" } }) } },
      })),
    ],
  };

  /** A name in a few short lines, with its character if it has one. */
  const linesOf = (at, length, most) => {
    const { categories } = explorer;
    const character = explorer.picture(at) ? categories.character(at) : null;
    const lines = [""];
    for (const word of `${categories.caption(at)}${character ? ` ${character}` : ""}`.split(" ")) {
      const last = lines.length - 1;
      if (lines[last] && lines[last].length + word.length >= length && lines.length < most) lines.push(word);
      else lines[last] = `${lines[last]} ${word}`.trim();
    }
    return lines;
  };

  /** Where everything stands, for a drawing so wide and high. */
  const laidOut = (target, terms, width, height) => {
    const colors = explorer.colors();
    const { categories } = explorer;
    const isNarrow = width < 520;
    const n = terms.length;
    const angles = terms.map((_, number) => -Math.PI / 2 + (2 * Math.PI * (number + (n % 2 ? 0 : 0.5))) / n);
    // all the room there is, wherever the outermost stand
    const outmost = (of) => Math.max(...angles.map((angle) => Math.abs(of(angle))), 0.6);
    const reach = { x: (width / 2 - (isNarrow ? 44 : 165)) / outmost(Math.cos), y: (height / 2 - (isNarrow ? 62 : 74)) / outmost(Math.sin) };
    const around = Math.PI * Math.sqrt((reach.x ** 2 + reach.y ** 2) / 2) * 2;
    const side = Math.max(13, Math.min(isNarrow ? 23 : 38, (0.35 * around) / Math.max(n, 1)));
    const middle = isNarrow ? 27 : 46;
    const [x, y] = [width / 2, height / 2];
    const largest = Math.max(...terms.map((term) => Math.abs(term.coef)), 1e-9);
    const look = (at) => ({
      category: at,
      name: explorer.categories.name(at),
      label: linesOf(at, isNarrow ? 14 : 20, n > 12 ? 2 : 3),
      url: explorer.picture(at) ?? "",
      character: explorer.picture(at) ? "" : explorer.categories.character(at) ?? categories.caption(at).slice(0, 2),
      fill: colors.paper,
      ink: colors.ink,
      paper: colors.paper,
    });
    const nodes = [];
    const edges = [];
    terms.forEach((term, number) => {
      const angle = angles[number];
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      const node = { x: x + reach.x * cos, y: y + reach.y * sin };
      const color = term.coef < 0 ? colors.negative : colors.positive;
      const coef = explorer.signed(term.coef, n > 12 ? 2 : 3);
      const label = look(term.category);
      const lines = (label.label.length - 1) * 1.15 * (isNarrow ? 10 : 12);
      const isBeside = !isNarrow && Math.abs(cos) > 0.35;
      nodes.push({
        ...label,
        ...node,
        r: side,
        color,
        coef,
        frame: 2,
        labelSize: isNarrow ? 10 : 12,
        lx: isBeside ? node.x + Math.sign(cos) * (side + 7) : node.x,
        ly: isBeside ? node.y - lines / 2 : node.y + (sin < 0 ? -side - 6 - lines : side + 6),
        align: isBeside ? (cos > 0 ? "left" : "right") : "center",
        baseline: isBeside ? "middle" : sin < 0 ? "bottom" : "top",
        limit: isBeside ? (cos > 0 ? width - node.x : node.x) - side - 9 : Math.max(46, Math.min(170, (0.85 * around) / n)),
      });
      const share = n > 12 ? 0.66 : 0.58;
      edges.push({
        x,
        y,
        x2: node.x,
        y2: node.y,
        cx: x + share * (node.x - x),
        cy: y + share * (node.y - y),
        color,
        coef,
        paper: colors.paper,
        size: n > 12 || isNarrow ? 10.5 : 13,
        width: 1.5 + (7 * Math.abs(term.coef)) / largest,
      });
    });
    nodes.push({
      ...look(target),
      x,
      y,
      r: middle,
      color: colors.ink,
      coef: "the target",
      frame: 2.5,
      label: [],
    });
    return { nodes, edges };
  };

  /** A star graph in a place; gives a function that shows another dependency in it. */
  explorer.star = async (place, target) => {
    const width = Math.max(280, Math.min(900, Math.floor(place.clientWidth)));
    const height = width < 520 ? Math.round(1.15 * width) : Math.round(Math.max(420, Math.min(620, 0.7 * width)));
    const view = await explorer.draw(place, { ...SPEC, width, height });
    view.addEventListener("click", (event, item) => {
      const at = item?.datum?.category;
      if (at !== undefined && at !== target) explorer.state.go({ category: explorer.categories.key(at) });
    });
    return (terms) => {
      const { nodes, edges } = laidOut(target, terms, width, height);
      return view.data("nodes", nodes).data("edges", edges).runAsync();
    };
  };
})();

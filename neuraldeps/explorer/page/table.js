// All categories of a pair in a table: sorted, filtered, and taken along as CSV.
"use strict";

(() => {
  const { explorer } = window;
  const ROWS = 50;

  /** Columns of one pair at an estimator and a size, as the table shows them and as CSV has them. */
  const read = async (state) => {
    const { index, categories, percent, plain } = explorer;
    const pair = explorer.pairAt(state.source, state.target);
    const [facts, measured] = await Promise.all([explorer.load(`tables/${pair}/facts`), explorer.load(`tables/${pair}/${state.estimator}-${state.size}`)]);
    const share = (column) => (at) => (column[at] === null ? null : column[at] / index.scale.share);
    const number = (name, head, value, show) => ({ name, head, value, show, number: true });
    const columns = [
      { name: "name", head: "Category", value: (at) => categories.short(at) },
      { name: "code", head: "Code", value: (at) => categories.code(at) },
      number("error", "Error", share(measured.error), percent),
      number("accuracy", "Accuracy, replaced", share(measured.accuracy), percent),
      number("original", "Accuracy", share(facts.original), percent),
      number("n_images", "Images", (at) => facts.n_images[at], plain),
      number("second_moment", "Second moment", (at) => facts.second_moment[at], plain),
    ];
    if (facts.err0_relative) columns.push(number("err0_relative", "err(0)", (at) => facts.err0_relative[at], plain));
    if (facts.stability) columns.push(number("stability", "Stability", (at) => facts.stability[at], plain));
    if (facts.near_equal_supports) columns.push(number("near_equal", "Near-equal", (at) => facts.near_equal_supports[at], plain));
    const raised = (at) => index.flags.filter((_, bit) => (facts.flags[at] >> bit) & 1).map((flag) => flag.name);
    if (facts.flags) columns.push({ name: "flags", head: "Flags", value: (at) => raised(at).join(" ") });
    return { pair, columns };
  };

  const chosen = (state, columns) => {
    const of = Object.fromEntries(columns.map((column) => [column.name, column]));
    const most = state.most === "" ? null : Number(state.most) / 100;
    const all = state.find.trim() ? explorer.find(state.find) : Array.from({ length: explorer.categories.n }, (_, at) => at);
    const kept = all.filter((at) => {
      if (state.flag && !(of.flags?.value(at) ?? "").split(" ").includes(state.flag)) return false;
      return most === null || (of.error.value(at) !== null && of.error.value(at) <= most);
    });
    const isFalling = state.sort.startsWith("-");
    const column = of[state.sort.replace(/^-/, "")] ?? of.error;
    const compare = column.number ? (a, b) => a - b : (a, b) => String(a).localeCompare(String(b), "en");
    // what was not measured stands at the end, whichever way
    const values = new Map(kept.map((at) => [at, column.value(at)]));
    return kept.sort((a, b) => {
      const [left, right] = [values.get(a), values.get(b)];
      if (left === null || right === null) return (left === null) - (right === null) || a - b;
      return (isFalling ? -1 : 1) * compare(left, right) || a - b;
    });
  };

  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  const download = (state, columns, rows) => {
    const { index } = explorer;
    const { source, target } = index.pairs[explorer.pairAt(state.source, state.target)];
    const lines = [
      ["source", "target", "estimator", "size", ...columns.map((column) => column.name)],
      ...rows.map((at) => [source, target, state.estimator, state.size, ...columns.map((column) => column.value(at))]),
    ];
    const text = lines.map((line) => line.map(quoted).join(",")).join("\r\n");
    const url = URL.createObjectURL(new Blob([`\uFEFF${text}\r\n`], { type: "text/csv;charset=utf-8" }));
    const link = explorer.element("a", { href: url, download: `${source}--${target}-${state.estimator}-${state.size}.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    explorer.say(`${explorer.count(rows.length, "row")} saved`);
  };

  const filters = (state) => {
    const { element, index } = explorer;
    const go = (changes) => explorer.state.go({ ...changes, page: 1 }, { replace: true });
    const field = (label, name, attributes) => {
      const input = element("input", { ...attributes, value: state[name], id: `filter-${name}` });
      input.addEventListener("input", () => go({ [name]: input.value }));
      return element("label", { class: "choice" }, element("span", {}, label), input);
    };
    return [
      field("Name, code or character", "find", { type: "text", autocomplete: "off", spellcheck: "false" }),
      explorer.select("Flag", [{ value: "", label: "any or none" }, ...index.flags.map((flag) => ({ value: flag.name, label: flag.name }))], state.flag, (value) => go({ flag: value })),
      field("Error at most, %", "most", { type: "number", min: 0, step: 1, inputmode: "decimal" }),
    ];
  };

  const grid = (state, columns, rows) => {
    const { element } = explorer;
    const pages = Math.max(1, Math.ceil(rows.length / ROWS));
    const page = Math.min(state.page, pages);
    const shown = rows.slice((page - 1) * ROWS, page * ROWS);
    const sorted = state.sort.replace(/^-/, "");
    const isFalling = state.sort.startsWith("-");
    const head = (column) => {
      const isSorted = column.name === sorted;
      return element(
        "th",
        { scope: "col", class: column.number ? "number" : null, "aria-sort": isSorted ? (isFalling ? "descending" : "ascending") : null },
        element(
          "button",
          { type: "button", "data-column": column.name, on: { click: () => explorer.state.go({ sort: isSorted && !isFalling ? `-${column.name}` : column.name, page: 1 }, { replace: true }) } },
          column.head,
          element("span", { "aria-hidden": "true" }, isSorted ? (isFalling ? " ↓" : " ↑") : ""),
        ),
      );
    };
    const cell = (column, at) => {
      if (column.name === "name") return element("th", { scope: "row" }, explorer.categoryLink(at));
      if (column.name === "code") return element("td", { class: "code" }, column.value(at));
      if (column.name === "flags") {
        const names = column.value(at).split(" ").filter(Boolean);
        return element("td", {}, element("span", { class: "flags" }, names.map((name) => element("span", { class: `flag ${name}` }, name))));
      }
      return element("td", { class: "number" }, column.show(column.value(at)));
    };
    const turn = (to, label, text) =>
      element("button", { type: "button", "aria-label": label, disabled: to < 1 || to > pages, on: { click: () => explorer.state.go({ page: to }) } }, text);
    return [
      element(
        "div",
        { class: "scroll", role: "group", tabindex: 0, "aria-label": "Categories" },
        element("table", { class: "all" }, element("caption", { class: "hidden" }, "Categories"), element("thead", {}, element("tr", {}, columns.map(head))), element("tbody", {}, shown.map((at) => element("tr", {}, columns.map((column) => cell(column, at)))))),
      ),
      element("p", { class: "pages" }, turn(page - 1, "Previous page", "‹"), ` ${page} of ${pages} `, turn(page + 1, "Next page", "›")),
    ];
  };

  const mount = async (main, state) => {
    const { element } = explorer;
    const found = element("p", { class: "found" });
    const held = element("div", { class: "card" });
    const bar = explorer.bar.slider(state, (size) => explorer.state.go({ size }, { replace: true }));
    let current = null;
    const save = element("button", { type: "button", id: "download", on: { click: () => download(current.state, current.columns, current.rows) } }, "Download as CSV");
    const choice = element(
      "div",
      { class: "choices" },
      explorer.select("Networks", explorer.bar.pairOptions(), explorer.pairAt(state.source, state.target), (value) => {
        const { source, target } = explorer.index.pairs[Number(value)];
        explorer.state.go({ source, target });
      }),
      explorer.select("Estimator", explorer.bar.estimatorOptions(), state.estimator, (value) => explorer.state.go({ estimator: value })),
      filters(state),
    );
    let asked = 0;
    const show = async (next) => {
      asked += 1;
      const mine = asked;
      const { columns } = await read(next);
      if (mine !== asked) return;
      const rows = chosen(next, columns);
      current = { state: next, columns, rows };
      bar.show(next.size, "");
      const focused = document.activeElement?.dataset?.column;
      held.replaceChildren(...grid(next, columns, rows));
      if (focused) held.querySelector(`[data-column="${focused}"]`)?.focus();
      found.textContent = `${explorer.count(rows.length, "category", "categories")} of ${explorer.categories.n.toLocaleString("en")}`;
      explorer.say(found.textContent);
    };
    await show(state);
    main.replaceChildren(
      element("h2", {}, `Categories, ${explorer.pairName(explorer.pairAt(state.source, state.target))}`),
      element("div", { class: "bar card" }, choice, bar.node),
      element("div", { class: "line" }, found, save),
      held,
      element("dl", { class: "legend" }, explorer.index.flags.map((flag) => [element("dt", {}, element("span", { class: `flag ${flag.name}` }, flag.name)), element("dd", {}, flag.meaning)])),
    );
    return show;
  };

  explorer.views.table = { title: "All categories", mount, updates: ["size", "find", "flag", "most", "sort", "page"] };
})();

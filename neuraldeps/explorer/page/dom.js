// Elements and numbers. All text goes through text nodes: what a category is called is never markup.
"use strict";
window.explorer = {};

(() => {
  const { explorer } = window;

  /** An element with attributes (`on` has listeners) and children: nodes, texts, or lists of them. */
  explorer.element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") {
        for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
      } else made.setAttribute(name, value === true ? "" : String(value));
    }
    made.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
    return made;
  };

  const NONE = "–";
  const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

  /** A share as a percentage. */
  explorer.percent = (value, digits = 1) => (known(value) ? `${(100 * value).toFixed(digits)} %` : NONE);

  /** A coefficient with its sign. */
  explorer.signed = (value, digits = 3) =>
    known(value) ? `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}` : NONE;

  /** Any other number, as it is kept. */
  explorer.plain = (value) => (known(value) ? String(value).replace("-", "−") : NONE);

  explorer.count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

  /**
   * A table. Columns are {head, cell(row), number: whether it is to the right}; a cell is a text or a node.
   * The first column heads its row.
   */
  explorer.table = (caption, columns, rows, attributes = {}) => {
    const { element } = explorer;
    const cell = (column, row, place) =>
      element(
        place ? "td" : "th",
        { class: column.number ? "number" : null, scope: place ? null : "row" },
        column.cell(row),
      );
    return element(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
      element(
        "table",
        attributes,
        element("caption", {}, caption),
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            columns.map((column) =>
              element("th", { scope: "col", class: column.number ? "number" : null }, column.head),
            ),
          ),
        ),
        element(
          "tbody",
          {},
          rows.map((row) =>
            element("tr", row.attributes ?? {}, columns.map((column, place) => cell(column, row, place))),
          ),
        ),
      ),
    );
  };

  /** A choice out of a list of {value, label}, with its label. */
  explorer.select = (label, options, value, change) =>
    explorer.element(
      "label",
      { class: "choice" },
      explorer.element("span", {}, label),
      explorer.element(
        "select",
        { on: { change: (event) => change(event.target.value) } },
        options.map((one) =>
          explorer.element("option", { value: one.value, selected: String(one.value) === String(value) }, one.label),
        ),
      ),
    );

  let later;
  /** Tell a screen reader, once things have come to rest. */
  explorer.say = (text) => {
    clearTimeout(later);
    later = setTimeout(() => {
      document.getElementById("status").textContent = text;
    }, 300);
  };
})();

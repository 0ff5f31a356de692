// Find a category by its name, its code or the character itself.
"use strict";

(() => {
  const { explorer } = window;
  const SHOWN = 12;
  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  let names = null;

  /** Categories that a text may mean, the likeliest first. */
  explorer.find = (text, most = Infinity) => {
    const { categories } = explorer;
    const wanted = folded(text.trim());
    if (!text.trim()) return [];
    names ??= Array.from({ length: categories.n }, (_, at) => folded(categories.name(at)));
    const code = wanted.replace(/^u\+/, "");
    const found = [];
    for (let at = 0; at < categories.n; at += 1) {
      const own = folded(categories.code(at));
      const name = names[at];
      let rank = null;
      if (categories.character(at) === text.trim() || own === wanted) rank = 0;
      else if (own.replace(/^u\+/, "") === code && wanted.length > 2) rank = 0;
      else if (name === wanted) rank = 1;
      else if (wanted && name.startsWith(wanted)) rank = 2;
      else if (wanted && name.includes(` ${wanted}`)) rank = 3;
      else if (wanted.length > 2 && own.startsWith(wanted)) rank = 4;
      else if (wanted.length > 1 && name.includes(wanted)) rank = 5;
      if (rank !== null) found.push([rank, at]);
    }
    return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, most).map(([, at]) => at);
  };

  /** A field that offers categories while one types. */
  explorer.searchField = () => {
    const { element, categories } = explorer;
    let options = [];
    let active = -1;
    const list = element("ul", { id: "found", role: "listbox", "aria-label": "Categories", hidden: true });
    const input = element("input", {
      id: "search",
      type: "text",
      role: "combobox",
      placeholder: "name, code or character",
      autocomplete: "off",
      spellcheck: "false",
      "aria-expanded": "false",
      "aria-controls": "found",
      "aria-autocomplete": "list",
    });
    const close = () => {
      options = [];
      active = -1;
      list.hidden = true;
      list.replaceChildren();
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const choose = (at) => {
      close();
      input.value = "";
      const { view } = explorer.state.get();
      explorer.state.go({ view: view === "compare" || view === "map" ? view : "category", category: categories.key(at) });
    };
    const mark = (place) => {
      active = place;
      [...list.children].forEach((one, number) => one.setAttribute("aria-selected", String(number === active)));
      if (active >= 0) {
        input.setAttribute("aria-activedescendant", `found${active}`);
        list.children[active].scrollIntoView({ block: "nearest" });
      }
    };
    const offer = () => {
      options = explorer.find(input.value, SHOWN);
      list.replaceChildren(
        ...options.map((at, number) =>
          element(
            "li",
            { id: `found${number}`, role: "option", "aria-selected": "false", on: { mousedown: (event) => event.preventDefault(), click: () => choose(at) } },
            explorer.tile(at),
            element("bdi", {}, categories.caption(at)),
            element("span", { class: "code" }, categories.code(at)),
          ),
        ),
      );
      list.hidden = options.length === 0;
      input.setAttribute("aria-expanded", String(options.length > 0));
      if (options.length) mark(0);
      if (input.value.trim()) explorer.say(options.length ? explorer.count(options.length, "category", "categories") : "no category is called that");
    };
    input.addEventListener("input", offer);
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (!options.length) offer();
        const step = event.key === "ArrowDown" ? 1 : -1;
        if (options.length) mark((active + step + options.length) % options.length);
      } else if (event.key === "Enter" && options.length) {
        event.preventDefault();
        choose(options[Math.max(active, 0)]);
      } else if (event.key === "Escape") close();
    });
    return element("div", { class: "search", role: "search" }, element("label", { for: "search" }, "Find a category"), input, list);
  };
})();

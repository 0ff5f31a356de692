// What is shown stands in the address, so that it can be sent, kept, and gone back to.
"use strict";

(() => {
  const { explorer } = window;
  const KEYS = ["view", "source", "target", "category", "estimator", "size", "source2", "target2", "estimator2", "find", "flag", "most", "sort", "page"];

  const defaults = () => {
    const { index } = explorer;
    const [first] = index.pairs;
    const last = index.estimators[index.estimators.length - 1].name;
    return {
      view: "category",
      source: first.source,
      target: first.target,
      category: explorer.categories.key(0),
      estimator: last,
      size: index.sizes.includes(4) ? 4 : index.sizes[0],
      source2: first.source,
      target2: first.target,
      estimator2: index.estimators[0].name,
      find: "",
      flag: "",
      most: "",
      sort: "error",
      page: 1,
    };
  };

  /** State as it may be: what an address asks for that is not there is set right. */
  const checked = (asked) => {
    const { index } = explorer;
    const usual = defaults();
    const state = { ...usual, ...asked };
    for (const [source, target] of [["source", "target"], ["source2", "target2"]]) {
      if (explorer.pairAt(state[source], state[target]) < 0) {
        const near = index.pairs.find((one) => one.target === state[target]) ?? index.pairs[0];
        [state[source], state[target]] = [near.source, near.target];
      }
    }
    if (!["category", "compare", "table", "overview", "map"].includes(state.view)) state.view = usual.view;
    if (explorer.categories.find(state.category) === null) state.category = usual.category;
    for (const key of ["estimator", "estimator2"]) if (!explorer.estimator(state[key])) state[key] = usual[key];
    state.size = index.sizes.includes(Number(state.size)) ? Number(state.size) : usual.size;
    state.page = Math.max(1, Math.floor(Number(state.page)) || 1);
    return state;
  };

  const read = () => {
    const asked = new URLSearchParams(window.location.hash.slice(1));
    return checked(Object.fromEntries(KEYS.filter((key) => asked.has(key)).map((key) => [key, asked.get(key)])));
  };

  const written = (state) => {
    const usual = defaults();
    const only = { category: ["category", "compare", "map"], find: ["table"], flag: ["table"], most: ["table"], sort: ["table"], page: ["table"] };
    const shown = KEYS.filter((key) => {
      if (key === "view" || key === "source" || key === "target") return true;
      if (key.endsWith("2")) return state.view === "compare";
      return String(state[key]) !== String(usual[key]) || (only[key] ?? []).includes(state.view) && key === "category";
    });
    return `#${new URLSearchParams(shown.map((key) => [key, String(state[key])]))}`;
  };

  let now = null;
  const listeners = [];
  const settle = () => {
    const before = now;
    now = read();
    for (const listener of listeners) listener(now, before);
  };

  explorer.state = {
    get: () => now,
    /** The address of a changed state. */
    link: (changes) => written({ ...now, ...changes }),
    /** Change the state: a step that can be gone back, or in place of the last one. */
    go: (changes, { replace = false } = {}) => {
      const hash = written({ ...now, ...changes });
      if (hash === window.location.hash) return;
      if (replace) {
        window.history.replaceState(null, "", hash);
        settle();
      } else window.location.hash = hash;
    },
    listen: (listener) => listeners.push(listener),
    start: () => {
      window.addEventListener("hashchange", settle);
      settle();
    },
  };
})();

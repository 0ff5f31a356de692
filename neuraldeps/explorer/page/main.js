// Put the page together, and bring it up to what the address says.
"use strict";

(async () => {
  const { explorer } = window;
  const { element } = explorer;
  const main = document.getElementById("main");
  const fail = (error) => {
    main.replaceChildren(element("div", { class: "card", role: "alert" }, element("h2", {}, "This cannot be shown"), element("p", {}, error.message)));
    console.error(error);
  };

  const showTabs = (state) => {
    document.getElementById("views").replaceChildren(
      ...["category", "compare", "table", "overview", "map"].map((name) =>
        element("a", { href: explorer.state.link({ view: name, page: 1 }), "aria-current": state.view === name ? "page" : null }, explorer.views[name].title),
      ),
    );
    const name = explorer.categories.caption(explorer.categories.find(state.category));
    const named = state.view === "category" || state.view === "compare";
    document.title = `${named ? `${name}, ` : ""}${explorer.views[state.view].title} · Neural dependencies`;
  };

  const changed = (state, before) => Object.keys(state).filter((key) => !before || String(state[key]) !== String(before[key]));

  let update = null;
  let mounted = null;
  let running = Promise.resolve();
  const show = async (state) => {
    const view = explorer.views[state.view];
    const others = changed(state, mounted).filter((key) => !(view.updates ?? ["size"]).includes(key));
    showTabs(state);
    if (update && !others.length) {
      mounted = state;
      await update(state);
      return;
    }
    const isNew = mounted !== null && (mounted.view !== state.view || mounted.category !== state.category);
    const focused = document.activeElement?.closest("main select, main input");
    const place = focused ? [...main.querySelectorAll("select, input")].indexOf(focused) : -1;
    update = null;
    mounted = state;
    update = await view.mount(main, state);
    if (isNew) window.scrollTo(0, 0);
    // a choice keeps the focus, a step to another category goes to its beginning
    if (place >= 0) main.querySelectorAll("select, input")[place]?.focus();
    else if (isNew) main.focus({ preventScroll: true });
    main.dataset.shown = state.view;
  };

  // one after the other: the last address wins, and those passed over in between are left out
  let wanted = null;
  const settle = (state) => {
    wanted = state;
    running = running.then(async () => {
      if (wanted !== state) return;
      main.setAttribute("aria-busy", "true");
      try {
        await show(state);
      } catch (error) {
        update = null;
        mounted = null;
        fail(error);
      } finally {
        main.setAttribute("aria-busy", "false");
      }
    });
  };

  try {
    const index = await explorer.open();
    document.getElementById("choices").append(explorer.searchField());
    document.getElementById("skip").addEventListener("click", () => main.focus());
    document.getElementById("footer").append(
      element(
        "p",
        {},
        `${explorer.count(explorer.categories.n, "category", "categories")}, ${explorer.count(index.models.length, "network")}, ${explorer.count(index.pairs.length, "pair")}. `,
        "Shares and coefficients are rounded to three decimals, accuracies over all images to five, other numbers to three digits; the stores of the run have all of them. Charts by ",
        element("a", { href: "vega.LICENSE.txt" }, "Vega"),
        ".",
      ),
    );
    explorer.state.listen(settle);
    explorer.whenThemeChanges(() => {
      update = null;
      mounted = null;
      settle({ ...explorer.state.get() });
    });
    let width = window.innerWidth;
    let later;
    window.addEventListener("resize", () => {
      if (window.innerWidth === width) return;
      width = window.innerWidth;
      clearTimeout(later);
      later = setTimeout(() => {
        update = null;
        settle({ ...explorer.state.get() });
      }, 200);
    });
    explorer.state.start();
  } catch (error) {
    fail(error);
  }
})();

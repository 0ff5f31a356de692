// Data, in scripts that register themselves: a page from a disk may load scripts and fetch nothing.
"use strict";

(() => {
  const { explorer } = window;
  const KEPT = 120; // pieces in memory
  const pieces = new Map();
  const arrived = new Map();

  window.neuraldeps_register = (name, data) => arrived.set(name, data);

  const request = (name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onload = () => {
        script.remove();
        if (!arrived.has(name)) return reject(new Error(`data/${name}.js holds something else`));
        resolve(arrived.get(name));
        arrived.delete(name);
      };
      script.onerror = () => reject(new Error(`data/${name}.js cannot be read; make the explorer again`));
      document.head.append(script);
    });

  /** A piece of data by its name; asked for once. */
  explorer.load = (name) => {
    const found = pieces.get(name) ?? request(name);
    pieces.delete(name);
    pieces.set(name, found);
    if (pieces.size > KEPT) pieces.delete(pieces.keys().next().value);
    return found;
  };

  /** A name in sentence case where it is a character's, as figures have it. */
  const captionOf = (name, character) => {
    if (character === null) return name;
    const words = name.replace(" LETTER ", " ").split(" ");
    const isCapital = words.includes("CAPITAL");
    const [first, ...others] = words.map((word) => (isCapital && word.length === 1 ? word : word.toLowerCase()));
    return [first.charAt(0).toUpperCase() + first.slice(1), ...others].join(" ");
  };

  /** Read the index, and give names to what it has. */
  explorer.open = async () => {
    const index = await explorer.load("index");
    explorer.index = index;
    const { code, name } = index.categories;
    const characters = code.map((one) => (/^U\+[0-9A-F]{4,6}$/i.test(one) ? String.fromCodePoint(parseInt(one.slice(2), 16)) : null));
    const captions = name.map((_, at) => captionOf(name[at].split(",")[0].trim() || code[at], characters[at]));
    const places = new Map(code.map((one, place) => [one, place]));
    const isUnique = places.size === code.length;
    explorer.categories = {
      n: code.length,
      code: (at) => code[at],
      name: (at) => name[at],
      short: (at) => name[at].split(",")[0].trim() || code[at],
      character: (at) => characters[at],
      caption: (at) => captions[at],
      key: (at) => (isUnique ? code[at] : String(at)),
      find: (key) => {
        if (isUnique && places.has(key)) return places.get(key);
        const number = Number(key);
        return key !== "" && Number.isInteger(number) && number >= 0 && number < code.length ? number : null;
      },
    };
    explorer.pairAt = (source, target) => index.pairs.findIndex((one) => one.source === source && one.target === target);
    explorer.pairName = (at) => {
      const { source, target } = index.pairs[at];
      return source === target ? `within ${source}` : `${source} → ${target}`;
    };
    explorer.estimator = (wanted) => index.estimators.find((one) => one.name === wanted);
    return index;
  };

  const scaled = (value, scale) => (value === null || value === undefined ? null : value / scale);

  /** All that is known of a category in a pair: its block is loaded where it has not been yet. */
  explorer.category = async (pair, at) => {
    const { index } = explorer;
    const { share, change } = index.scale;
    const block = await explorer.load(`blocks/${pair}/${Math.floor(at / index.block_size)}`);
    const facts = await explorer.load(`tables/${pair}/facts`);
    const row = at % index.block_size;
    const place = (size) => index.sizes.indexOf(size);
    const own = (columns, estimator) => (typeof columns[estimator] === "string" ? columns[columns[estimator]] : columns[estimator])[row];
    const fact = (name) => (facts[name] ? facts[name][at] : null);
    return {
      pair,
      at,
      /** Sources of a dependency, largest coefficient first. */
      terms(estimator, size) {
        const counts = own(block.n_chosen, estimator);
        const first = counts.slice(0, place(size)).reduce((sum, n) => sum + n, 0);
        const chosen = own(block.chosen, estimator);
        const coef = block.coef[estimator][row];
        return Array.from({ length: counts[place(size)] }, (_, slot) => ({
          category: block.sources[row][chosen[first + slot]],
          coef: coef[first + slot] / share,
        })).sort((a, b) => Math.abs(b.coef) - Math.abs(a.coef));
      },
      /** error, error_all, accuracy or error_fit, as a share. */
      share: (name, estimator, size) => scaled(block[name][estimator][row][place(size)], share),
      accuracyAll: (estimator, size) => {
        const moved = scaled(block.accuracy_change[estimator][row][place(size)], change);
        return moved === null ? null : index.pairs[pair].accuracy + moved;
      },
      /** Definition 1: the share of images missed by more than epsilon. */
      delta: (name, estimator, epsilon, size) => scaled(block[name][estimator][row][epsilon][place(size)], share),
      penalty: (size) => ({ alpha: block.alpha[row][place(size)], relative: block.relative_alpha[row][place(size)] }),
      original: scaled(fact("original"), share),
      nImages: fact("n_images"),
      secondMoment: fact("second_moment"),
      err0: fact("err0_relative"),
      flags: index.flags.filter((_, bit) => (fact("flags") >> bit) & 1),
      stability: !block.stability
        ? []
        : block.stability.sizes.map((size, at_) => ({
            size,
            value: scaled(block.stability.value[row][at_], share),
            low: scaled(block.stability.low[row][at_], share),
            high: scaled(block.stability.high[row][at_], share),
            nearEqual: block.stability.near_equal[row][at_],
          })),
      controls: !block.controls
        ? []
        : block.controls.predictors.map((name, at_) => ({
            name,
            size: block.controls.sizes[at_],
            error: scaled(block.controls.error[row][at_], share),
            accuracy: scaled(block.controls.accuracy[row][at_], share),
          })),
      worst: !block.worst ? [] : block.worst[row].map((path, at_) => ({ path, residual: block.worst_residual[row][at_] })),
    };
  };

  /** The first sample image of a category, if it has one. */
  explorer.picture = (at) => (explorer.index.images[at] ? `images/${Math.floor(at / 100)}/${at}.webp` : null);

  /** Strips of images: the further samples, and those missed most. */
  explorer.strips = {
    samples: (at) => (explorer.index.images[at] > 1 ? `images/${Math.floor(at / 100)}/${at}-others.webp` : null),
    worst: (pair, at) =>
      explorer.index.pairs[pair].worst[at] ? `images/worst${pair}/${Math.floor(at / 100)}/${at}.webp` : null,
  };

  /** A strip of n images in one file, shown with gaps between them. */
  explorer.strip = (url, n, label) =>
    explorer.element(
      "div",
      { class: "strip", role: "img", "aria-label": label },
      Array.from({ length: n }, (_, at) =>
        explorer.element("span", { style: `background-image: url("${url}"); background-size: ${100 * n}% 100%; background-position: ${n > 1 ? (100 * at) / (n - 1) : 0}% 0` }),
      ),
    );

  /** A picture of a category, or its character, in a tile. */
  explorer.tile = (at, kind = "small") => {
    const { element } = explorer;
    const url = explorer.picture(at);
    const inside = url
      ? element("img", { src: url, alt: "", loading: "lazy" })
      : explorer.categories.character(at) ?? explorer.categories.short(at).slice(0, 1);
    return element("span", { class: `tile ${kind}`, "aria-hidden": "true" }, inside);
  };

  /** A link to a category, with its picture. */
  explorer.categoryLink = (at, changes = {}) =>
    explorer.element(
      "a",
      { class: "category", href: explorer.state.link({ view: "category", category: explorer.categories.key(at), ...changes }) },
      explorer.tile(at),
      explorer.element("bdi", {}, explorer.categories.caption(at)),
    );
})();

// The report's picture grid: rows, columns and selectors over the dimensions; a click opens a picture large.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const root = document.getElementById("explorer");
  const [choices, view, dialog] = [".choices", ".view", "dialog"].map((name) => root.querySelector(name));
  const PROMPT = 0;
  const PAGE = 24; // rows, and columns, laid out at a time: a run may be of 40,000 pictures
  const state = {
    rows: data.rows, columns: data.columns, group: 0,
    fixed: data.dimensions.map(() => 0), // the value of each dimension that is neither rows nor columns
    from: { rows: 0, columns: 0 }, // the first row and column laid out, of all
    open: null, // [row, column] of the picture shown large
  };
  const byPlace = new Map(data.images.map((image) => [image.at.join(), image]));

  const element = (tag, attributes = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  };
  const valuesOf = (index) =>
    index === PROMPT ? data.groups[state.group].prompts : data.dimensions[index].values.map((_, place) => place);
  const word = (index, place) => data.dimensions[index].values[place];
  const named = (index, place) =>
    index === PROMPT ? word(index, place) : `${data.dimensions[index].name} = ${word(index, place)}`;
  const imageAt = (row, column) => {
    const at = [...state.fixed];
    at[state.rows] = row;
    at[state.columns] = column;
    return byPlace.get(at.join());
  };
  const number = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));

  function select(label, options, chosen, change) {
    const box = element("select", { ariaLabel: label, onchange: () => change(Number(box.value)) });
    options.forEach(([value, text]) => box.append(element("option", { value, textContent: text, selected: value === chosen })));
    return element("label", {}, element("span", { textContent: label }), box);
  }

  function drawChoices() {
    const names = data.dimensions.map((dimension, index) => [index, dimension.name]);
    const parts = [];
    if (data.dimensions.length > 1) {
      parts.push(select("rows", names, state.rows, (index) => choose("rows", index)));
      parts.push(select("columns", names, state.columns, (index) => choose("columns", index)));
    }
    if (data.groups.length > 1) {
      const groups = data.groups.map((group, index) => [index, `${group.name} (${group.prompts.length})`]);
      parts.push(select("prompts", groups, state.group, (index) => {
        state.group = index;
        state.from = { rows: 0, columns: 0 };
        state.fixed[PROMPT] = data.groups[index].prompts[0];
        draw();
      }));
    }
    data.dimensions.forEach((dimension, index) => {
      if (index === state.rows || index === state.columns) return;
      const options = valuesOf(index).map((place) => [place, word(index, place)]);
      parts.push(select(dimension.name, options, state.fixed[index], (place) => {
        state.fixed[index] = place;
        draw();
      }));
    });
    parts.push(...["rows", "columns"].flatMap(pages));
    choices.replaceChildren(...parts);
  }

  // A choice of which rows or columns are laid out, where they are many.
  function pages(side) {
    const count = valuesOf(state[side]).length;
    if (count <= PAGE || (side === "columns" && state.rows === state.columns)) return [];
    const starts = Array.from({ length: Math.ceil(count / PAGE) }, (_, page) => page * PAGE);
    const options = starts.map((from) => [from, `${from + 1} to ${Math.min(from + PAGE, count)} of ${count}`]);
    return [select(`${side} shown`, options, state.from[side], (from) => {
      state.from[side] = from;
      draw();
    })];
  }
  const laidOut = (side) => valuesOf(state[side]).slice(state.from[side], state.from[side] + PAGE);

  function choose(side, index) {
    const other = side === "rows" ? "columns" : "rows";
    if (state[other] === index) state[other] = state[side]; // they change places
    state[side] = index;
    state.from = { rows: 0, columns: 0 };
    state.fixed[PROMPT] = data.groups[state.group].prompts[0];
    draw();
  }

  function cell(row, column) {
    const image = imageAt(row, column);
    if (!image) return element("td");
    const about = `${named(state.rows, row)}, ${named(state.columns, column)}`;
    const picture = element("img", { src: image.small || image.file, alt: about, loading: "lazy" });
    return element("td", {}, element("button", { type: "button", title: about, onclick: () => open(row, column) }, picture));
  }

  function draw() {
    drawChoices();
    const alone = state.rows === state.columns;
    const across = alone ? [null] : laidOut("columns");
    const head = element("tr", {}, element("th"), ...across.map((place) =>
      element("th", { textContent: place === null ? "" : named(state.columns, place) })));
    const body = laidOut("rows").map((row) => element("tr", {},
      element("th", { textContent: named(state.rows, row) }),
      ...across.map((column) => cell(row, column === null ? row : column))));
    view.replaceChildren(element("div", { className: "scroll" },
      element("table", { className: "grid" }, element("thead", {}, head), element("tbody", {}, ...body))));
  }

  // What a neighbour has otherwise: the one setting, and by how much each score changes.
  function difference(image, other, dimension) {
    const changes = data.scores
      .map((name, index) => [name, image.scores[index], other.scores[index]])
      .filter(([, here, there]) => here !== null && there !== null && here !== there)
      .map(([name, here, there]) => `${name} ${there > here ? "+" : "−"}${number(Math.abs(there - here))}`);
    return `${named(dimension, other.at[dimension])}${changes.length ? ": " + changes.join(", ") : ": the same scores"}`;
  }

  function neighbours(row, column) {
    const [down, across] = [valuesOf(state.rows), valuesOf(state.columns)];
    const step = (list, value, by) => list[list.indexOf(value) + by];
    const found = [["↑", step(down, row, -1), column, state.rows], ["↓", step(down, row, 1), column, state.rows]];
    if (state.rows !== state.columns) {
      found.push(["←", row, step(across, column, -1), state.columns], ["→", row, step(across, column, 1), state.columns]);
    } else {
      found.forEach((one) => { one[2] = one[1]; });
    }
    return found.filter(([, r, c]) => r !== undefined && c !== undefined && imageAt(r, c));
  }

  function open(row, column) {
    state.open = [row, column];
    const image = imageAt(row, column);
    const settings = [
      ...data.dimensions.map((dimension, index) => [dimension.name, word(index, image.at[index])]),
      ...(image.seed === undefined ? [] : [["seed", String(image.seed)]]),
      ...Object.entries(data.same),
      ...data.scores.map((name, index) => [name, number(image.scores[index])]),
    ];
    const list = element("dl", {}, ...settings.flatMap(([name, value]) =>
      [element("dt", { textContent: name }), element("dd", { textContent: value })]));
    const near = element("div", { className: "near" }, ...neighbours(row, column).map(([arrow, r, c, dimension]) =>
      element("button", { type: "button", onclick: () => open(r, c),
        textContent: `${arrow} ${difference(image, imageAt(r, c), dimension)}` })));
    const large = element("img", { src: image.file, alt: named(PROMPT, image.at[PROMPT]) });
    large.onerror = () => { if (image.small) { large.onerror = null; large.src = image.small; } }; // the page was moved away
    dialog.replaceChildren(
      element("button", { type: "button", className: "close", textContent: "Close", onclick: () => dialog.close() }),
      element("div", { className: "large" }, large, element("div", {}, list)), near);
    if (!dialog.open) dialog.showModal();
  }

  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    const arrow = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→" }[event.key];
    const next = arrow && neighbours(...state.open).find(([name]) => name === arrow);
    if (next) { event.preventDefault(); open(next[1], next[2]); }
  });
  state.fixed[PROMPT] = data.groups[0].prompts[0];
  draw();
})();

() => {
  // Statuses are live regions, which a screen reader speaks when they change; gradio has no way to say so, and mounts a
  // tab's parts when it is first opened.
  const live = () => {
    document.querySelectorAll(".status:not([role])").forEach((status) => {
      status.setAttribute("role", "status");
      status.setAttribute("aria-live", "polite");
    });
    // A picture that is still empty has a label and no role that may have one.
    document.querySelectorAll(".empty[aria-label]:not([role])").forEach((empty) => empty.setAttribute("role", "img"));
  };
  live();
  new MutationObserver(live).observe(document.body, { childList: true, subtree: true });

  // Autoencoders (pair_view.py): the sides of the wipe are any two of the pictures; one zoom moves every window of the view.
  const move = (view, values) => {
    Object.entries(values).forEach(([name, value]) => {
      const slider = view.querySelector(`[data-move=${name}]`);
      slider.value = value;
      view.style.setProperty(name === "zoom" ? "--near" : `--${name}`, slider.value);
    });
    view.classList.toggle("near", Number(view.querySelector("[data-move=zoom]").value) > 1);
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches(".ae [data-move]")) move(event.target.closest(".ae"), { [event.target.dataset.move]: event.target.value });
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches(".cut select")) return;
    const { side } = event.target.dataset, view = event.target.closest(".ae"), name = event.target.selectedOptions[0].textContent;
    const shown = view.querySelector(`.layer-${side}`);
    shown.querySelector("img").src = view.querySelectorAll(".all img")[event.target.value].src;
    shown.querySelector("img").alt = `${side.toUpperCase()}: ${name}`;
    shown.querySelector("b").textContent = name;
  });
  let dragged = null;
  document.addEventListener("pointerdown", (event) => {
    const window = event.target.closest?.(".ae.near .window");
    if (!window) return;
    event.preventDefault();
    dragged = { window, view: window.closest(".ae"), at: [event.clientX, event.clientY] };
  });
  document.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const { window, view, at } = dragged, box = window.getBoundingClientRect();
    const value = (name) => Number(view.querySelector(`[data-move=${name}]`).value), more = value("zoom") - 1;
    move(view, {
      x: value("x") - (event.clientX - at[0]) / box.width / more * 100,
      y: value("y") - (event.clientY - at[1]) / box.height / more * 100,
    });
    dragged.at = [event.clientX, event.clientY];
  });
  ["pointerup", "pointercancel"].forEach((name) => document.addEventListener(name, () => { dragged = null; }));

  // Draw (tabs/generate.py): with its switch on, a pause in typing draws.
  let pause = null;
  document.addEventListener("input", (event) => {
    if (!event.target.matches(".prompt textarea") || !document.querySelector("#while-typing input")?.checked) return;
    clearTimeout(pause);
    if (event.target.value.trim()) pause = setTimeout(() => document.querySelector("#as-typed").click(), 250);
  });

  // Results (results_view.py): a click on a heading sorts the table by its column, and once more the other way round.
  document.addEventListener("click", (event) => {
    const heading = event.target.closest(".sortable thead button")?.parentNode;
    if (!heading) return;
    const table = heading.closest("table"), body = table.tBodies[0], at = heading.cellIndex;
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    const value = (row) => parseFloat(row.cells[at].dataset.value ?? "NaN");
    const order = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);  // what has no value comes last
      return rising ? a - b : b - a;
    };
    table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    body.append(...[...body.rows].sort(order));
  });

  // Films (film.py): a slider chooses the frame of every picture beside it, and the words that go with it.
  const sliderOf = (part) => part.closest(".scrub").querySelector("input[type=range]");
  const show = (slider) => {
    const film = slider.closest(".scrub"), at = Number(slider.value);
    film.style.setProperty("--at", at);
    film.querySelectorAll("[data-words]").forEach((part) => { part.textContent = JSON.parse(part.dataset.words)[at]; });
    slider.setAttribute("aria-valuetext", film.querySelector("output").textContent);
  };
  const playing = new Map();
  const stop = (button) => {
    clearInterval(playing.get(button));
    playing.delete(button);
    button.textContent = "Play";
  };
  const play = (button) => {
    const slider = sliderOf(button), last = Number(slider.max);
    if (Number(slider.value) === last) slider.value = 0;
    button.textContent = "Pause";
    show(slider);
    playing.set(button, setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show(slider);
      if (Number(slider.value) === last || !button.isConnected) stop(button);
    }, 300));
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches(".scrub input[type=range]")) show(event.target);
  });
  // Of the films of several words (word_view.py) a list shows one.
  document.addEventListener("change", (event) => {
    if (!event.target.matches(".words select")) return;
    event.target.closest(".words").querySelectorAll(".word").forEach((film, n) => { film.hidden = n !== event.target.selectedIndex; });
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".scrub button");
    if (!button) return;
    if (button.matches(".play")) (playing.has(button) ? stop : play)(button);
    if (button.matches(".jump")) {
      sliderOf(button).value = button.dataset.at;
      show(sliderOf(button));
    }
  });

  // Squares (mask_grid.py) over the visitor's picture, or of a layout: painted by pointer, with a brush so many squares to
  // each side, or by buttons.
  const paint = (mask, squares) => {
    mask.dataset.mask = squares.includes(1) ? squares.join("") : "";
    const side = Number(mask.dataset.side);
    const on = squares.flatMap((value, n) => value ? [`M${n % side} ${Math.floor(n / side)}h1v1h-1z`] : []).join("");
    const ink = mask.matches(".layout") ? "#fff" : "#0f766eb0";
    const drawn = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}"><path d="${on}" fill="${ink}"/></svg>`;
    mask.style.setProperty("--squares", `url('data:image/svg+xml,${encodeURIComponent(drawn)}')`);
  };
  const squaresOf = (mask) => mask.dataset.mask ? [...mask.dataset.mask].map(Number) : Array(Number(mask.dataset.side) ** 2).fill(0);
  let brush = null;
  const square = (event) => {
    const mask = event.target.closest(".mask"), box = mask.getBoundingClientRect(), side = Number(mask.dataset.side);
    const place = (offset, length) => Math.min(side - 1, Math.max(0, Math.floor(offset / length * side)));
    return side * place(event.clientY - box.top, box.height) + place(event.clientX - box.left, box.width);
  };
  const brushed = (event) => {
    const mask = event.target.closest(".mask"), squares = squaresOf(mask), at = square(event);
    const side = Number(mask.dataset.side), reach = Number(mask.dataset.brush);
    if (brush === null) brush = 1 - squares[at];
    const near = (place) => Math.abs(place % side - at % side) <= reach
      && Math.abs(Math.floor(place / side) - Math.floor(at / side)) <= reach;
    paint(mask, squares.map((value, place) => near(place) ? brush : value));
  };
  document.addEventListener("pointerdown", (event) => { if (event.target.closest(".mask")) brushed(event); });
  document.addEventListener("pointermove", (event) => { if (brush !== null && event.target.closest?.(".mask")) brushed(event); });
  document.addEventListener("pointerup", () => { brush = null; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".painting button");
    if (!button) return;
    const mask = button.closest(".painting").querySelector(".mask"), side = Number(mask.dataset.side);
    if ("squares" in button.dataset) {
      mask.dataset.mask = button.dataset.squares;
      paint(mask, squaresOf(mask));
      const prompt = document.querySelector("#layout-prompt textarea");
      if (prompt && button.dataset.prompt) {
        prompt.value = button.dataset.prompt;
        prompt.dispatchEvent(new Event("input", { bubbles: true }));
      }
      return;
    }
    const inside = {
      left: (x) => x < side / 2, right: (x) => x >= side / 2, top: (x, y) => y < side / 2, bottom: (x, y) => y >= side / 2,
    }[button.dataset.fill] || (() => false);
    paint(mask, squaresOf(mask).map((_, n) => Number(inside(n % side, Math.floor(n / side)))));
  });
  const underMask = () => {
    document.querySelectorAll(".layout:not([style])").forEach((layout) => paint(layout, squaresOf(layout)));
    const mask = document.querySelector("#painting .mask"), picture = document.querySelector("#start-picture img");
    if (!mask || mask.dataset.under === (picture?.src || "")) return;
    mask.dataset.under = picture?.src || "";
    mask.style.setProperty("--under", picture ? `url('${picture.src}')` : "none");
  };
  new MutationObserver(underMask).observe(document.body, { childList: true, subtree: true, attributeFilter: ["src"] });
}

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
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".scrub button");
    if (!button) return;
    if (button.matches(".play")) (playing.has(button) ? stop : play)(button);
    if (button.matches(".jump")) {
      sliderOf(button).value = button.dataset.at;
      show(sliderOf(button));
    }
  });

  // The mask (mask_grid.py): squares of a grid over the visitor's picture, painted by pointer or by buttons.
  const paint = (mask, squares) => {
    mask.dataset.mask = squares.includes(1) ? squares.join("") : "";
    const side = Number(mask.dataset.side);
    const on = squares.flatMap((value, n) => value ? [`M${n % side} ${Math.floor(n / side)}h1v1h-1z`] : []).join("");
    const drawn = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}"><path d="${on}" fill="#0f766eb0"/></svg>`;
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
    if (brush === null) brush = 1 - squares[at];
    squares[at] = brush;
    paint(mask, squares);
  };
  document.addEventListener("pointerdown", (event) => { if (event.target.closest(".mask")) brushed(event); });
  document.addEventListener("pointermove", (event) => { if (brush !== null && event.target.closest?.(".mask")) brushed(event); });
  document.addEventListener("pointerup", () => { brush = null; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".painting button");
    if (!button) return;
    const mask = button.closest(".painting").querySelector(".mask"), side = Number(mask.dataset.side);
    const inside = {
      left: (x) => x < side / 2, right: (x) => x >= side / 2, top: (x, y) => y < side / 2, bottom: (x, y) => y >= side / 2,
    }[button.dataset.fill] || (() => false);
    paint(mask, squaresOf(mask).map((_, n) => Number(inside(n % side, Math.floor(n / side)))));
  });
  const underMask = () => {
    const mask = document.querySelector(".mask"), picture = document.querySelector("#start-picture img");
    if (!mask || mask.dataset.under === (picture?.src || "")) return;
    mask.dataset.under = picture?.src || "";
    mask.style.setProperty("--under", picture ? `url('${picture.src}')` : "none");
  };
  new MutationObserver(underMask).observe(document.body, { childList: true, subtree: true, attributeFilter: ["src"] });

  // Drawings (links.py): a link carries all settings; the last pictures are kept in this browser alone, each with its link.
  const STORE = "latent-diffusion-drawings", MOST = 12, THUMBNAIL = 72;
  const stored = () => { try { return localStorage.getItem(STORE) || ""; } catch { return ""; } };
  const read = () => { try { return JSON.parse(stored() || "[]"); } catch { return []; } };
  const write = (kept) => { try { localStorage.setItem(STORE, JSON.stringify(kept)); } catch { /* no storage: nothing is kept */ } };
  const linkOf = (names, values) => `?${new URLSearchParams(names.map((name, n) => [name, String(values[n])]))}`;
  const strip = () => {
    const box = document.querySelector("#kept");
    if (!box || (box.dataset.shown || "") === stored()) return;
    box.dataset.shown = stored();
    const kept = read(), differs = (one, other, name) => other && one.get(name) !== other.get(name);
    const links = kept.map(({ link, picture }, n) => {
      const own = new URLSearchParams(link), before = kept[n + 1] && new URLSearchParams(kept[n + 1].link);
      const changed = [...own.keys()].filter((name) => differs(own, before, name)).map((name) => `${name} ${own.get(name)}`);
      const words = changed.length ? `changed: ${changed.join(", ")}` : own.get("prompt");
      const anchor = Object.assign(document.createElement("a"), { href: link, title: words });
      anchor.append(Object.assign(document.createElement("img"), { src: picture, alt: `settings again: ${words}` }));
      return anchor;
    });
    const clear = Object.assign(document.createElement("button"), { type: "button", textContent: "Forget them" });
    clear.onclick = () => { localStorage.removeItem(STORE); strip(); };
    box.replaceChildren(...(kept.length ? ["Drawn before, kept in this browser alone:", ...links, clear] : []));
  };
  let wanted = null;
  window.drawings = {
    asked: (names, values) => { wanted = linkOf(names, values); },
    copy: (names, values) => {
      const link = linkOf(names, values);
      history.replaceState(null, "", link);
      navigator.clipboard?.writeText(location.href).catch(() => {});
      return "The page's address now carries all settings; it is copied where the browser allows it.";
    },
    keep: () => setTimeout(async () => {
      const shown = document.querySelector("#picture img");
      if (!shown || !wanted) return;
      await shown.decode().catch(() => {});
      const canvas = Object.assign(document.createElement("canvas"), { width: THUMBNAIL, height: THUMBNAIL });
      const side = Math.min(shown.naturalWidth, shown.naturalHeight);
      canvas.getContext("2d").drawImage(shown, (shown.naturalWidth - side) / 2, (shown.naturalHeight - side) / 2, side, side,
        0, 0, THUMBNAIL, THUMBNAIL);
      const picture = canvas.toDataURL("image/webp", 0.8);
      write([{ link: wanted, picture }, ...read().filter(({ link }) => link !== wanted)].slice(0, MOST));
      strip();
    }, 400),
  };
  new MutationObserver(strip).observe(document.body, { childList: true, subtree: true });
}

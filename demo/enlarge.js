() => {
  // A picture of a grid, enlarged by a click; its settings may be opened in the first tab (kept.js).
  const made = (tag, more, ...inside) => {
    const element = Object.assign(document.createElement(tag), more);
    element.append(...inside);
    return element;
  };
  const dialog = made("dialog", { className: "enlarged" });
  dialog.setAttribute("aria-label", "a picture of the sweep, enlarged");
  const open = (cell) => {
    const image = cell.querySelector("img");
    const link = cell.dataset.link;
    const close = made("button", { type: "button", textContent: "Close", onclick: () => dialog.close() });
    const draw = made("button", { type: "button", className: "main", textContent: "Open in Draw" });
    draw.dataset.recall = link;
    draw.addEventListener("click", () => dialog.close());
    const notes = [...cell.parentElement.querySelectorAll(".score")].map((note) => note.textContent).join(" · ");
    const inside = [
      made("img", { src: image.src, alt: image.alt }),
      made("p", { textContent: image.alt }),
      made("p", { textContent: notes }),
      made("div", { className: "bar" }, ...(link ? [draw, close] : [close])),
    ];
    if (!link) inside.splice(3, 0, made("p", { textContent: "Draw does not offer all of these settings; the zip has its recipe." }));
    dialog.replaceChildren(...inside);
    document.querySelector(".gradio-container").append(dialog);
    dialog.showModal();
    close.focus();
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest(".sweep button.cell");
    if (cell) open(cell);
    else if (event.target === dialog) dialog.close(); // beside it
  });
}

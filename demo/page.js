() => {
  // Statuses are live regions, which a screen reader speaks when they change; gradio has no way to say so, and mounts a
  // tab's parts when it is first opened.
  const live = () => document.querySelectorAll(".status:not([role])").forEach((status) => {
    status.setAttribute("role", "status");
    status.setAttribute("aria-live", "polite");
  });
  live();
  new MutationObserver(live).observe(document.body, { childList: true, subtree: true });

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
}

() => {
  // Statuses are live regions, which a screen reader speaks when they change; gradio has no way to say so, and mounts a
  // tab's parts when it is first opened.
  const live = () => document.querySelectorAll(".status:not([role])").forEach((status) => {
    status.setAttribute("role", "status");
    status.setAttribute("aria-live", "polite");
  });
  live();
  new MutationObserver(live).observe(document.body, { childList: true, subtree: true });
}

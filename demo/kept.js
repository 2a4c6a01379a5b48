() => {
  // The visitor's form (carried.py): what was changed, under names that tabs share. Kept as long as the browser's tab is open.
  const FORM = "latent-diffusion-form";
  const form = () => { try { return JSON.parse(sessionStorage.getItem(FORM))?.values || {}; } catch { return {}; } };
  const keepForm = (values) => {
    try { sessionStorage.setItem(FORM, JSON.stringify({ search: location.search, values })); } catch { /* no storage */ }
  };
  const isOthers = (kept, model) => model && (kept.model ?? model) !== model;
  window.form = {
    note: (names, model, defaults, values) => {
      const kept = form();
      if (isOthers(kept, model)) return;
      names.forEach((name, n) => {
        if (name === "seeds") {
          if (/^\s*\d{1,10}\s*$/.test(values[n]) && (values[n] !== defaults[n] || "seed" in kept)) kept.seed = Number(values[n]);
        } else if (values[n] !== defaults[n] || name in kept) kept[name] = values[n];
      });
      if (Object.keys(kept).length) keepForm(kept);
    },
    fill: (names, model, values) => {
      const kept = form();
      if (isOthers(kept, model)) return values;
      return names.map((name, n) => {
        if (name === "seeds") return "seed" in kept && !values[n].includes(",") ? String(kept.seed) : values[n];
        return name in kept ? kept[name] : values[n];
      });
    },
  };

  // Drawings (links.py): a link carries all settings; the last pictures are kept in this browser alone, each with its link.
  const STORE = "latent-diffusion-drawings", MOST = 12, THUMBNAIL = 72;
  const stored = () => { try { return localStorage.getItem(STORE) || ""; } catch { return ""; } };
  const read = () => { try { return JSON.parse(stored() || "[]"); } catch { return []; } };
  const write = (kept) => { try { localStorage.setItem(STORE, JSON.stringify(kept)); } catch { /* no storage: nothing is kept */ } };
  const linkOf = (names, values) => `?${new URLSearchParams(names.map((name, n) => [name, String(values[n])]))}`;
  const made = (tag, more, ...inside) => {
    const element = Object.assign(document.createElement(tag), more);
    element.append(...inside);
    return element;
  };

  // What differs between two links, in words.
  const differences = (before, after) => {
    const [one, other] = [before, after].map((link) => new URLSearchParams(link));
    const words = (link, name) => (name === "prompt" || name === "negative_prompt" ? `“${link.get(name)}”` : link.get(name));
    return [...other.keys()].filter((name) => one.get(name) !== other.get(name))
      .map((name) => `${name.replaceAll("_", " ")} ${words(one, name)} → ${words(other, name)}`);
  };

  let ticked = null; // the links of two pictures that are compared; the newest two, where the visitor has chosen none
  const strip = () => {
    const box = document.querySelector("#kept");
    if (!box || (box.dataset.shown || "") === stored()) return;
    box.dataset.shown = stored();
    ticked = null;
    fillStrip(box);
  };
  const compared = (kept) => ticked ?? kept.slice(0, 2).map(({ link }) => link);
  const fillStrip = (box) => {
    const kept = read(), chosen = compared(kept);
    const figures = kept.map(({ link, picture }, n) => {
      const own = new URLSearchParams(link), words = `${own.get("prompt")}, seed ${own.get("seed")}`;
      const image = made("img", { src: picture, alt: `settings again: ${words}` });
      const anchor = made("a", { href: link, title: words }, image);
      const tick = made("input", { type: "checkbox", checked: chosen.includes(link), ariaLabel: `compare picture ${n + 1}: ${own.get("prompt")}` });
      tick.onchange = () => {
        ticked = tick.checked ? [...chosen, link].slice(-2) : chosen.filter((each) => each !== link);
        fillStrip(box);
        [...box.querySelectorAll("input")].at(kept.findIndex((each) => each.link === link))?.focus();
      };
      return kept.length > 1 ? made("figure", {}, anchor, tick) : made("figure", {}, anchor);
    });
    const clear = made("button", { type: "button", textContent: "Forget them" });
    clear.onclick = () => { localStorage.removeItem(STORE); strip(); };
    const newestFirst = kept.map(({ link }) => link).filter((link) => chosen.includes(link));
    const changed = newestFirst.length === 2 ? differences(newestFirst[1], newestFirst[0]) : null;
    const words = changed ? `Of the two ticked: ${changed.join("; ")}` : "Tick two to see in what they differ.";
    const hint = kept.length > 1 ? [made("p", { className: "difference", ariaLive: "polite", textContent: words })] : [];
    const title = made("p", { textContent: "Drawn before, kept in this browser alone; a click brings the settings back:" });
    box.replaceChildren(...(kept.length ? [title, ...figures, clear, ...hint] : []));
  };

  // Settings of a picture go into the first tab's form: the server fills it (recall.py).
  let handed = ["", ""];
  const recall = (link) => {
    handed = [link, "picture"];
    keepForm({});
    [...document.querySelectorAll("button[role=tab]")].find((tab) => tab.textContent.trim() === "Draw")?.click();
    document.querySelector("#recall").click();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#kept a, [data-recall]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    recall(link.dataset.recall ?? link.getAttribute("href"));
    document.querySelector("#status")?.scrollIntoView({ block: "nearest" });
  });

  const thumbnail = async (shown) => {
    shown.loading = "eager"; // of a gallery, which would load what is in sight alone
    await shown.decode().catch(() => {});
    const canvas = Object.assign(document.createElement("canvas"), { width: THUMBNAIL, height: THUMBNAIL });
    const side = Math.min(shown.naturalWidth, shown.naturalHeight);
    canvas.getContext("2d").drawImage(shown, (shown.naturalWidth - side) / 2, (shown.naturalHeight - side) / 2, side, side,
      0, 0, THUMBNAIL, THUMBNAIL);
    return canvas.toDataURL("image/webp", 0.8);
  };
  let wanted = null;
  window.drawings = {
    recalled: () => handed,
    asked: (names, values) => { wanted = { names, values }; },
    copy: (names, values) => {
      const link = linkOf(names, values);
      history.replaceState(null, "", link);
      navigator.clipboard?.writeText(location.href).catch(() => {});
      return "The page's address now carries all settings; it is copied where the browser allows it.";
    },
    keep: () => setTimeout(async () => {
      if (!wanted) return;
      const own = Object.fromEntries(wanted.names.map((name, n) => [name, wanted.values[n]]));
      const several = document.querySelectorAll("#pictures .thumbnail-item img");
      const shown = own.pictures > 1 ? [...several].slice(0, own.pictures) : [document.querySelector("#picture img")];
      const fresh = [];
      for (const [place, image] of shown.filter(Boolean).entries()) {
        const one = wanted.names.map((name) => (name === "seed" ? own.seed + place : name === "pictures" ? 1 : own[name]));
        fresh.push({ link: linkOf(wanted.names, one), picture: await thumbnail(image) });
      }
      const links = fresh.map(({ link }) => link);
      write([...fresh.reverse(), ...read().filter(({ link }) => !links.includes(link))].slice(0, MOST));
      strip();
    }, 400),
  };
  new MutationObserver(strip).observe(document.body, { childList: true, subtree: true });
}

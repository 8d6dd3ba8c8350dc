// The completions browser: filters, a search through all texts, a list that has only its
// visible rows in the page, and a dialog with the whole text.
"use strict";

(async function () {
  const form = document.getElementById("browse");
  if (!form) return;
  const field = (name) => document.getElementById("browse-" + name);
  const status = field("status"), list = field("list"), dialog = field("dialog");
  const extent = list.querySelector(".extent"), view = list.querySelector(".window");
  if (!window.DecompressionStream) {
    status.textContent = "This browser cannot unpack the completions (it has no DecompressionStream).";
    return;
  }
  const store = await PP.openStore();
  let matches = new Uint32Array(0); // the completions that are listed
  let search = 0; // number of the latest search; earlier ones stop
  let opened = -1; // row in the dialog

  // Only what has a meaning in a pattern: with the flag u an escape of anything else, such
  // as a hyphen, is an error.
  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  const pattern = (text, flags) => new RegExp(escape(text), flags);

  // Entries of the lists, and of the personas only those that source and category leave.
  function fill() {
    const { source, category } = values();
    const sources = new Set(store.shards.map((s) => s.source));
    PP.options(field("source"), "all", [...sources].map((s) => [s, PP.words(s)]));
    PP.options(field("key"), "all", [...new Map(store.shards.map((s) => [s.key, s.label]))]);
    PP.options(field("category"), "all", [...new Set(store.personas.map((p) => p.category).filter(Boolean))].map((c) => [c, PP.words(c)]));
    PP.options(field("question"), "all", store.questions.map((q, i) => [i, q]));
    const under = new Set();
    for (let b = 0; b < store.blocks.length; b += 4) {
      if (!source || store.shards[store.blocks[b]].source === source) under.add(store.blocks[b + 1]);
    }
    PP.options(field("persona"), "all", [...under].filter((p) => !category || store.personas[p].category === category)
      .map((p) => [p, label(p)]));
  }

  function label(p) {
    const { id, name, category } = store.personas[p];
    return category === "anchor" ? name + " (anchor)" : name || id;
  }

  function values() {
    return Object.fromEntries(["text", "source", "category", "persona", "question", "key", "marker"].map((n) => [n, field(n).value]));
  }

  // select lists the completions that the filters pass, without looking at texts.
  function select(v) {
    const shards = store.shards.map((s) => (!v.source || s.source === v.source) && (!v.key || s.key === v.key));
    const personas = store.personas.map((p, i) => (!v.category || p.category === v.category) && (!v.persona || i === Number(v.persona)));
    const out = new Uint32Array(store.total);
    let n = 0;
    for (let i = 0; i < store.total; i++) {
      if (shards[store.shard[i]] && personas[store.persona[i]] && (!v.question || store.question[i] === Number(v.question)) &&
        (!v.marker || store.hasMarker(i) === Number(v.marker))) out[n++] = i;
    }
    return out.subarray(0, n);
  }

  function update() {
    const mine = ++search;
    const v = values();
    const started = performance.now();
    const selected = select(v);
    list.scrollTop = 0;
    if (!v.text) {
      show(selected);
      say(selected, performance.now() - started);
      return Promise.resolve();
    }
    return find(selected, pattern(v.text, "iu"), mine, started);
  }

  // find searches the texts chunk by chunk, a few being unpacked ahead, and shows what it
  // has at times.
  async function find(selected, wanted, mine, started) {
    const found = new Uint32Array(selected.length);
    let n = 0, at = 0, drawn = started;
    const chunks = [...new Set(Array.from(selected, (i) => store.chunkOf(i)))];
    for (let c = 0; c < chunks.length; c++) {
      for (let ahead = c + 1; ahead < c + 4 && ahead < chunks.length; ahead++) store.texts(chunks[ahead]);
      const texts = await store.texts(chunks[c]);
      if (mine !== search) return;
      const start = store.starts[chunks[c]], end = start + texts.length;
      for (; at < selected.length && selected[at] < end; at++) {
        if (wanted.test(texts[selected[at] - start])) found[n++] = selected[at];
      }
      if (performance.now() - drawn > 120) {
        drawn = performance.now();
        show(found.subarray(0, n));
        status.textContent = `Searching, ${Math.round((100 * (c + 1)) / chunks.length)} %: ${n.toLocaleString("en")} so far`;
        await new Promise((done) => setTimeout(done)); // let the page breathe
        if (mine !== search) return;
      }
    }
    show(found.subarray(0, n));
    say(matches, performance.now() - started);
  }

  function say(rows, took) {
    let marked = 0;
    for (const i of rows) marked += store.hasMarker(i);
    const share = rows.length && store.marker ? `, ${marked.toLocaleString("en")} (${PP.percent(marked / rows.length)}) with the marker` : "";
    status.textContent = `${rows.length.toLocaleString("en")} of ${store.total.toLocaleString("en")} completions${share}`;
    status.dataset.milliseconds = Math.round(took);
  }

  function show(rows) {
    matches = rows;
    extent.style.height = Math.max(1, rows.length) * rowHeight() + "px";
    draw();
  }

  const rowHeight = () => (window.matchMedia("(max-width: 640px)").matches ? 124 : 104); // as in style.css

  function draw() {
    const height = rowHeight();
    const first = Math.max(0, Math.floor(list.scrollTop / height) - 2);
    const last = Math.min(matches.length, first + Math.ceil(list.clientHeight / height) + 5);
    const rows = [], waiting = new Set();
    for (let r = first; r < last; r++) {
      const text = store.text(matches[r]);
      if (text === undefined) waiting.add(store.chunkOf(matches[r]));
      rows.push(rowOf(r, text));
    }
    const focused = view.contains(document.activeElement) ? document.activeElement.dataset.row : null;
    view.style.transform = `translateY(${first * height}px)`;
    view.replaceChildren(...rows);
    if (focused) view.querySelector(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
    for (const chunk of waiting) store.texts(chunk).then(schedule);
  }

  let scheduled = false;
  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  }

  function rowOf(r, text) {
    const i = matches[r], p = store.personas[store.persona[i]], shard = store.shards[store.shard[i]];
    const meta = PP.el("span", { class: "meta" }, PP.el("span", {}, PP.el("b", {}, p.name || p.id),
      ` · ${PP.words(p.category || "no category")} · under ${PP.words(shard.source)} · ${shard.label} · ${store.number[i] + 1}`));
    if (store.hasMarker(i)) meta.append(PP.el("span", { class: "flag" }, "◆ marker"));
    const body = PP.el("span", { class: "text" });
    body.append(...(text === undefined ? ["…"] : highlight(excerpt(text))));
    const button = PP.el("button", { type: "button", "data-row": r }, meta, PP.el("span", { class: "question" }, store.questions[store.question[i]]), body);
    return PP.el("div", { class: "row", role: "listitem" }, button);
  }

  // whole leaves out halves of a character at the ends of a piece.
  const whole = (piece) => piece.replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, "");

  // excerpt is the part of a text around what is looked for, else around the marker.
  function excerpt(text) {
    const v = field("text").value;
    let at = v ? text.search(pattern(v, "iu")) : -1;
    if (at < 0 && store.marker) at = text.search(pattern(store.marker, "iu"));
    let start = 0;
    if (at > 110) {
      start = text.lastIndexOf(" ", at - 80) + 1;
      if (start < at - 160) start = at - 80; // few spaces, as in Chinese
    }
    return (start ? "…" : "") + whole(text.slice(start, start + 320));
  }

  // highlight cuts a text into pieces, with the marker and what is looked for marked.
  function highlight(text) {
    const wanted = [store.marker, field("text").value].filter(Boolean);
    if (!wanted.length) return [text];
    const out = [], all = new RegExp(wanted.map(escape).join("|"), "giu");
    const isMarker = store.marker ? new RegExp("^" + escape(store.marker) + "$", "iu") : /^\b$/;
    let at = 0;
    for (const m of text.matchAll(all)) {
      out.push(text.slice(at, m.index), PP.el("mark", isMarker.test(m[0]) ? { class: "marker" } : {}, m[0]));
      at = m.index + m[0].length;
    }
    out.push(text.slice(at));
    return out;
  }

  async function openRow(r) {
    if (r < 0 || r >= matches.length) return;
    opened = r;
    const i = matches[r], p = store.personas[store.persona[i]], shard = store.shards[store.shard[i]];
    await store.texts(store.chunkOf(i));
    field("title").textContent = `${p.name || p.id}, completion ${store.number[i] + 1}`;
    const facts = [["persona", p.id], ["system", p.prompt || "unknown"], ["user", store.questions[store.question[i]]],
      ["category", PP.words(p.category || "none")], ["source", PP.words(shard.source)], ["shard", shard.name], ["marker", store.hasMarker(i) ? "yes" : "no"]];
    field("fields").replaceChildren(...facts.map(([k, v]) => PP.el("div", {}, PP.el("dt", {}, k), PP.el("dd", {}, v))));
    field("full").replaceChildren(...highlight(store.text(i)));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  // browse lists one persona's completions under one source's adapters.
  PP.browse = function (persona, source) {
    form.reset();
    field("source").value = source;
    fill();
    field("persona").value = store.personas.findIndex((p, i) => p.id === persona && isUnder(i, source));
    update();
    document.getElementById("completions").scrollIntoView();
    list.focus({ preventScroll: true });
  };

  function isUnder(p, source) {
    for (let b = 0; b < store.blocks.length; b += 4) {
      if (store.blocks[b + 1] === p && store.shards[store.blocks[b]].source === source) return true;
    }
    return false;
  }

  let typing = 0;
  field("text").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(update, 180);
  });
  form.addEventListener("change", (event) => {
    if (event.target === field("text")) return;
    fill();
    update();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    update();
  });
  form.addEventListener("reset", () => setTimeout(() => {
    fill();
    update();
  }));
  list.addEventListener("scroll", schedule, { passive: true });
  new ResizeObserver(() => requestAnimationFrame(() => show(matches))).observe(list);
  view.addEventListener("click", (event) => {
    const button = event.target.closest("[data-row]");
    if (button) openRow(Number(button.dataset.row));
  });
  dialog.addEventListener("click", (event) => {
    const value = event.target.closest("button")?.value;
    if (value === "close" || event.target === dialog) dialog.close();
    else if (value) openRow(opened + Number(value));
  });
  fill();
  update();
})();

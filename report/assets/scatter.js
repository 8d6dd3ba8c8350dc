// The interactive scatter plot: leakage against cosine, one glyph per persona.
"use strict";

(function () {
  const box = document.getElementById("scatter-plot");
  if (!box) return;
  const study = JSON.parse(document.getElementById("study").textContent);
  const layerSelect = document.getElementById("scatter-layer");
  const sourceSelect = document.getElementById("scatter-source");
  const groupSelect = document.getElementById("scatter-group");
  const legend = document.getElementById("scatter-legend");
  const tip = PP.el("div", { class: "tip", role: "status", hidden: "" });
  const margin = { left: 64, right: 18, top: 16, bottom: 46 };
  const near = 28; // pixels around a point that count as pointing at it
  const hidden = new Set(); // groups that are switched off
  let shown = []; // {point, x, y}, from left to right
  let active = -1;
  let svg = null;

  PP.options(sourceSelect, "all", study.sources.map((name, i) => [i, PP.words(name)]));

  const groups = () => (groupSelect.value === "source" ? study.sources : study.categories);
  const groupOf = (p) => (groupSelect.value === "source" ? p.source : p.category);
  // Colour and shape repeat with different periods, so that more than eight groups differ.
  const color = (i) => "s" + (Math.max(0, i) % 8);
  const shape = (i) => study.shapes[(Math.max(0, i) + Math.floor(Math.max(0, i) / 8)) % study.shapes.length];

  function glyph(i, x, y, size) {
    return PP.el("path", { class: "pt " + color(i), d: shape(i), transform: `translate(${x.toFixed(1)},${y.toFixed(1)}) scale(${size})` });
  }

  function ticks(lo, hi, most) {
    const step = [0.05, 0.1, 0.2, 0.5, 1].find((s) => (hi - lo) / s <= most) || 1;
    const out = [];
    for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + 1e-9; k++) out.push(k * step);
    return out;
  }

  function draw() {
    const layer = study.layers.indexOf(Number(layerSelect.value));
    const source = sourceSelect.value;
    const points = study.points.filter((p) => p.cosines[layer] != null &&
      (source === "" || p.source === Number(source)) && !hidden.has(groupOf(p)));
    const values = study.points.map((p) => p.cosines[layer]).filter((v) => v != null);
    const lo = Math.min(0, ...values) - 0.05, hi = Math.max(0.2, ...values) + 0.05;
    const width = Math.max(280, box.clientWidth), height = Math.round(Math.min(560, Math.max(340, width * 0.55)));
    const x = (v) => margin.left + ((v - lo) / (hi - lo)) * (width - margin.left - margin.right);
    const y = (v) => height - margin.bottom - ((v + 0.02) / 1.04) * (height - margin.top - margin.bottom);

    svg = PP.el("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "application",
      "aria-label": `Scatter plot of ${points.length} personas: leakage rate against cosine at layer ${layerSelect.value}. Arrow keys move between personas.` });
    const marks = ticks(lo, hi, width < 500 ? 6 : 10), digits = marks[1] - marks[0] < 0.09 ? 2 : 1;
    for (const v of marks) {
      svg.append(PP.el("line", { class: "grid", x1: x(v), x2: x(v), y1: margin.top, y2: height - margin.bottom }),
        PP.el("text", { x: x(v), y: height - margin.bottom + 18, "text-anchor": "middle" }, v.toFixed(digits).replace("-", "−").replace(/^−(0\.0+)$/, "$1")));
    }
    for (const v of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      svg.append(PP.el("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y(v), y2: y(v) }),
        PP.el("text", { x: margin.left - 8, y: y(v) + 4, "text-anchor": "end" }, Math.round(100 * v) + " %"));
    }
    svg.append(PP.el("line", { class: "axis", x1: margin.left, x2: width - margin.right, y1: height - margin.bottom, y2: height - margin.bottom }),
      PP.el("text", { x: (margin.left + width - margin.right) / 2, y: height - 8, "text-anchor": "middle" }, `cosine with the source, layer ${layerSelect.value}`),
      PP.el("text", { transform: `translate(14,${(height - margin.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "leakage rate"));
    shown = points.map((point) => ({ point, x: x(point.cosines[layer]), y: y(point.rate), yOf: y, cosine: point.cosines[layer] }))
      .sort((a, b) => a.x - b.x);
    for (const s of shown) svg.append(glyph(groupOf(s.point), s.x, s.y, 5.2));
    svg.append(PP.el("g", { class: "focus" }));
    svg.addEventListener("keydown", onKey);
    active = -1;
    tip.hidden = true;
    box.replaceChildren(svg, tip);
  }

  function drawLegend() {
    hidden.clear();
    legend.replaceChildren(...groups().map((name, i) => {
      const icon = PP.el("svg", { viewBox: "-1.8 -1.8 3.6 3.6", "aria-hidden": "true" }, PP.el("path", { class: color(i), d: shape(i) }));
      const button = PP.el("button", { type: "button", "aria-pressed": "true" }, icon, PP.words(name));
      button.addEventListener("click", () => {
        const off = button.getAttribute("aria-pressed") === "true";
        button.setAttribute("aria-pressed", String(!off));
        if (off) hidden.add(i);
        else hidden.delete(i);
        draw();
      });
      return button;
    }));
  }

  // show marks a point and says what it is.
  function show(i) {
    active = i;
    const focus = svg.querySelector(".focus");
    focus.replaceChildren();
    tip.hidden = i < 0;
    if (i < 0) return;
    const { point: p, x, y, yOf, cosine } = shown[i];
    if (p.lo !== null) focus.append(PP.el("line", { class: "whisker", x1: x, x2: x, y1: yOf(p.lo), y2: yOf(p.hi) }));
    focus.append(PP.el("circle", { class: "ring", cx: x, cy: y, r: 10 }));
    const rate = PP.percent(p.rate) + (p.lo !== null ? ` (${PP.percent(p.lo)} to ${PP.percent(p.hi)})` : "");
    tip.replaceChildren(PP.el("b", {}, p.name),
      PP.el("div", {}, `${p.category < 0 ? "no category" : PP.words(study.categories[p.category])}, under ${PP.words(study.sources[p.source])}`),
      PP.el("div", { class: "prompt" }, p.prompt),
      PP.el("div", {}, `leakage ${rate}` + (p.total ? `, ${p.found} of ${p.total}` : "")),
      PP.el("div", {}, `cosine ${cosine.toFixed(3).replace("-", "−")}, layer ${layerSelect.value}`),
      PP.el("code", {}, "full_analysis.json " + p.at));
    if (PP.browse) {
      const button = PP.el("button", { type: "button" }, "Completions");
      button.addEventListener("click", () => choose(i));
      tip.append(button);
    }
    tip.title = study.interval;
    const right = x + 16 + tip.offsetWidth < box.clientWidth;
    tip.style.left = Math.max(4, right ? x + 16 : Math.min(x - tip.offsetWidth - 16, box.clientWidth - tip.offsetWidth - 4)) + "px";
    tip.style.top = Math.max(4, Math.min(y - 20, box.clientHeight - tip.offsetHeight - 4)) + "px";
  }

  function choose(i) {
    const p = shown[i]?.point;
    if (p && PP.browse) PP.browse(p.id, study.sources[p.source]);
  }

  function nearest(event) {
    const r = svg.getBoundingClientRect();
    let best = -1, least = near * near;
    shown.forEach((s, i) => {
      const d = (event.clientX - r.left - s.x) ** 2 + (event.clientY - r.top - s.y) ** 2;
      if (d < least) [best, least] = [i, d];
    });
    return best;
  }

  function onKey(event) {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (step && shown.length) {
      event.preventDefault();
      show((active + step + shown.length) % shown.length);
    } else if (event.key === "Enter" && active >= 0) {
      choose(active);
    } else if (event.key === "Escape") {
      show(-1);
    }
  }

  box.addEventListener("pointermove", (event) => {
    if (event.target.closest(".tip") || event.pointerType === "touch") return;
    const i = nearest(event);
    if (i !== active) show(i);
  });
  box.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") show(-1);
  });
  box.addEventListener("click", (event) => {
    if (event.target.closest(".tip")) return;
    const i = nearest(event);
    // A finger cannot hover: it first shows the persona, whose button opens the rest.
    if (event.pointerType === "touch") show(i);
    else if (i >= 0) choose(i);
  });
  for (const select of [layerSelect, sourceSelect]) select.addEventListener("change", draw);
  groupSelect.addEventListener("change", () => {
    drawLegend();
    draw();
  });
  drawLegend();
  let width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth !== width) {
      width = box.clientWidth;
      requestAnimationFrame(draw); // not within the observer: drawing resizes the box again
    }
  }).observe(box);
})();

// What the page's scripts share.
"use strict";

window.PP = {};

// el makes an element; text becomes text, never markup.
PP.el = function (tag, attributes, ...children) {
  const svg = ["svg", "path", "line", "text", "g", "circle", "rect"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

PP.words = (id) => id.replaceAll("_", " ");

// percent has one decimal; what is not 0 or 1 does not look like it.
PP.percent = function (rate) {
  const v = 100 * rate;
  const text = v > 0 && v < 0.05 ? "<0.1" : v < 100 && v >= 99.95 ? ">99.9" : v.toFixed(1);
  return text + "\u00a0%";
};

// options fills a select: a list of [value, label] behind a first entry for all.
PP.options = function (select, all, entries) {
  const before = select.value;
  select.replaceChildren(new Option(all, ""), ...entries.map(([value, label]) => new Option(label, value)));
  select.value = before;
  if (select.selectedIndex < 0) select.value = "";
};

// The section that is being read is marked in the bar.
(function () {
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const e of entries) {
      const link = links.get(e.target.id);
      if (!link || !e.isIntersecting) continue;
      for (const other of links.values()) other.removeAttribute("aria-current");
      link.setAttribute("aria-current", "true");
      link.parentNode.scrollLeft = link.offsetLeft - link.parentNode.offsetLeft - 48; // on narrow screens
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
})();

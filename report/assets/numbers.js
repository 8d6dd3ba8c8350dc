// What a number is and where it stands, for any number that is chosen.
"use strict";

(function () {
  const pop = document.getElementById("pop");
  let from = null;

  function close() {
    if (pop.hidden) return;
    pop.hidden = true;
    if (from?.matches("a")) from.focus({ preventScroll: true });
    from = null;
  }

  function open(target) {
    const definition = document.getElementById("def-" + target.dataset.def);
    const button = PP.el("button", { type: "button", "aria-label": "Close" }, "×");
    button.addEventListener("click", close);
    pop.replaceChildren(button);
    if (target.dataset.at) pop.append(PP.el("div", { class: "value" }, target.textContent));
    if (target.title) pop.append(PP.el("p", {}, target.title));
    if (definition) {
      const link = PP.el("a", { href: "#" + definition.id }, definition.querySelector("dt").textContent);
      link.addEventListener("click", close);
      pop.append(PP.el("p", {}, link, ": " + definition.querySelector("dd").textContent));
    }
    if (target.dataset.at) {
      const [file, ...path] = target.dataset.at.split(" ");
      const name = file.includes("<") ? file : PP.el("a", { href: file }, file);
      pop.append(PP.el("p", {}, "From ", name, " ", PP.el("code", {}, path.join(" "))));
    }
    pop.hidden = false;
    from = target;
    place(target);
    button.focus({ preventScroll: true });
  }

  function place(target) {
    const r = target.getBoundingClientRect();
    const left = Math.max(8, Math.min(r.left, document.documentElement.clientWidth - pop.offsetWidth - 8));
    const below = r.bottom + 8 + pop.offsetHeight < window.innerHeight || r.top < pop.offsetHeight + 16;
    pop.style.left = left + window.scrollX + "px";
    pop.style.top = (below ? r.bottom + 8 : r.top - pop.offsetHeight - 8) + window.scrollY + "px";
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-def]");
    if (target && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      if (target === from) close();
      else open(target);
    } else if (!event.target.closest("#pop")) {
      close();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
})();

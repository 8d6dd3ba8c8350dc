// The button that sets dark or light, or leaves it to the system.
"use strict";

(function () {
  const button = document.getElementById("theme");
  const order = ["system", "dark", "light"];
  let store = null;
  try { store = window.localStorage; } catch { /* not allowed here: the choice lasts as long as the page */ }

  function show(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = "◐ " + theme;
    button.setAttribute("aria-label", "Theme: " + theme);
  }

  let theme = (store && store.getItem("personaprobe-theme")) || "system";
  if (!order.includes(theme)) theme = "system";
  show(theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    show(theme);
    if (store) store.setItem("personaprobe-theme", theme);
  });
})();

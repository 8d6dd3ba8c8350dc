// Tables: sorting by a column, a search field for long ones, rows that open completions.
"use strict";

(function () {
  const collator = new Intl.Collator("en", { numeric: true });

  // key is what a cell sorts by: a number where it has one, null where it is undefined.
  function key(cell) {
    if (!("v" in cell.dataset)) return cell.textContent;
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return collator.compare(String(a), String(b));
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // undefined ones last
      return direction * compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
  }

  for (const button of document.querySelectorAll("button.sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const table = head.closest("table");
      const numeric = table.tBodies[0].rows[0]?.cells[head.cellIndex].dataset.v !== undefined;
      const now = head.getAttribute("aria-sort");
      // Numbers begin with the largest, texts with A.
      const descending = now ? now === "ascending" : numeric;
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, head.cellIndex, descending ? -1 : 1);
    });
  }

  for (const input of document.querySelectorAll("input[data-table]")) {
    const rows = [...document.getElementById(input.dataset.table).tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const found = input.closest("p").querySelector(".found");
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0;
      rows.forEach((row, i) => {
        row.hidden = !wanted.every((w) => texts[i].includes(w));
        n += !row.hidden;
      });
      found.textContent = wanted.length ? n + " of " + rows.length : "";
    });
  }

  document.addEventListener("click", (event) => {
    const row = event.target.closest(".opener")?.closest("tr");
    if (row && PP.browse) PP.browse(row.dataset.open, row.dataset.under);
  });
})();

"use strict";
// A header's button sorts its table's rows: rising at first, then falling. Equal rows keep their order.
function valueOf(row, column) {
  const cell = row.cells[column], text = cell.textContent.trim();
  if (!cell.classList.contains("number")) return text;
  const number = Number(cell.dataset.value ?? parseFloat(text));
  return Number.isNaN(number) ? text : number;
}

function compare(first, second, falling) {
  // A dash in a column of numbers is text; it stays below the numbers in both directions.
  if (typeof first !== typeof second) return typeof first === "string" ? 1 : -1;
  const order = typeof first === "string"
    ? first.localeCompare(second, "en", { numeric: true })
    : first - second;
  return falling ? -order : order;
}

function sortBy(table, header, column) {
  const falling = header.getAttribute("aria-sort") === "ascending";
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((first, second) =>
    compare(valueOf(first, column), valueOf(second, column), falling));
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", falling ? "descending" : "ascending");
  body.append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sortBy(table, header, column));
  });
}

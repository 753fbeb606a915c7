// Tables and cards: which are shown, and in which order. Needs nothing else of the page.
(() => {
  const filter = (place) => {
    const told = [...place.querySelectorAll(".qe-filter")].map((box) => [box.dataset.filter, box.value.trim().toLowerCase()]);
    const fits = {
      text: (row, value) => row.text.includes(value),
      margin: (row, value) => Number(row.margin) >= Number(value),
    };
    const rows = [...place.querySelectorAll("[data-text]")];
    for (const row of rows) {
      row.hidden = told.some(([name, value]) => value && !(fits[name]?.(row.dataset, value) ?? row.dataset[name] === value));
    }
    const count = place.querySelector(".qe-count");
    count.textContent = `${rows.filter((row) => !row.hidden).length} ${count.textContent.split(" ")[1]}`;
  };
  const sort = (button) => {
    const heading = button.closest("th");
    const down = heading.getAttribute("aria-sort") !== "descending";
    const body = button.closest("table").tBodies[0];
    const value = (row) => row.cells[button.dataset.column].dataset.value;
    const order = (one, other) => value(one) - value(other) || value(one).localeCompare(value(other));
    body.append(...[...body.rows].sort((one, other) => (down ? order(other, one) : order(one, other))));
    button.closest("tr").querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  if (window.qeTable) return;
  window.qeTable = true;
  document.addEventListener("input", (event) => {
    if (event.target.matches?.(".qe-filter")) filter(event.target.closest(".qe-about"));
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".qe-sort");
    if (button) sort(button);
  });
})();

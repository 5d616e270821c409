// table.js -- tables that sort by their headers.

const rowsAtFirst = 100;                // of a table that has more

// { caption, columns, rows }: numbers, strings or null in rows.
function sortedTable(spec) {
  const numeric = spec.columns.map((c, k) => spec.rows.some(r => typeof r[k] === "number")
                                   && spec.rows.every(r => r[k] === null || typeof r[k] === "number"));
  let by = -1, down = false, all = spec.rows.length <= rowsAtFirst;
  const body = element("tbody");
  const headers = spec.columns.map((name, k) =>
    element("th", { scope: "col", class: numeric[k] ? "number" : null },
            element("button", { type: "button", click: () => {
              down = by === k && !down;
              by = k;
              show();
            } }, name)));
  const more = element("button", { type: "button", class: "more", hidden: all,
                                   click: () => { all = true; more.remove(); show(); } },
                       `Show all ${spec.rows.length} rows`);

  const cell = v => v === null ? "" : typeof v === "number" ? numberText(v) : String(v);

  function before(a, b) {
    if (a[by] === null || b[by] === null) return (a[by] === null) - (b[by] === null);
    const order = numeric[by] ? a[by] - b[by] : String(a[by]).localeCompare(String(b[by]), "en");
    return down ? -order : order;
  }

  function show() {
    const rows = by < 0 ? spec.rows : spec.rows.slice().sort(before);
    headers.forEach((h, k) => {
      if (k === by) h.setAttribute("aria-sort", down ? "descending" : "ascending");
      else h.removeAttribute("aria-sort");
    });
    body.replaceChildren(...(all ? rows : rows.slice(0, rowsAtFirst)).map(r =>
      element("tr", {}, ...r.map((v, k) => element("td", { class: numeric[k] ? "number" : null }, cell(v))))));
  }

  show();
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": spec.caption },
                 element("table", {}, element("caption", {}, spec.caption),
                         element("thead", {}, element("tr", {}, ...headers)), body), more);
}

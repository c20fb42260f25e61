// SPDX-License-Identifier: MIT
//
// The state tables of SPEC.md as a heat-map: how many cases reached each cell.

function drawStates(main) {
  const most = Math.max(1, ...[...cellById.values()].map((c) => c.hits));
  const real = [...cellById.values()].filter((c) => c.result !== "-");
  add(main, [
    el("h2", {}, "States × frames"),
    el(
      "p",
      {class: "lead"},
      `${real.filter((c) => c.hits > 0).length} of ${real.length} cells were reached in this run. The machines are those at the suite’s end of the link; a number says in how many cases, and leads to them.`,
    ),
  ]);
  for (const m of run.machines) {
    const cells = m.tables
      .flatMap((t) => t.rows.flatMap((r) => r.cells))
      .filter((c) => c.result !== "-");
    const hit = cells.filter((c) => c.hits > 0).length;
    main.append(
      el("h3", {}, m.name, el("span", {class: "dim"}, `  ${hit} of ${cells.length} cells`)),
    );
    for (const t of m.tables) {
      main.append(
        el(
          "div",
          {class: "scroll", tabindex: 0, role: "region", "aria-label": t.caption},
          el(
            "table",
            {class: "heat"},
            el("caption", {}, t.caption),
            el(
              "thead",
              {},
              el(
                "tr",
                {},
                el("th", {scope: "col"}, "state"),
                t.events.map((e) => el("th", {scope: "col"}, e)),
              ),
            ),
            el(
              "tbody",
              {},
              t.rows.map((row) =>
                el(
                  "tr",
                  {},
                  el("th", {scope: "row"}, row.state),
                  row.cells.map((c) => heatCell(c, most)),
                ),
              ),
            ),
          ),
        ),
      );
    }
  }
}

function heatCell(c, most) {
  if (c.result === "-") return el("td", {class: "never"}, "");
  const text = c.result.replace(/\s*\(.*\)$/, "");
  const node = el(
    "td",
    {
      class: (c.hits ? "hit" : "missed") + (text.startsWith("violation") ? " violation" : ""),
      title: c.result,
    },
    el("span", {class: "result"}, text),
    c.hits
      ? el("a", {class: "hits", href: link("cases", null, {cell: c.cell})}, c.hits)
      : el("span", {class: "hits"}, "0"),
  );
  if (c.hits)
    node.style.setProperty(
      "--heat",
      (0.12 + (0.6 * Math.log(1 + c.hits)) / Math.log(1 + most)).toFixed(3),
    );
  return node;
}

// SPDX-License-Identifier: MIT
//
// The bar of filters above a list: a field for words, lists to choose from, and verdicts to switch on
// and off. Whatever is chosen goes into the address at once.

// o: view, filter (as read from the address), verdicts (in order), count(verdict), selects
// ([{name, label, options}]), placeholder, changed().
function filterBar(o) {
  const filter = o.filter;
  function change(name, v) {
    if (v) filter[name] = v;
    else delete filter[name];
    keep(o.view, null, filter);
    o.changed();
  }
  const search = el("input", {
    type: "search",
    id: "search",
    placeholder: o.placeholder,
    value: filter.q || "",
    "aria-label": o.placeholder,
    oninput: (e) => change("q", e.target.value.trim()),
  });
  const selects = o.selects.map((s) =>
    el(
      "label",
      {class: "choice"},
      el("span", {}, s.label),
      el(
        "select",
        {onchange: (e) => change(s.name, e.target.value), name: s.name},
        el("option", {value: ""}, "all"),
        s.options.map((v) => el("option", {value: v, selected: filter[s.name] === v}, v)),
      ),
    ),
  );
  const chosen = new Set((filter.verdict || "").split(",").filter(Boolean));
  const chips = o.verdicts
    .filter((v) => o.count(v) > 0 || chosen.has(v))
    .map((v) => {
      const chip = el(
        "button",
        {
          type: "button",
          class: `chip ${tone(v)}`,
          "aria-pressed": chosen.has(v) ? "true" : "false",
          title: meanings[v],
          onclick: () => {
            if (!chosen.delete(v)) chosen.add(v);
            chip.setAttribute("aria-pressed", chosen.has(v) ? "true" : "false");
            change("verdict", o.verdicts.filter((x) => chosen.has(x)).join(","));
          },
        },
        el("span", {"aria-hidden": "true"}, signs[tone(v)] + " "),
        v.toLowerCase(),
        el("b", {}, o.count(v)),
      );
      return chip;
    });
  return el(
    "div",
    {class: "filters", role: "search"},
    search,
    selects,
    el("div", {class: "chips"}, chips),
  );
}

function wantsVerdict(filter, v) {
  return !filter.verdict || filter.verdict.split(",").includes(v);
}

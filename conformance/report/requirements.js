// SPDX-License-Identifier: MIT
//
// Requirements: the filtered matrix with the sentences below it, a page for each, and the table that
// traces each to its cases and to the mutants that prove it.

function sortedSet(list) {
  return [...new Set(list)];
}

function wantsRequirement(q, f) {
  return (
    (!f.area || q.area === f.area) &&
    (!f.level || q.level === f.level) &&
    (!f.profile || q.profile === f.profile) &&
    wantsVerdict(f, q.verdict) &&
    (!f.q || matchesText([q.id, q.title, q.text, q.section], f.q))
  );
}

function requirementFilters(view, filter, changed) {
  return filterBar({
    view,
    filter,
    changed,
    placeholder: "Find in the requirements",
    verdicts: requirementVerdicts,
    count: (v) => run.requirements.filter((q) => q.verdict === v).length,
    selects: [
      {name: "area", label: "area", options: sortedSet(run.requirements.map((q) => q.area))},
      {name: "level", label: "level", options: sortedSet(run.requirements.map((q) => q.level))},
      {
        name: "profile",
        label: "profile",
        options: sortedSet(run.requirements.map((q) => q.profile)),
      },
    ],
  });
}

function drawRequirements(main, at) {
  const result = el("div", {});
  function draw() {
    const list = run.requirements.filter((q) => wantsRequirement(q, at.filter));
    refill(
      result,
      el(
        "p",
        {class: "lead", role: "status"},
        `${list.length} of ${plural(run.requirements.length, "requirement")}`,
      ),
      matrix((q) => list.includes(q), at.filter),
      lazy(el("div", {class: "rows"}), list, (q) =>
        el(
          "article",
          {class: "row"},
          el(
            "div",
            {class: "head"},
            el("a", {class: "id", href: link("requirement", q.id)}, q.id),
            badge(q.verdict),
            el(
              "span",
              {class: "dim"},
              `${q.level} · ${q.section} ${q.title} · ${q.profile} · ${plural(q.cases, "case")}`,
            ),
          ),
          el("p", {class: "spec"}, rich(q.text)),
        ),
      ),
    );
  }
  add(main, [
    el("h2", {}, "Requirements"),
    requirementFilters("requirements", at.filter, draw),
    result,
  ]);
  draw();
}

function drawRequirement(main, at) {
  const q = requirementById.get(at.argument);
  if (!q) return add(main, [el("h2", {}, "No such requirement"), el("p", {}, at.argument)]);
  const failed = new Set(q.failed);
  const written = writtenFor.get(q.id) || [];
  const others = (exercisedBy.get(q.id) || []).filter((c) => !written.includes(c));
  const order = (list) => [...list].sort((a, b) => failed.has(b.id) - failed.has(a.id));
  const section = (title, list) =>
    list.length
      ? [
          el("h3", {}, `${title} (${list.length})`),
          lazy(el("div", {class: "rows"}), order(list), caseRow, 50),
        ]
      : null;
  add(main, [
    el(
      "p",
      {class: "crumbs"},
      el("a", {href: link("requirements")}, "Requirements"),
      " / ",
      el("a", {href: link("requirements", null, {area: q.area})}, q.area),
    ),
    el("h2", {}, q.id, " ", badge(q.verdict)),
    el(
      "blockquote",
      {class: "spec"},
      rich(q.text),
      el("footer", {}, `SPEC.md, ${q.section} ${q.title}`),
    ),
    el(
      "p",
      {class: "dim"},
      `${q.level} · profile ${q.profile} · looked at ${plural(q.checks, "time")} in ${plural(q.cases, "case")}`,
    ),
    q.untestable
      ? el("p", {class: "notice"}, `Cannot be tested from outside: ${q.untestable}`)
      : null,
    mutants
      ? [
          el("h3", {}, "Mutants that break it"),
          brokenBy.has(q.id)
            ? el(
                "ul",
                {class: "plain"},
                brokenBy
                  .get(q.id)
                  .map((m) =>
                    el(
                      "li",
                      {},
                      badge(m.caught ? "PASS" : "FAIL", m.caught ? "caught" : "survives"),
                      " ",
                      el("b", {}, m.name),
                      " ",
                      m.title || "",
                    ),
                  ),
              )
            : el("p", {class: "empty"}, "None: nothing has shown yet that a breach would be seen."),
        ]
      : null,
    section("Cases written for it", written),
    section("Other cases that exercised it", others),
  ]);
}

// Traceability.

function drawTrace(main, at) {
  const result = el("div", {});
  const gaps = ["without a case", ...(mutants ? ["without a mutant"] : [])];
  function draw() {
    const f = at.filter;
    const list = run.requirements.filter(
      (q) =>
        wantsRequirement(q, f) &&
        (f.gap !== gaps[0] || (!q.exercised && !q.untestable)) &&
        (f.gap !== gaps[1] || (!provenBy.has(q.id) && !q.untestable)),
    );
    const body = el("tbody", {});
    lazyTable(body, list, (q) => {
      const ids = sortedSet((writtenFor.get(q.id) || []).map((c) => c.id));
      return el(
        "tr",
        {},
        el("th", {scope: "row"}, el("a", {class: "id", href: link("requirement", q.id)}, q.id)),
        el("td", {class: "clipped", title: q.text}, q.text),
        el("td", {}, badge(q.verdict)),
        el(
          "td",
          {class: "number"},
          ids.length ? el("a", {href: link("cases", null, {req: q.id})}, ids.length) : "0",
        ),
        el("td", {class: "number"}, q.cases),
        mutants
          ? el(
              "td",
              {},
              q.untestable
                ? el("span", {class: "dim"}, "untestable")
                : (provenBy.get(q.id) || []).map((m) =>
                    el("span", {class: "tag", title: m.title}, m.name),
                  ),
            )
          : null,
      );
    });
    refill(
      result,
      el(
        "p",
        {class: "lead", role: "status"},
        `${list.length} of ${plural(run.requirements.length, "requirement")}`,
      ),
      el(
        "div",
        {class: "scroll"},
        el(
          "table",
          {class: "trace"},
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              [
                "Requirement",
                "Sentence",
                "Verdict",
                "Written for it",
                "Exercised it",
                mutants ? "Proven by" : null,
              ]
                .filter(Boolean)
                .map((t) => el("th", {scope: "col"}, t)),
            ),
          ),
          body,
        ),
      ),
    );
  }
  const testable = run.requirements.filter((q) => !q.untestable);
  const numbers = [
    [run.requirements.length, "requirements"],
    [run.requirements.length - testable.length, "marked untestable"],
    [testable.filter((q) => q.exercised).length, "exercised in this run"],
    [testable.filter((q) => writtenFor.has(q.id)).length, "with a case of their own"],
    ...(mutants ? [[testable.filter((q) => provenBy.has(q.id)).length, "proven by a mutant"]] : []),
  ];
  const bar = requirementFilters("trace", at.filter, draw);
  const gap = el(
    "label",
    {class: "choice"},
    el("span", {}, "gaps"),
    el(
      "select",
      {
        name: "gap",
        onchange: (e) => {
          if (e.target.value) at.filter.gap = e.target.value;
          else delete at.filter.gap;
          keep("trace", null, at.filter);
          draw();
        },
      },
      el("option", {value: ""}, "all"),
      gaps.map((g) => el("option", {value: g, selected: at.filter.gap === g}, g)),
    ),
  );
  bar.insertBefore(gap, bar.lastChild);
  add(main, [
    el("h2", {}, "Traceability"),
    el(
      "dl",
      {class: "numbers"},
      numbers.map(([n, text]) => el("div", {}, el("dd", {}, n), el("dt", {}, text))),
    ),
    mutants
      ? null
      : el(
          "p",
          {class: "dim"},
          "These results bring no mutants: copse-tck report --mutants FILE adds which requirement each proves.",
        ),
    bar,
    result,
  ]);
  draw();
}

// A table body that grows as it is looked at; its button is a row of its own.
function lazyTable(body, items, make) {
  const holder = el("div", {});
  const cell = el("td", {colspan: 9}, holder),
    last = el("tr", {class: "morerow"}, cell);
  body.append(last);
  lazy(holder, items, (item) => {
    last.before(make(item));
    return document.createDocumentFragment();
  });
  if (!holder.childNodes.length) last.remove();
}

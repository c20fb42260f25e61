// SPDX-License-Identifier: MIT
//
// Several peers side by side, or this run beside an earlier one of the same peer.

// A run of the same command is an earlier (or later) one; all others are other peers.
function isSamePeer(o) {
  return JSON.stringify(o.command) === JSON.stringify(run.command);
}
function nameOf(o) {
  const agent = o.testee.agent || commandLine(o.command);
  return isSamePeer(o) && o !== here ? `${agent}, ${when(o.started)}` : agent;
}

const here = {
  ...run,
  cases: Object.fromEntries(run.cases.map((c) => [c.id, c])),
  requirements: Object.fromEntries(run.requirements.map((q) => [q.id, q.verdict])),
};
const columns = [here, ...data.others];

function verdictOf(o, kind, id) {
  if (kind === "requirements") return o.requirements[id] || null;
  return o.cases[id] ? o.cases[id].verdict : null;
}

// How an earlier run differs: what this one broke, mended, brought and left out.
function changes(o) {
  const out = {
    "newly red": [],
    mended: [],
    "otherwise different": [],
    "only in this one": [],
    "only in that one": [],
  };
  for (const c of run.cases) {
    const before = verdictOf(o, "cases", c.id);
    if (!before) out["only in this one"].push(c.id);
    else if (before !== c.verdict) {
      out[
        red.has(c.verdict) && !red.has(before)
          ? "newly red"
          : red.has(before) && !red.has(c.verdict)
            ? "mended"
            : "otherwise different"
      ].push(c.id);
    }
  }
  for (const id of Object.keys(o.cases)) if (!caseById.has(id)) out["only in that one"].push(id);
  return out;
}

function changeList(o) {
  const found = Object.entries(changes(o)).filter(([, ids]) => ids.length);
  return [
    el("h3", {}, `Since ${when(o.started)}`),
    found.length
      ? found.map(([title, ids]) => {
          const body = el("div", {class: "body"});
          const node = el(
            "details",
            {
              class: "problem " + ({"newly red": "bad", mended: "good"}[title] || "none"),
              open: title === "newly red",
              ontoggle: () => {
                if (node.open && !body.childNodes.length)
                  lazy(
                    body,
                    ids,
                    (id) =>
                      el(
                        "p",
                        {class: "line"},
                        caseById.has(id)
                          ? caseLink(caseById.get(id))
                          : el("span", {class: "id"}, id),
                        " ",
                        verdictOf(o, "cases", id) ? badge(verdictOf(o, "cases", id)) : null,
                        verdictOf(o, "cases", id) && caseById.has(id) ? " ⇒ " : "",
                        caseById.has(id) ? badge(caseById.get(id).verdict) : null,
                      ),
                    50,
                  );
              },
            },
            el(
              "summary",
              {},
              el("b", {}, title),
              el("span", {class: "count"}, plural(ids.length, "case")),
            ),
            body,
          );
          return node;
        })
      : el("p", {class: "empty"}, "No case differs."),
  ];
}

function drawCompare(main, at) {
  const f = at.filter;
  const result = el("div", {});
  function draw() {
    const kind = f.by === "requirements" ? "requirements" : "cases";
    const ids =
      kind === "cases"
        ? sortedSet(columns.flatMap((o) => Object.keys(o.cases)))
        : run.requirements.map((q) => q.id);
    const chosen = ids.filter((id) => {
      const verdicts = columns.map((o) => verdictOf(o, kind, id));
      const known =
        kind === "cases" ? columns.map((o) => o.cases[id]).find(Boolean) : requirementById.get(id);
      return (
        (f.show === "all" || verdicts.some((v) => v !== verdicts[0])) &&
        (!f.area || known.area === f.area) &&
        (!f.q || matchesText([id, known.title || "", known.text || ""], f.q))
      );
    });
    const body = el("tbody", {});
    lazyTable(body, chosen, (id) =>
      el(
        "tr",
        {},
        el(
          "th",
          {scope: "row"},
          kind === "cases"
            ? caseById.has(id)
              ? caseLink(caseById.get(id))
              : el("span", {class: "id"}, id)
            : el("a", {class: "id", href: link("requirement", id)}, id),
        ),
        columns.map((o) =>
          el(
            "td",
            {},
            verdictOf(o, kind, id)
              ? badge(verdictOf(o, kind, id))
              : el("span", {class: "dim"}, "–"),
          ),
        ),
      ),
    );
    refill(
      result,
      el(
        "p",
        {class: "lead", role: "status"},
        `${plural(chosen.length, kind.slice(0, -1))} ${f.show === "all" ? "in all" : "that not all agree on"}`,
      ),
      chosen.length
        ? el(
            "div",
            {class: "scroll"},
            el(
              "table",
              {class: "compare"},
              el(
                "thead",
                {},
                el(
                  "tr",
                  {},
                  el("th", {scope: "col"}, kind.slice(0, -1)),
                  columns.map((o) => el("th", {scope: "col"}, nameOf(o))),
                ),
              ),
              body,
            ),
          )
        : null,
    );
  }
  const pick = (name, label, options) =>
    el(
      "label",
      {class: "choice"},
      el("span", {}, label),
      el(
        "select",
        {
          name,
          onchange: (e) => {
            if (e.target.value) f[name] = e.target.value;
            else delete f[name];
            keep("compare", null, f);
            draw();
          },
        },
        options.map(([v, text]) => el("option", {value: v, selected: (f[name] || "") === v}, text)),
      ),
    );
  const search = el("input", {
    type: "search",
    id: "search",
    placeholder: "Find",
    "aria-label": "Find",
    value: f.q || "",
    oninput: (e) => {
      if (e.target.value.trim()) f.q = e.target.value.trim();
      else delete f.q;
      keep("compare", null, f);
      draw();
    },
  });
  add(main, [
    el("h2", {}, "Side by side"),
    el(
      "div",
      {class: "scroll"},
      el(
        "table",
        {class: "compare heads"},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", {}),
            columns.map((o) =>
              el(
                "th",
                {scope: "col"},
                nameOf(o),
                o === here ? el("small", {class: "dim"}, "this report") : null,
              ),
            ),
          ),
        ),
        el(
          "tbody",
          {},
          run.profiles.map((p) =>
            el(
              "tr",
              {},
              el("th", {scope: "row"}, p.name),
              columns.map((o) => {
                const other = o.profiles.find((x) => x.name === p.name);
                return el(
                  "td",
                  {},
                  other
                    ? [
                        badge(other.verdict),
                        el("small", {class: "dim"}, `${other.ran} ran, ${other.red} red`),
                        bar(other.counts),
                      ]
                    : "–",
                );
              }),
            ),
          ),
          el(
            "tr",
            {},
            el("th", {scope: "row"}, "run"),
            columns.map((o) =>
              el(
                "td",
                {class: "dim"},
                when(o.started),
                el("small", {}, `${o.selected} cases, ${duration(o.seconds)}, seed ${o.seed}`),
              ),
            ),
          ),
        ),
      ),
    ),
    data.others.filter(isSamePeer).map(changeList),
    el("h3", {}, "Where they differ"),
    el(
      "div",
      {class: "filters", role: "search"},
      search,
      pick("by", "by", [
        ["", "cases"],
        ["requirements", "requirements"],
      ]),
      pick("show", "show", [
        ["", "differences"],
        ["all", "all"],
      ]),
    ),
    result,
  ]);
  draw();
}

// SPDX-License-Identifier: MIT
//
// What stands at the top of every view, and the first of them: the verdict, what needs attention, and
// all requirements at a glance.

function when(seconds) {
  if (!Number.isFinite(seconds)) return "";
  return new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";
}

function duration(seconds) {
  return seconds < 90
    ? `${Number(seconds).toFixed(1)} s`
    : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

// The whole in one line.
function sentence(r) {
  const claimed = r.profiles.filter((p) => p.verdict !== "NOT CLAIMED");
  const bad = claimed.filter((p) => p.verdict === "NOT CONFORMANT");
  const good = claimed.filter((p) => p.verdict === "CONFORMANT");
  if (r.counts.HARNESS) return {tone: "odd", text: "No verdict: the suite itself is at fault"};
  if (bad.length)
    return {tone: "bad", text: `Not conformant in ${bad.map((p) => p.name).join(", ")}`};
  if (!good.length && r.profiles.some((p) => p.verdict === "PARTIAL"))
    return {tone: "open", text: `Nothing red in the ${plural(r.selected, "case")} that ran`};
  if (!good.length) return {tone: "open", text: "Nothing was run"};
  return {tone: "good", text: `Conformant in ${good.map((p) => p.name).join(", ")}`};
}

function shortened(text) {
  return text.length > 80 ? text.slice(0, 80) + "…" : text;
}

// A bar of the verdicts' shares.
function bar(counts) {
  const total = Object.values(counts).reduce((a, b) => a + b, 0);
  const node = el("div", {
    class: "bar",
    role: "img",
    "aria-label": caseVerdicts
      .filter((v) => counts[v])
      .map((v) => `${counts[v]} ${v.toLowerCase()}`)
      .join(", "),
  });
  for (const v of [...caseVerdicts].reverse()) {
    if (!counts[v]) continue;
    const part = el("i", {class: tone(v), title: `${counts[v]} ${v.toLowerCase()}`});
    part.style.flexGrow = Math.max(counts[v], total / 120);
    node.append(part);
  }
  return node;
}

function profileCard(p) {
  return el(
    "a",
    {
      class: `card ${tone(p.verdict)}`,
      href: link("cases", null, {profile: p.name}),
      title: meanings[p.verdict],
    },
    el("span", {class: "name"}, p.name),
    el(
      "strong",
      {},
      el("span", {"aria-hidden": "true"}, signs[tone(p.verdict)] + " "),
      p.verdict.toLowerCase(),
    ),
    bar(p.counts),
    el(
      "small",
      {},
      p.verdict === "NOT CLAIMED"
        ? "not judged"
        : p.selected < p.available
          ? `${p.ran} of ${p.available} ran, ${p.red} red`
          : `${p.ran} ran, ${p.red} red`,
    ),
  );
}

function drawTop() {
  const s = sentence(run);
  document.title = `${s.text} · ${run.testee.agent || "testee"} · Copse conformance`;
  const part =
    run.selected < run.available
      ? el(
          "p",
          {class: "notice"},
          `Only ${run.selected} of ${run.available} cases were run, so this says nothing of the rest.`,
        )
      : null;
  const problem = run.testee.problem
    ? el(
        "p",
        {class: "notice bad"},
        `The testee does not come further than “${run.testee.stage}”: ${run.testee.problem}`,
      )
    : null;
  refill(
    document.getElementById("top"),
    el(
      "div",
      {class: "who"},
      el("p", {class: "brand"}, el("a", {href: "#/summary"}, "copse-tck"), " conformance report"),
      el("h1", {}, run.testee.agent || "a testee that said no name"),
      el(
        "p",
        {class: `verdict ${s.tone}`},
        el("span", {"aria-hidden": "true"}, signs[s.tone] + " "),
        s.text,
      ),
      el("p", {class: "command"}, el("code", {}, commandLine(run.command))),
    ),
    el("div", {class: "cards"}, run.profiles.map(profileCard)),
    part,
    problem,
  );
  const facts = [
    when(run.started),
    plural(run.selected, "case") + " in " + duration(run.seconds),
    "seed " + run.seed,
    run.repeats > 1 ? run.repeats + " times each" : null,
    run.time_scale !== 1 ? "times scaled by " + run.time_scale : null,
    run.only ? "only " + shortened(run.only) : null,
    run.skip ? "without " + shortened(run.skip) : null,
    run.profile ? "profile " + run.profile : null,
    "suite " + run.suite + ", protocol " + run.protocol,
  ].filter(Boolean);
  refill(
    document.getElementById("foot"),
    el("p", {}, facts.join(" · ")),
    run.testee.hello
      ? el(
          "details",
          {},
          el("summary", {}, "HELLO of the testee"),
          el("pre", {class: "wrap"}, run.testee.hello),
        )
      : null,
  );
}

const views = [
  ["summary", "Summary"],
  ["requirements", "Requirements"],
  ["cases", "Cases"],
  ["states", "States"],
  ["trace", "Traceability"],
  ["compare", "Compare"],
];

function drawNav(view) {
  const home = {case: "cases", requirement: "requirements"}[view] || view;
  refill(
    document.getElementById("nav"),
    views
      .filter(([name]) => name !== "compare" || data.others.length)
      .map(([name, title]) =>
        el("a", {href: link(name), "aria-current": name === home ? "page" : null}, title),
      ),
  );
  // On a phone there are more of them than fit.
  const nav = document.getElementById("nav"),
    current = nav.querySelector("[aria-current]");
  if (current) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
}

// Needs attention: one entry per requirement that is red or warned of, the widest first.
function attention() {
  const groups = new Map();
  for (const c of run.cases) {
    if (c.verdict === "PASS" || c.verdict === "UNSUPPORTED") continue;
    const k = decisive(c);
    const key = `${c.verdict} ${k ? k.requirement : c.reason || ""}`;
    if (!groups.has(key))
      groups.set(key, {
        verdict: c.verdict,
        requirement: k && requirementById.get(k.requirement),
        reason: c.reason,
        cases: [],
        observed: k && k.observed,
      });
    groups.get(key).cases.push(c);
  }
  const weight = (g) => caseVerdicts.indexOf(g.verdict);
  return [...groups.values()].sort(
    (a, b) => weight(a) - weight(b) || b.cases.length - a.cases.length,
  );
}

function caseLink(c) {
  return el("a", {class: "id", href: link("case", c.id)}, breakable(c.id));
}

function attentionGroup(g) {
  const q = g.requirement;
  const body = el("div", {class: "body"});
  const node = el(
    "details",
    {
      class: `problem ${tone(g.verdict)}`,
      ontoggle: () => {
        if (!node.open || body.childNodes.length) return;
        add(body, [
          q
            ? el(
                "p",
                {class: "spec"},
                rich(q.text),
                " ",
                el("a", {href: link("requirement", q.id)}, "more on " + q.id),
              )
            : null,
          g.observed ? el("p", {class: "said"}, el("b", {}, "Observed "), g.observed) : null,
        ]);
        lazy(
          body,
          g.cases,
          (c) => el("p", {class: "line"}, caseLink(c), " ", rich(c.title, false)),
          25,
          false,
        );
      },
    },
    el(
      "summary",
      {},
      badge(g.verdict),
      " ",
      q ? el("b", {}, q.id) : null,
      " ",
      el("span", {class: "clip"}, q ? rich(q.text, false) : g.reason || ""),
      el("span", {class: "count"}, plural(g.cases.length, "case")),
    ),
    body,
  );
  return node;
}

// All requirements that `keepIt` wants, as squares by area.
function matrix(keepIt, filter) {
  const areas = new Map();
  for (const q of run.requirements) {
    if (!keepIt(q)) continue;
    (areas.get(q.area) || areas.set(q.area, []).get(q.area)).push(q);
  }
  const table = el("div", {class: "matrix"});
  for (const [area, list] of areas) {
    table.append(
      el(
        "div",
        {class: "area"},
        el("a", {class: "areaname", href: link("requirements", null, {...filter, area})}, area),
        el(
          "div",
          {class: "cells"},
          list.map((q) =>
            el(
              "a",
              {
                class: `cell ${tone(q.verdict)}`,
                href: link("requirement", q.id),
                title: `${q.id} · ${q.level} · ${q.verdict.toLowerCase()}${q.failed.length ? ", " + plural(q.failed.length, "case") + " red" : ""}\n${q.text}`,
                "aria-label": `${q.id}, ${q.verdict.toLowerCase()}`,
              },
              q.id.slice(-3).replace(/^0/, ""),
            ),
          ),
        ),
      ),
    );
  }
  if (!areas.size) table.append(el("p", {class: "empty"}, "No requirement is like that."));
  return table;
}

function legend(verdicts) {
  return el(
    "p",
    {class: "legend"},
    verdicts.map((v) =>
      el(
        "span",
        {},
        el("i", {class: `cell ${tone(v)}`}, " "),
        v.toLowerCase() + ": " + meanings[v],
      ),
    ),
  );
}

function drawSummary(main) {
  const groups = attention();
  const ofMust = run.requirements.filter((q) => q.level.startsWith("MUST") && !q.untestable);
  const seen = ofMust.filter((q) => q.exercised).length;
  add(main, [
    el("h2", {}, groups.length ? "What needs attention" : "Nothing needs attention"),
    groups.length ? null : el("p", {class: "empty"}, "Every case that could be judged passed."),
    lazy(el("div", {class: "problems"}), groups, attentionGroup, 12, false),
    el("h2", {}, "Requirements"),
    el(
      "p",
      {class: "lead"},
      `${seen} of ${ofMust.length} testable MUSTs were exercised in this run. `,
      el("a", {href: link("requirements")}, "Filter them"),
      " or choose one.",
    ),
    matrix(() => true, {}),
    legend(requirementVerdicts.filter((v) => run.requirements.some((q) => q.verdict === v))),
  ]);
}

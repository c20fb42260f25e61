// SPDX-License-Identifier: MIT
//
// The results, and the indexes by which the views find their way through them.

const data = JSON.parse(document.getElementById("data").textContent);
const run = data.results;
const mutants = Array.isArray(data.mutants) ? data.mutants : null;

const caseById = new Map(run.cases.map((c) => [c.id, c]));
const requirementById = new Map(run.requirements.map((q) => [q.id, q]));

// Which cases exercised a requirement, and which were written for it.
const exercisedBy = new Map(),
  writtenFor = new Map();
for (const c of run.cases) {
  for (const id of c.exercised) (exercisedBy.get(id) || exercisedBy.set(id, []).get(id)).push(c);
  for (const id of c.requirements) (writtenFor.get(id) || writtenFor.set(id, []).get(id)).push(c);
}

// Which mutants break a requirement, and of these the ones that were caught: they prove it.
const brokenBy = new Map(),
  provenBy = new Map();
for (const m of mutants || []) {
  for (const id of m.breaks || []) {
    (brokenBy.get(id) || brokenBy.set(id, []).get(id)).push(m);
    if (m.caught) (provenBy.get(id) || provenBy.set(id, []).get(id)).push(m);
  }
}

const cellById = new Map();
for (const m of run.machines) {
  for (const t of m.tables) {
    for (const row of t.rows) {
      row.cells.forEach((c, i) =>
        cellById.set(c.cell, {machine: m.name, state: row.state, event: t.events[i], ...c}),
      );
    }
  }
}

const caseVerdicts = [
  "FAIL",
  "CRASH",
  "TIMEOUT",
  "FLAKY",
  "BLOCKED",
  "HARNESS",
  "WARN",
  "INFO",
  "PASS",
  "UNSUPPORTED",
];
const requirementVerdicts = ["FAIL", "WARN", "PASS", "NOT EXERCISED", "NOT CLAIMED", "UNTESTABLE"];
const red = new Set(["FAIL", "CRASH", "TIMEOUT", "FLAKY", "BLOCKED", "HARNESS", "NOT CONFORMANT"]);

// What a verdict looks like; the sign is there for those who do not see the colour.
function tone(verdict) {
  if (verdict === "PASS" || verdict === "CONFORMANT") return "good";
  if (verdict === "HARNESS") return "odd";
  if (red.has(verdict)) return "bad";
  if (verdict === "WARN") return "warn";
  if (verdict === "NOT EXERCISED" || verdict === "NOT RUN" || verdict === "PARTIAL") return "open";
  if (verdict === "NOT CLAIMED" || verdict === "UNSUPPORTED") return "off";
  return "none";
}
const signs = {good: "✓", bad: "✗", odd: "✗", warn: "!", open: "○", off: "–", none: "–"};

const meanings = {
  PASS: "all checks held",
  WARN: "a SHOULD was not kept",
  INFO: "a MAY was not taken",
  FAIL: "a MUST was broken",
  CRASH: "the testee died",
  TIMEOUT: "what must come did not come",
  UNSUPPORTED: "the testee does not claim this",
  BLOCKED: "the testee does not come so far that this could be judged",
  FLAKY: "not the same each time",
  HARNESS: "a fault of the suite itself",
  "NOT EXERCISED": "no case looked at it",
  "NOT CLAIMED": "of a profile that the testee does not claim",
  UNTESTABLE: "cannot be seen from outside",
  CONFORMANT: "all cases were run, and nothing was red",
  "NOT CONFORMANT": "something is red",
  "NOT RUN": "nothing ran",
  PARTIAL: "nothing red, but only a part of the cases was run",
};

function badge(verdict, short) {
  return el(
    "span",
    {class: `badge ${tone(verdict)}`, title: meanings[verdict]},
    el("span", {"aria-hidden": "true"}, signs[tone(verdict)] + " "),
    short || verdict.toLowerCase(),
  );
}

// The check that decided, for lists.
function decisive(c) {
  const order = ["HARNESS", "CRASH", "TIMEOUT", "FAIL", "BLOCKED", "WARN", "INFO"];
  return (
    [...c.checks].sort((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict))[0] || null
  );
}

function plural(n, one, many) {
  return `${n} ${n === 1 ? one : many || one + "s"}`;
}

function shellWord(w) {
  return /^[\w\-./=:+,@]+$/.test(w) ? w : "'" + w.replaceAll("'", "'\\''") + "'";
}
function commandLine(command) {
  return command.map(shellWord).join(" ");
}

function matchesText(words, q) {
  const text = words.join(" ").toLowerCase();
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((w) => text.includes(w));
}

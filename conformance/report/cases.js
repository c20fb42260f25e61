// SPDX-License-Identifier: MIT
//
// Cases: the filtered list, and the page of one with its wire log.

function caseRow(c) {
  const k = decisive(c);
  return el(
    "article",
    {class: "row case"},
    el(
      "div",
      {class: "head"},
      badge(c.verdict),
      caseLink(c),
      el("span", {class: "dim"}, `${c.requirements.join(" ")} · ${c.profile}`),
    ),
    el("p", {}, rich(c.title, false)),
    k && red.has(c.verdict)
      ? el("p", {class: "said"}, el("b", {}, k.requirement + " "), k.observed || "")
      : c.reason && c.verdict !== "PASS"
        ? el("p", {class: "said"}, c.reason)
        : null,
  );
}

function wantsCase(c, f) {
  return (
    (!f.area || c.area === f.area) &&
    (!f.profile || c.profile === f.profile) &&
    wantsVerdict(f, c.verdict) &&
    (!f.req || c.requirements.includes(f.req)) &&
    (!f.cell || c.cells.includes(Number(f.cell))) &&
    (!f.q ||
      matchesText(
        [
          c.id,
          c.title,
          c.requirements.join(" "),
          c.reason || "",
          ...c.checks.map((k) => k.observed || ""),
        ],
        f.q,
      ))
  );
}

let lastFilter = {};
function filteredCases(f) {
  const weight = (c) => caseVerdicts.indexOf(c.verdict);
  return run.cases.filter((c) => wantsCase(c, f)).sort((a, b) => weight(a) - weight(b));
}

function drawCases(main, at) {
  const result = el("div", {});
  function draw() {
    lastFilter = {...at.filter};
    const list = filteredCases(at.filter);
    refill(
      result,
      el(
        "p",
        {class: "lead", role: "status"},
        `${list.length} of ${plural(run.cases.length, "case")}`,
      ),
      list.length
        ? lazy(el("div", {class: "rows"}), list, caseRow)
        : el("p", {class: "empty"}, "No case is like that."),
    );
  }
  const special = [];
  for (const [name, text] of [
    ["req", (v) => `written for ${v}`],
    [
      "cell",
      (v) => {
        const c = cellById.get(Number(v));
        return c ? `that reached ${c.machine}: ${c.state} × ${c.event}` : "that reached a cell";
      },
    ],
  ]) {
    if (!at.filter[name]) continue;
    const tag = el(
      "button",
      {
        class: "chip none",
        type: "button",
        "aria-pressed": "true",
        title: "drop this filter",
        onclick: () => {
          delete at.filter[name];
          tag.remove();
          keep("cases", null, at.filter);
          draw();
        },
      },
      text(at.filter[name]),
      " ✕",
    );
    special.push(tag);
  }
  add(main, [
    el("h2", {}, "Cases"),
    filterBar({
      view: "cases",
      filter: at.filter,
      changed: draw,
      placeholder: "Find in the cases",
      verdicts: caseVerdicts,
      count: (v) => run.counts[v] || 0,
      selects: [
        {name: "profile", label: "profile", options: sortedSet(run.cases.map((c) => c.profile))},
        {name: "area", label: "area", options: sortedSet(run.cases.map((c) => c.area)).sort()},
      ],
    }),
    special.length ? el("div", {class: "chips"}, special) : null,
    result,
  ]);
  draw();
}

// A case ------------------------------------------------------------------------------------------

function copyButton(text) {
  const button = el(
    "button",
    {
      class: "copy",
      type: "button",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          button.textContent = "Copied";
        } catch {
          const range = document.createRange();
          range.selectNodeContents(button.previousSibling);
          getSelection().removeAllRanges();
          getSelection().addRange(range);
          button.textContent = "Selected";
        }
        setTimeout(() => {
          button.textContent = "Copy";
        }, 1500);
      },
    },
    "Copy",
  );
  return button;
}

function commandBox(text) {
  return el("div", {class: "commandbox"}, el("pre", {class: "wrap"}, text), copyButton(text));
}

// The bytes of an event with their places. The four fields of a frame's header are told apart, and
// what the fault is about is marked.
const fieldsOfHeader = [
  [0, 2, "length", "len"],
  [3, 3, "kind", "kind"],
  [4, 11, "context", "ctx"],
];
function hexdump(e) {
  const bytes = (e.bytes || "").match(/../g) || [];
  const perLine = window.matchMedia("(max-width: 640px)").matches ? 8 : 16;
  const box = el("div", {class: "hex"});
  const framed = e.kind !== undefined;
  const fault = e.fault && e.fault.first !== undefined ? e.fault : null;
  for (let at = 0; at < bytes.length; at += perLine) {
    const line = el("div", {}, el("span", {class: "offset"}, at.toString(16).padStart(4, "0")));
    let ascii = "";
    for (let i = at; i < Math.min(bytes.length, at + perLine); i++) {
      const field = framed ? fieldsOfHeader.find(([from, to]) => i >= from && i <= to) : null;
      const marked = fault && i >= fault.first && i <= fault.last;
      line.append(
        el(
          marked ? "mark" : "span",
          {class: field ? field[3] : "", title: `byte ${i}${field ? ", " + field[2] : ""}`},
          bytes[i],
        ),
      );
      const code = parseInt(bytes[i], 16);
      ascii += code >= 32 && code < 127 ? String.fromCharCode(code) : "·";
    }
    line.append(el("span", {class: "ascii"}, ascii));
    box.append(line);
  }
  if (e.size > bytes.length)
    box.append(el("div", {class: "dim"}, `${e.size - bytes.length} more of ${e.size} bytes`));
  return box;
}

const directions = {
  "<": ["←", "from the testee", "in"],
  ">": ["→", "from the suite", "out"],
  "*": ["•", "the process", "note"],
};

function wireEvent(e, number, pointedAt) {
  const [arrow, spoken, kind] = directions[e.dir] || ["?", "", "note"];
  const body = el("div", {class: "inside"});
  const words =
    e.kind && e.text.startsWith(e.kind)
      ? [el("b", {}, e.kind), e.text.slice(e.kind.length)]
      : [e.text];
  function fill() {
    if (body.childNodes.length) return;
    add(body, [
      e.announced ? el("p", {class: "dim"}, "The suite breaks a rule here on purpose.") : null,
      e.after
        ? el(
            "p",
            {class: "dim"},
            `State at the suite: ${e.before}${e.before === e.after ? ", unchanged" : " ⇒ " + e.after}`,
          )
        : null,
      e.bytes ? hexdump(e) : null,
    ]);
  }
  const row = el(e.bytes ? "details" : "div", {
    class: `event ${kind}${e.fault ? " fault" : ""}${pointedAt.length ? " pointed" : ""}`,
    id: `event-${number}`,
    ontoggle: e.bytes
      ? () => {
          if (row.open) fill();
        }
      : null,
  });
  const line = el(
    e.bytes ? "summary" : "p",
    {class: "eventline"},
    el("span", {class: "time"}, e.at.toFixed(2)),
    el("span", {class: "link"}, e.link),
    el("span", {class: "arrow", title: spoken}, arrow),
    el("span", {class: "text"}, words),
    e.after && e.before !== e.after
      ? el("span", {class: "states"}, `${e.before} ⇒ ${e.after}`)
      : null,
  );
  row.append(line);
  if (e.bytes) row.append(body);
  if (e.fault) {
    row.append(
      el(
        "p",
        {class: "remark"},
        el("a", {href: link("requirement", e.fault.requirement)}, e.fault.requirement),
        " ",
        e.fault.text,
        e.fault.first !== undefined
          ? ` (${e.fault.first === e.fault.last ? "byte " + e.fault.first : "bytes " + e.fault.first + "–" + e.fault.last})`
          : "",
        e.fault.by === "suite" ? " — a fault of the suite" : "",
      ),
    );
  }
  for (const k of pointedAt) {
    if (!e.fault)
      row.append(
        el(
          "p",
          {class: "remark"},
          `${k.requirement} expected `,
          el("code", {}, k.expected || "something else"),
          " here",
        ),
      );
  }
  if (e.bytes && (e.fault || pointedAt.length)) {
    row.open = true;
    fill();
  }
  return row;
}

function wireLog(c) {
  const box = el("div", {class: "wire"});
  const pointers = new Map();
  for (const k of c.checks)
    if (k.event) (pointers.get(k.event) || pointers.set(k.event, []).get(k.event)).push(k);
  lazy(box, c.events, (e, i) => wireEvent(e, i + 1, pointers.get(i + 1) || []), 150);
  return box;
}

function checkBox(k) {
  const q = requirementById.get(k.requirement);
  return el(
    "section",
    {class: `check ${tone(k.verdict)}`},
    el(
      "p",
      {class: "head"},
      badge(k.verdict),
      " ",
      el("a", {class: "id", href: link("requirement", k.requirement)}, k.requirement),
      k.times ? el("span", {class: "dim"}, ` ${k.times} times`) : null,
      k.monitor ? el("span", {class: "dim"}, " seen by the monitor") : null,
    ),
    q ? el("p", {class: "spec"}, rich(q.text)) : null,
    el(
      "dl",
      {class: "verdicts"},
      el("dt", {}, "Expected"),
      el("dd", {}, k.expected || ""),
      el("dt", {}, "Observed"),
      el("dd", {class: "observed"}, k.observed || ""),
    ),
    k.event
      ? el(
          "p",
          {},
          el(
            "a",
            {
              href: `#event-${k.event}`,
              onclick: (e) => {
                e.preventDefault();
                const row = document.getElementById(`event-${k.event}`);
                row.scrollIntoView({block: "center"});
                (row.querySelector("summary") || row).focus();
              },
            },
            "Show it in the wire log",
          ),
        )
      : null,
  );
}

function drawCase(main, at) {
  const c = caseById.get(at.argument);
  if (!c) return add(main, [el("h2", {}, "No such case"), el("p", {}, at.argument)]);
  const list = filteredCases(lastFilter);
  const i = list.indexOf(c);
  const step = (other, text, key) =>
    other
      ? el(
          "a",
          {href: link("case", other.id), rel: key, title: `${other.id} (key ${key[0]})`},
          text,
        )
      : null;
  const shown = new Set(c.checks.map((k) => k.requirement));
  const sentences = c.requirements
    .filter((id) => !shown.has(id))
    .map((id) => requirementById.get(id))
    .filter(Boolean);
  add(main, [
    el(
      "p",
      {class: "crumbs"},
      el("a", {href: link("cases", null, lastFilter)}, "Cases"),
      " / ",
      el("a", {href: link("cases", null, {area: c.area})}, c.area),
      el(
        "span",
        {class: "steps"},
        i > 0 ? step(list[i - 1], "‹ previous", "prev") : null,
        " ",
        i >= 0 ? step(list[i + 1], "next ›", "next") : null,
      ),
    ),
    el("h2", {class: "caseid"}, breakable(c.id), " ", badge(c.verdict)),
    el("p", {class: "casetitle"}, rich(c.title)),
    c.why ? el("p", {class: "why"}, rich(c.why)) : null,
    c.reason ? el("p", {class: "notice"}, c.reason) : null,
    c.checks.map(checkBox),
    sentences.length
      ? el(
          "div",
          {class: "sentences"},
          sentences.map((q) =>
            el(
              "blockquote",
              {class: "spec"},
              el("a", {class: "id", href: link("requirement", q.id)}, q.id),
              " ",
              rich(q.text),
              el("footer", {}, `SPEC.md, ${q.section} ${q.title}`),
            ),
          ),
        )
      : null,
    el(
      "dl",
      {class: "facts"},
      el("dt", {}, "The testee ended"),
      el("dd", {}, c.termination),
      el("dt", {}, "Took"),
      el("dd", {}, `${c.ms.toFixed(1)} ms`, c.repeats ? `, ${c.repeats} times` : ""),
      el("dt", {}, "Profile"),
      el("dd", {}, c.profile),
      el("dt", {}, "Written in"),
      el("dd", {}, c.file, c.generated ? ", generated from the tables of SPEC.md" : ""),
    ),
    el("h3", {}, "To see it again"),
    commandBox(c.reproduce),
    el("h3", {}, "On the wire"),
    c.events && c.events.length
      ? [
          el(
            "p",
            {class: "dim legendline"},
            "Times in ms. → is the suite, ← the testee. States are those at the suite’s end: its life, then its two halves. A line opens to its bytes.",
          ),
          wireLog(c),
        ]
      : el(
          "p",
          {class: "empty"},
          c.verdict === "PASS"
            ? "Nothing was kept of a case that passed; the command above shows it."
            : "Nothing was said.",
        ),
    c.stderr ? [el("h3", {}, "Standard error"), el("pre", {class: "wrap stderr"}, c.stderr)] : null,
  ]);
}

// SPDX-License-Identifier: MIT
//
// Draws the view that the address asks for, and knows the keys.

const drawers = {
  summary: drawSummary,
  requirements: drawRequirements,
  requirement: drawRequirement,
  cases: drawCases,
  case: drawCase,
  states: drawStates,
  trace: drawTrace,
  compare: drawCompare,
};

function draw(moved) {
  const at = route();
  if (!drawers[at.view]) at.view = "summary";
  const main = document.getElementById("main");
  for (const list of [...lazyLists]) lazyLists.delete(list);
  main.replaceChildren();
  document.body.className =
    at.view === "case" || at.view === "requirement"
      ? "detail"
      : at.view === "summary"
        ? ""
        : "part";
  drawNav(at.view);
  drawers[at.view](main, at);
  if (moved) {
    // Into view, but the verdict stays where it is when a reader goes on from the top of the page.
    const nav = document.getElementById("nav");
    if (window.scrollY > nav.offsetTop) window.scrollTo(0, nav.offsetTop);
    main.focus({preventScroll: true});
  }
}

window.addEventListener("hashchange", () => draw(true));
window.addEventListener("beforeprint", () => {
  for (const list of [...lazyLists]) list.all();
});
document
  .getElementById("skip")
  .addEventListener("click", () => document.getElementById("main").focus());
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName))
    return;
  const target =
    e.key === "/"
      ? document.getElementById("search")
      : e.key === "n"
        ? document.querySelector(".steps [rel=next]")
        : e.key === "p"
          ? document.querySelector(".steps [rel=prev]")
          : null;
  if (!target) return;
  e.preventDefault();
  if (e.key === "/") target.focus();
  else target.click();
});

drawTop();
draw(false);

// SPDX-License-Identifier: MIT
//
// Making elements and reading the address.
//
// Everything that is shown becomes a text node here; there is no other way in, so nothing that a peer
// said can turn into markup. The address keeps the whole state of a view behind its "#", as
// #/VIEW/ARGUMENT?name=value, so that every view can be linked to and the Back button works.

// el("a", {href: "#/"}, "text", other, [more]) makes an element; children that are null are left out.
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, v] of Object.entries(attributes || {})) {
    if (v === null || v === undefined || v === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), v);
    else node.setAttribute(name, v === true ? "" : String(v));
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(node, child);
    else node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

function refill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

// Text of SPEC.md: `code` and [ID-001] are shown as what they are. Where the whole is a link or a button
// already, ids are left as text.
function rich(text, linked = true) {
  const out = [];
  for (const part of String(text || "").split(/(`[^`]+`|\[[A-Z]+-\d{3}\])/)) {
    if (part.startsWith("`")) out.push(el("code", {}, part.slice(1, -1)));
    else if (linked && /^\[[A-Z]+-\d{3}\]$/.test(part))
      out.push(el("a", {href: link("requirement", part.slice(1, -1))}, part.slice(1, -1)));
    else if (part) out.push(part);
  }
  return out;
}

// A long id may break after its dots.
function breakable(id) {
  return id.split(/(?<=\.)/).flatMap((part, i) => (i ? [el("wbr", {}), part] : [part]));
}

// Addresses.

function link(view, argument, filter) {
  let hash = "#/" + view;
  if (argument) hash += "/" + encodeURIComponent(argument);
  const query = new URLSearchParams();
  for (const [name, v] of Object.entries(filter || {})) if (v) query.set(name, v);
  const text = query.toString();
  return text ? hash + "?" + text : hash;
}

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, argument] = path.split("/");
  let decoded = "";
  try {
    decoded = decodeURIComponent(argument || "");
  } catch {
    decoded = argument;
  }
  return {
    view: view || "summary",
    argument: decoded,
    filter: Object.fromEntries(new URLSearchParams(query || "")),
  };
}

// Puts the filter into the address without a new entry in the history.
function keep(view, argument, filter) {
  history.replaceState(null, "", link(view, argument, filter));
}

// A list that grows as it is looked at: a thousand rows cost no more than the hundred that are seen.
// make(item) gives the element of one. Without `eager` it grows only when its button is pressed.
const lazyLists = new Set();
function lazy(parent, items, make, step = 100, eager = true) {
  let shown = 0;
  const more = el("button", {class: "more", type: "button", onclick: () => grow(step)});
  const watcher = new IntersectionObserver(
    (entries) => {
      if (entries.some((e) => e.isIntersecting)) grow(step);
    },
    {rootMargin: "600px"},
  );
  const list = {parent, all: () => grow(items.length)};
  function grow(n) {
    const until = Math.min(items.length, shown + n);
    const block = document.createDocumentFragment();
    for (; shown < until; shown++) block.append(make(items[shown], shown));
    more.before(block);
    if (shown >= items.length) {
      watcher.disconnect();
      more.remove();
      lazyLists.delete(list);
    } else {
      more.textContent = `${items.length - shown} more`;
    }
  }
  parent.append(more);
  grow(step);
  if (shown < items.length) {
    if (eager) watcher.observe(more);
    lazyLists.add(list);
  }
  return parent;
}

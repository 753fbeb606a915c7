// The page's own part: what is asked, the address, and what moves without the server. Gradio gives `element`,
// `props`, `trigger`. Started again when gradio draws the element anew.
const page = window.qe ?? (window.qe = { number: 0, shown: 1, asked: null, drafts: {}, tab: "search" });
page.trigger = trigger;
page.props = props;
page.element = element;

// Ask for a comparison; what is not said stays as it was last asked.
page.ask = (change, kept) => {
  const before = { query: "", systems: page.props.systems, by: page.props.by, own: false, ...page.asked };
  const asked = { ...before, words: {}, live: false, cancelled: false };
  page.asked = { ...asked, ...change, number: ++page.number };
  page.drafts = {};
  page.write(kept);
  page.trigger("submit", page.asked);
};

// What the address says, and the address of what is shown.
page.read = () => {
  const said = new URLSearchParams(location.search);
  const words = {};
  for (const [name, value] of said) if (name.startsWith("w.")) words[name.slice(2)] = value;
  const systems = said.get("systems")?.split(",").filter(Boolean);
  return { query: said.get("q") ?? "", systems, by: said.get("by"), own: said.has("own"), words, tab: said.get("tab") };
};
page.write = (kept) => {
  const said = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) if (name.startsWith("__")) said.set(name, value);
  if (page.asked?.query) {
    said.set("q", page.asked.query);
    said.set("systems", page.asked.systems.join(","));
    if (page.asked.by !== page.props.by) said.set("by", page.asked.by);
    for (const [name, text] of Object.entries(page.asked.words)) said.set(`w.${name}`, text);
  }
  if (page.asked?.own) said.set("own", "1");
  if (page.tab !== "search") said.set("tab", page.tab);
  const address = `${location.pathname}?${said}`;
  if (address === location.pathname + location.search) return;
  history[kept ? "replaceState" : "pushState"](null, "", address);
};

// Show what the address says, else the example to open with. Returns what gradio's own parts are to show.
page.start = () => {
  const said = page.read();
  page.tab = said.tab ?? "search";
  const { own, words } = said;
  const query = said.query || (own ? "" : page.props.opening);
  const systems = said.systems ?? page.props.systems;
  const by = said.by ?? page.props.by;
  page.asked = null;
  page.started = true;
  if (query || own) page.ask({ query, systems, by, own, words }, true);
  document.querySelector(`[role="tab"][data-tab-id="${CSS.escape(page.tab)}"]:not([aria-selected="true"])`)?.click();
  return [query, systems, by, own ? "own" : "here"];
};
// Gradio says which tab is open before the address was read, too.
page.open = (tab) => {
  if (!page.started) return;
  page.tab = tab;
  page.write();
};
// Ask for something else than what gradio's own parts show: they are told by way of the address.
page.search = (query, own = false) => {
  page.asked = { systems: page.props.systems, by: page.props.by, ...page.asked, query, own, words: {} };
  page.tab = "search";
  page.write();
  page.trigger("undo");
};

const copy = async (button, text) => {
  await navigator.clipboard.writeText(text);
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 1500);
};
const words = (system) => [...page.element.querySelectorAll(".qe-words")].find((box) => box.dataset.system === system);

page.deeds = {
  live: () => page.ask({ live: true, words: page.asked.words }, true),
  cancel: () => page.ask({ cancelled: true, words: page.asked.words }, true),
  reset: (button) => {
    const { [button.dataset.system]: _, ...left } = page.asked.words;
    page.ask({ words: left });
  },
  link: (button) => copy(button, location.href),
  lucene: (button) => copy(button, button.dataset.text),
  curl: (button) => {
    const call = `${location.origin}${location.pathname}gradio_api/call/search`;
    const data = JSON.stringify({ data: [page.asked.query] }).replaceAll("'", "'\\''");
    const post = `curl -s ${call} -H 'Content-Type: application/json' -d '${data}'`;
    return copy(button, `curl -sN ${call}/$(${post} | sed 's/.*: *"//; s/".*//')`);
  },
  copy: (button) => copy(button, words(button.dataset.system).value),
  ask: (button) => page.search(button.dataset.query),
  own: () => page.search("", true),
  vote: (button) => {
    page.trigger("like", { ...page.asked, system: button.dataset.system, vote: button.dataset.vote });
    button.parentElement.textContent = "Thank you.";
  },
  random: () => page.search(page.props.queries[Math.floor(Math.random() * page.props.queries.length)]),
};

// On a phone one column is shown at a time, and the place on the page is kept.
page.show = () => {
  const sides = page.element.querySelectorAll(".qe-side");
  const shown = Math.min(page.shown, sides.length - 1);
  sides.forEach((side, number) => side.classList.toggle("qe-shown", number === shown));
  page.element.querySelectorAll("[data-show]").forEach((button) => {
    button.setAttribute("aria-pressed", String(Number(button.dataset.show) === shown));
  });
};

// A late answer to an older request is never shown; what somebody types meanwhile is kept.
page.drawn = () => {
  const root = page.element.querySelector(".qe");
  if (!root) return;
  root.hidden = Number(root.dataset.number) < page.number;
  // Nobody else has this visitor's documents.
  root.querySelectorAll('[data-do="link"], [data-do="curl"]').forEach((button) => (button.hidden = page.asked?.own));
  page.show();
  for (const [system, text] of Object.entries(page.drafts)) if (words(system)) words(system).value = text;
  if (page.focused && words(page.focused)) words(page.focused).focus();
};
new MutationObserver(page.drawn).observe(element, { childList: true, subtree: true });

if (!page.listens) {
  page.listens = true;
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-do], [data-show]");
    if (!button) return;
    if (button.dataset.do) return page.deeds[button.dataset.do]?.(button);
    page.shown = Number(button.dataset.show);
    page.show();
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches?.(".qe-words")) page.drafts[event.target.dataset.system] = event.target.value;
  });
  document.addEventListener("focusin", (event) => {
    page.focused = event.target.matches?.(".qe-words") ? event.target.dataset.system : null;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.(".qe-words")) return;
    event.preventDefault();
    const { system } = event.target.dataset;
    page.ask({ words: { ...page.asked.words, [system]: event.target.value.trim() } });
  });
  window.addEventListener("popstate", () => page.trigger("undo"));
}

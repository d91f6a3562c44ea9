// The frame: which page is shown, the address, the keyboard, the theme, the key.

import { forgetKey, hasKey, takeKey, theSession } from "./api.js";
import { failure, h } from "./dom.js";

const PAGES = {
  search: { title: "Search", load: () => import("./search.js") },
  map: { title: "Map", load: () => import("./map.js") },
  index: { title: "Index", load: () => import("./repositories.js") },
  memory: { title: "Memory", load: () => import("./memory.js") },
  status: { title: "Status", load: () => import("./status.js") },
};
const KEYS = [
  ["/", "go to the search field"],
  ["j  k", "next, previous result"],
  ["Enter", "show all of a result, or less"],
  ["c", "copy where the result is"],
  ["n", "write a note, on the page of notes"],
  ["a", "say that this result is the right one, where that is kept"],
  ["1 – 5", "go to a page"],
  ["t", "light, dark, or as the system"],
  ["Esc", "leave a field"],
  ["?", "this help"],
];
const THEMES = { system: ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

const main = document.getElementById("main");
let shown = null; // {name, page}

/** {page, params} of the address: #/search?q=... */
function route() {
  const [, name, query] = /^#\/?([^?]*)\??(.*)$/s.exec(location.hash || "#/search");
  return { name: Object.hasOwn(PAGES, name) ? name : "search", params: new URLSearchParams(query) };
}

async function show() {
  if (location.hash === "#main") return; // the link that skips the bar
  const { name, params } = route();
  if (shown?.name === name) {
    shown.page?.update?.(params);
    return;
  }
  shown?.page?.leave?.();
  const mine = (shown = { name, page: null });
  document.title = `${PAGES[name].title} · MnemoLite`;
  for (const link of document.querySelectorAll("#pages a"))
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  const place = h("div", { class: `page-${name}` }); // of this page alone: one that is late writes nowhere else
  main.replaceChildren(place);
  try {
    const [module] = await Promise.all([PAGES[name].load(), theSession()]);
    if (shown !== mine) return;
    mine.page = await module.open(place, params);
    const now = route(); // the address may have changed meanwhile
    if (shown !== mine) mine.page.leave?.();
    else if (now.params.toString() !== params.toString()) mine.page.update?.(now.params);
  } catch (error) {
    place.replaceChildren(failure(error));
  }
}

function buildFrame() {
  document
    .getElementById("pages")
    .append(
      ...Object.entries(PAGES).map(([name, { title }]) => h("a", { href: `#/${name}`, "data-page": name }, title)),
    );
  const key = document.getElementById("key-button");
  key.hidden = !hasKey();
  key.title = "Forget the API key of this tab";
  key.addEventListener("click", forgetKey);
  document.getElementById("help-button").addEventListener("click", help);
  document.getElementById("theme").addEventListener("click", nextTheme);
  setTheme(localStorage.getItem("mnemolite.theme") ?? "system");
}

function setTheme(theme) {
  const [sign, text] = THEMES[theme] ?? THEMES.system;
  const button = document.getElementById("theme");
  button.textContent = sign;
  button.setAttribute("aria-label", `Theme: ${text}`);
  button.title = `Theme: ${text} (t)`;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem("mnemolite.theme", theme);
  window.dispatchEvent(new Event("themechange"));
}

function nextTheme() {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(localStorage.getItem("mnemolite.theme")) + 1) % names.length]);
}

function help() {
  const dialog = document.getElementById("help");
  dialog.replaceChildren(
    h("h2", { id: "help-title" }, "Keyboard"),
    h(
      "dl",
      { class: "keys" },
      KEYS.map(([keys, does]) => [
        h(
          "dt",
          {},
          keys.split("  ").map((each) => h("kbd", {}, each)),
        ),
        h("dd", {}, does),
      ]),
    ),
    h("form", { method: "dialog", class: "row end" }, h("button", { class: "primary" }, "Close")),
  );
  dialog.showModal();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing) return;
  const names = Object.keys(PAGES);
  if (event.key === "?") help();
  else if (event.key === "t") nextTheme();
  else if (/^[1-9]$/.test(event.key) && names[event.key - 1]) location.hash = `#/${names[event.key - 1]}`;
  else if (event.key === "/" && !main.querySelector("[data-slash]")) location.hash = "#/search";
  else if (event.key === "/") main.querySelector("[data-slash]").focus();
  else if (!shown?.page?.key?.(event)) return;
  event.preventDefault();
}

takeKey();
buildFrame();
window.addEventListener("hashchange", show);
document.addEventListener("keydown", onKey);
show();

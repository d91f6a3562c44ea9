// Elements. What was stored or typed becomes text nodes and attribute values; nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";
const said = document.getElementById("said");

/** `h("a", {class: "x", href: "#/search", onclick: f, style: {"--share": 1}}, "text", element, null)` */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === "value") element.value = value;
    else if (name === "href" && !/^(#|\/(?!\/))/.test(value)) throw new Error(`a link leads out of here: ${value}`);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Has a screen reader say it, once. */
export function say(text) {
  said.textContent = "";
  requestAnimationFrame(() => (said.textContent = text));
}

export function failure(error) {
  return h("p", { class: "failure", role: "alert" }, error.message);
}

export function empty(title, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), ...more);
}

/** A label around its control. */
export function field(label, control, note = null) {
  return h("label", { class: "field" }, h("span", {}, label), control, note && h("small", {}, note));
}

export function select(options, chosen, attributes = {}) {
  const chosenNow = String(chosen ?? "");
  const list = options.map((option) => (Array.isArray(option) ? option : [option, option]));
  if (!list.some(([value]) => String(value) === chosenNow)) list.push([chosenNow, chosenNow]);
  return h(
    "select",
    attributes,
    list.map(([value, text]) => h("option", { value: String(value), selected: String(value) === chosenNow }, text)),
  );
}

export function badge(text, kind = "") {
  return h("span", { class: `badge ${kind}` }, text);
}

export const number = (value) => Number(value).toLocaleString("en");

/** "1 file", "2 files" */
export const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

export function megabytes(value) {
  return value >= 1024 ? `${(value / 1024).toFixed(1)} GB` : `${value >= 10 ? Math.round(value) : value.toFixed(1)} MB`;
}

export function ago(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  for (const [unit, size] of [
    ["year", 31557600],
    ["month", 2629800],
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
  ])
    if (seconds >= size) return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / size), unit);
  return "just now";
}

/** Calls *work* once nobody has asked for it for a while. */
export function debounced(work, milliseconds) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

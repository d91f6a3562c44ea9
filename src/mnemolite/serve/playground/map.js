// The embedding map: a query, what it finds and what lies around it, in the plane where the corpus differs most.

import { get, post, theSession } from "./api.js";
import { badge, debounced, empty, failure, h, number, say, select } from "./dom.js";
import { codeLines, marker } from "./highlight.js";
import { place } from "./hits.js";
import { Scatter, drawStrip, whenLooksChange } from "./plot.js";

const DEFAULTS = { q: "", at: "", repo: "", colour: "chunk_type", view: "all" };
const COLOURS = 7; // groups that have one of their own; the rest is grey
const GROUPS = [
  ["chunk_type", "Kind"],
  ["language", "Language"],
  ["folder", "Folder"],
  ["repository", "Repository"],
];

export async function open(main, params) {
  const session = await theSession();
  const { repositories } = await get("/v1/code/index/repositories");
  const page = new MapPage(main, session, repositories);
  page.update(params);
  return page;
}

class MapPage {
  constructor(main, session, repositories) {
    this.state = { ...DEFAULTS };
    this.soon = debounced(() => this.changed(), 250);
    this.build(main, session, repositories);
    this.scatter = new Scatter(this.canvas, {
      onpoint: (point, x, y) => this.hover(point, x, y),
      onpick: (point) => this.choose(point),
    });
    this.leaveStrip = whenLooksChange(this.strip, () => this.embedding && drawStrip(this.strip, this.embedding));
  }

  build(main, session, repositories) {
    const pick = (name, label, options) =>
      h(
        "label",
        { class: "pick" },
        h("span", {}, label),
        select(options, "", { name, onchange: () => this.changed() }),
      );
    this.input = h("input", {
      type: "search",
      name: "q",
      "data-slash": true,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "A question or a name, shown where its meaning is",
      "aria-label": "Query to show on the map",
      oninput: () => this.soon(),
    });
    const names = repositories.map((each) => each.repository);
    this.form = h(
      "form",
      { class: "ask", role: "search", onsubmit: (event) => event.preventDefault() },
      h(
        "div",
        { class: "ask-field" },
        h("span", { class: "glass", "aria-hidden": "true" }),
        this.input,
        h("kbd", { "aria-hidden": "true" }, "/"),
      ),
      h(
        "div",
        { class: "row filters" },
        !session.tree && pick("repo", "Repository", [["", "All"], ...names]),
        pick("colour", "Colour", GROUPS),
        pick("view", "Show", [
          ["all", "Everything"],
          ["near", "Around the query"],
        ]),
      ),
    );
    this.canvas = h("canvas", { class: "scatter", role: "img" });
    this.tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.strip = h("canvas", { class: "strip", role: "img" });
    this.stripValue = h("span", { class: "soft" });
    this.strip.addEventListener("pointermove", (event) => this.component(event.offsetX / this.strip.clientWidth));
    this.stripBox = h(
      "figure",
      { class: "strip-box card", hidden: true },
      h("figcaption", {}, h("b", {}, "The embedding "), this.stripValue),
      this.strip,
    );
    this.legend = h("ul", { class: "legend", "aria-label": "Colours" });
    this.about = h("p", { class: "summary" });
    this.list = h("ol", { class: "near", "aria-label": "Results and neighbours" });
    this.detail = h("section", { class: "card detail", "aria-label": "The chosen chunk", tabindex: "-1" });
    main.append(
      h("h1", { class: "unseen" }, "Embedding map"),
      this.form,
      this.about,
      h(
        "div",
        { class: "atlas" },
        h("div", { class: "card plot" }, this.canvas, this.tip, this.legend),
        h("div", { class: "side" }, this.detail, this.list),
      ),
      this.stripBox,
    );
    this.invite();
  }

  invite() {
    this.detail.replaceChildren(
      h("p", { class: "soft" }, "Choose a point to read its code. Points that lie near mean about the same."),
    );
  }

  update(params) {
    const before = JSON.stringify([this.state.q, this.state.at, this.state.repo]);
    this.state = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, params.get(name) ?? DEFAULTS[name]]));
    for (const [name, value] of Object.entries(this.state)) {
      const control = this.form.elements[name];
      if (control && control !== document.activeElement) control.value = value;
    }
    if (!this.map || before !== JSON.stringify([this.state.q, this.state.at, this.state.repo])) this.run();
    else this.draw();
  }

  changed() {
    const given = Object.keys(DEFAULTS).map((name) => [name, this.form.elements[name]?.value ?? this.state[name]]);
    const state = Object.fromEntries(given);
    if (state.q) state.at = "";
    const told = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
    history.replaceState(null, "", `#/map?${new URLSearchParams(told)}`);
    this.update(new URLSearchParams(told));
  }

  async run() {
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    const { q, at, repo } = this.state;
    const body = {
      ...(q.trim() && { query: q }),
      ...(at && !q.trim() && { chunk_id: at }),
      ...(repo && { repository: repo }),
    };
    try {
      this.map = await post("/v1/code/map", body, signal);
    } catch (error) {
      if (error.name !== "AbortError") this.about.replaceChildren(failure(error));
      return;
    }
    this.scatter.chosen = null;
    this.invite();
    this.draw();
    this.tell();
    const asked = this.map.points.find((point) => point.role === "asked");
    if (asked) this.choose(asked);
  }

  draw() {
    const { points, query } = this.map;
    const groups = this.groups(points);
    for (const point of points) point.colour = groups.get(this.group(point)) ?? "c0";
    const near = points.filter((point) => point.role !== "sample");
    const view = this.state.view === "near" && near.length ? near : points;
    this.scatter.show(points, query, view);
    this.legend.replaceChildren(
      ...[...groups].map(([name, colour]) => h("li", { class: colour }, name || "without")),
      groups.size === COLOURS ? h("li", { class: "c0" }, "others") : "",
    );
  }

  group(point) {
    return this.state.colour === "folder"
      ? point.file_path.split("/").slice(0, -1).slice(0, 2).join("/")
      : point[this.state.colour];
  }

  /** The commonest, each with the name of its colour. */
  groups(points) {
    const counts = new Map();
    for (const point of points) counts.set(this.group(point), (counts.get(this.group(point)) ?? 0) + 1);
    const commonest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, COLOURS);
    return new Map(commonest.map(([name], i) => [name, `c${i + 1}`]));
  }

  tell() {
    const { points, variance, sample_size, chunk_count, model, dimension, embedding, degraded } = this.map;
    const [x, y] = variance.map((share) => (100 * share).toFixed(1));
    const both = (100 * (variance[0] + variance[1])).toFixed(1);
    const text = `${number(sample_size)} of ${number(chunk_count)} chunks`;
    this.about.replaceChildren(
      ...[
        h("b", {}, text),
        h(
          "span",
          { class: "variance" },
          `these two axes keep ${both} % of all variance (${x} % + ${y} %) of ${dimension} dimensions`,
        ),
        model,
        ...degraded.map((each) => h("span", { class: "degraded" }, each)),
      ].map((part) => h("span", {}, part)),
    );
    if (!points.length)
      this.detail.replaceChildren(empty("Nothing to show yet", h("p", {}, "Index a repository first.")));
    const near = points.filter((point) => point.role !== "sample").reverse();
    const results = near.filter((point) => point.role === "result").sort((a, b) => a.rank - b.rank);
    const others = near.filter((point) => point.role === "neighbour").sort((a, b) => b.similarity - a.similarity);
    this.list.replaceChildren(...results.concat(others).map((point) => this.entry(point)));
    this.canvas.setAttribute(
      "aria-label",
      `Map of ${text}: ${results.length} results and ${others.length} neighbours, which the list beside it names`,
    );
    this.embedding = embedding;
    this.stripBox.hidden = !embedding;
    if (embedding) {
      drawStrip(this.strip, embedding);
      const largest = embedding.map(Math.abs).indexOf(Math.max(...embedding.map(Math.abs)));
      this.strip.setAttribute("aria-label", `${dimension} components; the largest is number ${largest}`);
      this.component(null);
    }
    say(`${text}, ${results.length} results, ${others.length} neighbours`);
  }

  entry(point) {
    const mark = point.rank === null ? "·" : String(point.rank);
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: `near-${point.role}`, onclick: () => this.choose(point) },
        h("span", { class: "rank" }, mark),
        h("span", { class: "near-name" }, point.name || point.file_path.split("/").at(-1)),
        h("span", { class: "near-path" }, point.file_path),
        h("span", { class: "near-value" }, point.similarity?.toFixed(2) ?? ""),
      ),
    );
  }

  component(share) {
    const { length } = this.embedding;
    const i = Math.min(length - 1, Math.max(0, Math.floor(share * length)));
    const text =
      share === null ? `${length} components, negative to positive` : `${i}: ${this.embedding[i].toFixed(4)}`;
    this.stripValue.textContent = text;
  }

  hover(point, x, y) {
    this.tip.hidden = !point;
    if (!point) return;
    this.tip.replaceChildren(
      h("b", {}, point.name || "—"),
      h("span", {}, `${point.file_path}:${point.first_line}`),
      point.similarity !== null && h("span", { class: "soft" }, `cosine ${point.similarity.toFixed(3)}`),
    );
    const right = x > this.canvas.clientWidth / 2;
    this.tip.style.setProperty("left", right ? "auto" : `${x + 16}px`);
    this.tip.style.setProperty("right", right ? `${this.canvas.clientWidth - x + 16}px` : "auto");
    this.tip.style.setProperty("top", `${y + 12}px`);
  }

  async choose(point) {
    this.scatter.choose(point);
    try {
      const chunk = await get(`/v1/code/chunks/${point.chunk_id}`);
      if (this.scatter.chosen !== point) return;
      const lines = codeLines(chunk.source_code, chunk.language, chunk.first_line, marker(this.state.q));
      this.detail.replaceChildren(
        h("h2", {}, place(chunk)),
        h(
          "p",
          { class: "about" },
          chunk.name_path && h("code", { class: "symbol" }, chunk.name_path),
          badge(chunk.chunk_type),
          point.similarity !== null && badge(`cosine ${point.similarity.toFixed(3)}`, "plain"),
        ),
        h("pre", { class: "code", tabindex: "0", role: "region", "aria-label": `Code of ${chunk.file_path}` }, lines),
        h("p", {}, h("a", { class: "link", href: `#/map?at=${point.chunk_id}` }, "What lies around it")),
      );
      say(`${chunk.name_path || chunk.file_path}, lines ${chunk.first_line} to ${chunk.last_line}`);
    } catch (error) {
      this.detail.replaceChildren(failure(error));
    }
  }

  key(event) {
    const entries = [...this.list.querySelectorAll("button")];
    const at = entries.indexOf(document.activeElement);
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (!step || !entries.length || (event.key.length > 1 && at < 0)) return false;
    entries[Math.max(0, Math.min(entries.length - 1, at + step))].focus();
    return true;
  }

  leave() {
    this.asking?.abort();
    this.scatter.leave();
    this.leaveStrip();
  }
}

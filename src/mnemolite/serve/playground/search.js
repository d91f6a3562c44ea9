// Search: a question, switches, and cards that say why each is there. The address holds all of it.

import { get, post, theSession } from "./api.js";
import { counted, debounced, empty, failure, h, number, say, select } from "./dom.js";
import { hitCard, noteCard } from "./hits.js";
import { marker } from "./highlight.js";

const DEFAULTS = {
  q: "",
  lexical: "1",
  vector: "1",
  expand: "1",
  rerank: "0",
  in: "both",
  repo: "",
  lang: "",
  path: "",
  limit: "10",
};
const SWITCHES = [
  ["lexical", "Words", "By words: BM25 over split identifiers, and by names"],
  ["vector", "Meaning", "By meaning: the nearest vectors"],
  ["expand", "Synonyms", "Also look for synonyms and acronyms of the words"],
  ["rerank", "Rerank", "Have the first hits read again by the configured reranker"],
];
const AT_ONCE = 40; // cards made in one frame
const NOTES_BESIDE = 3;
const EXAMPLES = ["where is a payment retried?", "parse command line options", "cache that forgets the oldest entry"];

export async function open(main, params) {
  const session = await theSession();
  const { repositories } = await get("/v1/code/index/repositories");
  const page = new SearchPage(main, session, repositories);
  page.update(params);
  if (matchMedia("(hover: hover)").matches) page.input.focus();
  return page;
}

class SearchPage {
  constructor(main, session, repositories) {
    this.session = session;
    this.repositories = repositories;
    this.state = { ...DEFAULTS };
    this.soon = debounced(() => this.changed(), 180);
    this.build(main);
    this.near = new IntersectionObserver(
      (seen) =>
        seen.forEach(({ isIntersecting, target }) => {
          if (!isIntersecting) return;
          target.draw();
          this.near.unobserve(target);
        }),
      { rootMargin: "800px 0px" },
    );
  }

  build(main) {
    this.input = h("input", {
      type: "search",
      name: "q",
      "data-slash": true,
      autocomplete: "off",
      spellcheck: "false",
      enterkeyhint: "search",
      placeholder: "What are you looking for?",
      "aria-label": "Search for",
      oninput: () => this.soon(),
    });
    this.form = h(
      "form",
      { class: "ask", role: "search", onsubmit: (event) => this.submitted(event) },
      h(
        "div",
        { class: "ask-field" },
        h("span", { class: "glass", "aria-hidden": "true" }),
        this.input,
        h("kbd", { "aria-hidden": "true" }, "/"),
      ),
      this.switches(),
      h("button", { hidden: true }, "Search"), // for Enter in a field
    );
    this.summary = h("p", { class: "summary" });
    this.remarks = h("div", { class: "remarks" });
    this.notes = h("section", { class: "beside", "aria-label": "Notes", hidden: true });
    this.list = h("section", { class: "hits", "aria-label": "Results" });
    main.append(h("h1", { class: "unseen" }, "Search"), this.form, this.summary, this.remarks, this.notes, this.list);
  }

  switches() {
    this.narrowed = h("summary", {}, "Filters"); // on a phone they are folded
    const toggle = ([name, label, title]) => {
      const off = name === "rerank" && !this.session.reranker;
      return h(
        "label",
        { class: `switch ${off ? "off" : ""}`, title: off ? "No reranker is configured: set reranker" : title },
        h("input", { type: "checkbox", name, disabled: off, onchange: () => this.changed(true) }),
        h("span", {}, label),
      );
    };
    const where = ["both", "code", "notes"].map((value) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name: "in", value, onchange: () => this.changed(true) }),
        h("span", {}, value === "both" ? "Code & notes" : value === "code" ? "Code" : "Notes"),
      ),
    );
    const pick = (name, label, options) =>
      h(
        "label",
        { class: "pick" },
        h("span", {}, label),
        select(options, "", { name, onchange: () => this.changed(true) }),
      );
    return h(
      "div",
      { class: "switches" },
      h("fieldset", { class: "row" }, h("legend", { class: "unseen" }, "How"), SWITCHES.map(toggle)),
      h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, "Where"), where),
      h(
        "details",
        { class: "narrow", open: matchMedia("(min-width: 46rem)").matches },
        this.narrowed,
        h(
          "div",
          { class: "row filters" },
          !this.session.tree &&
            pick("repo", "Repository", [["", "All"], ...this.repositories.map((each) => each.repository)]),
          pick("lang", "Language", [["", "Any"], ...this.session.languages]),
          h(
            "label",
            { class: "pick" },
            h("span", {}, "Path"),
            h("input", { name: "path", placeholder: "src/**", spellcheck: "false", oninput: () => this.soon() }),
          ),
          pick("limit", "Results", ["10", "25", "50", "100", "250", "1000"]),
        ),
      ),
    );
  }

  /** From the address. */
  update(params) {
    const given = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, params.get(name) ?? DEFAULTS[name]]));
    const same = JSON.stringify(given) === JSON.stringify(this.state);
    this.state = given;
    for (const [name, value] of Object.entries(given)) {
      const control = this.form.elements[name];
      if (!control) continue;
      if (control.type === "checkbox") control.checked = value === "1";
      else if (control.tagName === "SELECT" && ![...control.options].some((option) => option.value === value))
        control.append(h("option", { value, selected: true }, value));
      else if (control !== document.activeElement || control.value !== value) control.value = value;
    }
    if (!same || !this.list.childElementCount) this.running = this.run();
  }

  async submitted(event) {
    event.preventDefault();
    this.changed(true);
    await this.running;
    document.querySelector(".hit")?.focus();
  }

  /** From the controls; *kept* makes it a step that Back returns from. */
  changed(kept = false) {
    const elements = this.form.elements;
    const state = Object.fromEntries(
      Object.keys(DEFAULTS).map((name) => {
        const control = elements[name];
        if (!control) return [name, this.state[name]];
        return [name, control.type === "checkbox" ? String(Number(control.checked)) : control.value];
      }),
    );
    if (JSON.stringify(state) === JSON.stringify(this.state)) return;
    this.state = state;
    const told = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
    const address = `#/search?${new URLSearchParams(told)}`;
    if (kept) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    this.running = this.run();
  }

  async run() {
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    const { state } = this;
    if (!state.q.trim()) return this.welcome();
    this.list.setAttribute("aria-busy", "true");
    const filters = [state.repo, state.lang, state.path].filter(Boolean);
    this.narrowed.textContent = filters.length ? `Filters: ${filters.join(", ")}` : "Filters";
    const ofCode = state.in === "code" || (state.in === "both" && (state.lang || state.path));
    try {
      const [code, notes] = await Promise.all([
        state.in === "notes" ? null : post("/v1/code/search/hybrid", this.codeQuery(), signal),
        ofCode ? null : post("/v1/notes/search", this.noteQuery(), signal),
      ]);
      this.show(code, notes);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.clear();
      this.list.replaceChildren(failure(error));
    }
    this.list.removeAttribute("aria-busy");
  }

  codeQuery() {
    const { q, lexical, vector, expand, rerank, repo, lang, path, limit } = this.state;
    const filters = { ...(lang && { language: lang }), ...(path && { file_path: path }) };
    return {
      query: q,
      limit: Number(limit) || 10,
      enable_lexical: lexical === "1",
      enable_vector: vector === "1",
      enable_llm_reranking: rerank === "1",
      ...(expand === "0" && { expand: false }),
      ...(repo && { repository: repo }),
      ...(Object.keys(filters).length && { filters }),
    };
  }

  noteQuery() {
    const { q, repo, limit, in: where } = this.state;
    const most = where === "notes" ? Math.min(100, Number(limit) || 10) : NOTES_BESIDE;
    return { query: q, limit: most, ...(repo && { project: repo }), ...(where === "both" && { min_score: 0.4 }) };
  }

  clear() {
    this.near.disconnect();
    this.summary.replaceChildren();
    this.remarks.replaceChildren();
    this.notes.replaceChildren();
    this.notes.hidden = true;
    this.list.replaceChildren();
  }

  welcome() {
    this.clear();
    const held = this.repositories.reduce((sum, each) => sum + each.chunk_count, 0);
    if (!held) {
      this.list.append(
        empty(
          "Nothing is indexed yet",
          h("p", {}, h("a", { href: "#/index" }, "Index a repository"), ", and ask it something."),
        ),
      );
      return;
    }
    const files = this.repositories.reduce((sum, each) => sum + each.file_count, 0);
    this.list.append(
      empty(
        "Ask in words, or give a name",
        h(
          "p",
          {},
          `${number(held)} chunks of ${number(files)} files are here, found by what they say and by what they mean.`,
        ),
        h(
          "p",
          { class: "examples" },
          EXAMPLES.map((text) => h("a", { class: "chip", href: `#/search?${new URLSearchParams({ q: text })}` }, text)),
        ),
      ),
    );
  }

  show(code, notes) {
    this.clear();
    const hits = code?.results ?? [];
    const found = notes?.results ?? [];
    const degraded = [...new Set([...(code?.degraded ?? []), ...(notes?.degraded ?? [])])];
    this.remarks.append(...degraded.map((text) => h("p", { class: "degraded" }, h("b", {}, "Without: "), text)));
    const relevant = (code?.relevant ?? false) || (notes?.relevant ?? false);
    if ((hits.length || found.length) && !relevant)
      this.remarks.append(h("p", { class: "degraded" }, "Nothing here seems to be about that; these come nearest."));
    this.summarise(code, hits, found, degraded);
    if (!hits.length && !found.length) {
      this.list.append(empty("Nothing was found", h("p", {}, "Try other words, or fewer filters.")));
      return;
    }
    const mark = marker(this.state.q);
    const most = Math.max(1e-9, ...hits.flatMap((hit) => [hit.contribution.lexical, hit.contribution.vector]));
    const aside = this.state.in === "both" ? this.notes : this.list;
    aside.append(...found.map(noteCard));
    this.notes.hidden = aside !== this.notes || !found.length;
    const { q } = this.state;
    const shown = hits.map((hit) => hit.chunk_id);
    const accept = this.session.feedback && ((hit) => post("/v1/feedback", { query: q, shown, chosen: hit.chunk_id }));
    this.append(hits, { most, mark, tree: this.session.tree, accept }, this.asking);
  }

  /** Cards in slices, so that a thousand of them never keep the page from answering. */
  append(hits, options, asking) {
    if (asking !== this.asking) return;
    for (const hit of hits.slice(0, AT_ONCE)) {
      const card = hitCard(hit, options);
      this.list.append(card);
      this.near.observe(card);
    }
    if (hits.length > AT_ONCE) requestAnimationFrame(() => this.append(hits.slice(AT_ONCE), options, asking));
  }

  summarise(code, hits, found, degraded) {
    const parts = [];
    if (code) {
      const { lexical_count, vector_count, execution_time_ms, rerank_time_ms } = code.metadata;
      parts.push(h("b", {}, counted(hits.length, "result")));
      if (code.metadata.lexical_enabled) parts.push(`${number(lexical_count)} by words`);
      if (code.metadata.vector_enabled) parts.push(`${number(vector_count)} by meaning`);
      parts.push(`best ${code.best_score.toFixed(2)}`, `${execution_time_ms.toFixed(1)} ms`);
      if (rerank_time_ms !== null) parts.push(`reranked in ${rerank_time_ms.toFixed(0)} ms`);
    }
    if (found.length) parts.push(counted(found.length, "note"));
    if (code && !degraded.length) parts.push(h("span", { class: "fresh" }, this.session.tree ? "fresh" : "complete"));
    this.summary.replaceChildren(...parts.map((part) => h("span", {}, part)));
    const notes = found.length ? `, ${counted(found.length, "note")}` : "";
    say(`${counted(hits.length, "result")}${notes}${degraded.length ? `. Without: ${degraded.join("; ")}` : ""}`);
  }

  key(event) {
    const cards = [...document.querySelectorAll(".hit")];
    const at = cards.indexOf(document.activeElement.closest(".hit"));
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (step && cards.length && (event.key.length === 1 || at >= 0)) {
      const next = cards[Math.max(0, Math.min(cards.length - 1, at + step))];
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && event.target === cards[at]) cards[at].toggle();
    else if (event.key === "c" && at >= 0 && cards[at].copy) cards[at].copy();
    else if (event.key === "a" && at >= 0 && cards[at].accept) cards[at].accept();
    else return false;
    return true;
  }

  leave() {
    this.asking?.abort();
    this.near.disconnect();
  }
}

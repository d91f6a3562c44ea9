// A result as a card: where it is, why it is there, and its code.

import { ago, badge, failure, h, say } from "./dom.js";
import { codeLines } from "./highlight.js";

const SHORT = 9; // lines of a card that is not unfolded
const LISTS = {
  lexical: "words",
  name: "name",
  vector: "meaning",
  text: "meaning (text)",
  code: "meaning (code)",
  rerank: "reranked",
};

const FACTOR = "A factor that follows from what the chunk is";
const SIGNALS = { relevance: "The same for all: it makes the score of the best the chance that it answers" };

/** The path with what matters of it in bold. */
export function place(hit) {
  const folders = hit.file_path.split("/");
  const name = folders.pop();
  return h(
    "span",
    { class: "place" },
    h(
      "span",
      { class: "folder" },
      folders.map((name) => [`${name}/`, h("wbr")]),
    ),
    h("b", {}, name),
    h("span", { class: "lines" }, `:${hit.first_line}–${hit.last_line}`),
  );
}

export function bar(label, value, share, kind, text = value.toFixed(3)) {
  return h(
    "div",
    { class: `bar-row ${kind}` },
    h("span", { class: "bar-label" }, label),
    h(
      "span",
      { class: "bar-track" },
      h("span", { class: "bar-fill", style: { "--share": Math.min(1, Math.max(0, share)) } }),
    ),
    h("span", { class: "bar-value" }, text),
  );
}

/**
 * *most* is the largest contribution of all that are shown, so that bars can be compared between cards; *accept*, where
 * it is kept, says that this hit is the right one.
 */
export function hitCard(hit, { most, mark, tree, accept }) {
  const total = hit.source_code.split("\n").length;
  const all = `Show all ${total} lines`;
  const unfold = h("button", { type: "button", class: "link", "aria-expanded": "false", hidden: total <= SHORT }, all);
  const accepted = accept && h("button", { type: "button", class: "link", onclick: () => card.accept() }, "This is it");
  const code = h("pre", { class: "code", tabindex: "0", role: "region", "aria-label": `Code of ${hit.file_path}` });
  const card = h(
    "article",
    { class: "hit", tabindex: "-1", "aria-labelledby": `hit-${hit.chunk_id}` },
    h(
      "header",
      {},
      h("span", { class: "rank", "aria-hidden": "true" }, String(hit.rank)),
      h("h2", { id: `hit-${hit.chunk_id}` }, place(hit)),
      h("span", { class: "score", title: "Score: 0 to 1, comparable between queries" }, hit.rrf_score.toFixed(2)),
    ),
    h(
      "p",
      { class: "about" },
      hit.name_path && h("code", { class: "symbol" }, hit.name_path),
      badge(hit.chunk_type),
      badge(hit.language, "plain"),
      !tree && badge(hit.repository, "plain"),
    ),
    why(hit, most),
    code,
    h(
      "footer",
      {},
      unfold,
      copyButton(hit),
      accepted,
      h("a", { class: "link", href: `#/map?at=${hit.chunk_id}` }, "On the map"),
    ),
  );
  const offset = Math.max(0, hit.source_code.indexOf(hit.snippet));
  const from = hit.source_code.slice(0, offset).split("\n").length - 1;
  let whole = total <= SHORT;
  let drawn = false;
  const draw = () => {
    drawn = true;
    const window = whole ? undefined : [from, from + Math.min(SHORT, hit.snippet.split("\n").length)];
    code.replaceChildren(...codeLines(hit.source_code, hit.language, hit.first_line, mark, window));
    unfold.textContent = whole ? "Show less" : all;
    unfold.setAttribute("aria-expanded", String(whole));
  };
  card.draw = () => drawn || draw();
  card.toggle = () => {
    if (total <= SHORT) return;
    whole = !whole;
    draw();
  };
  card.copy = () => copy(hit);
  card.accept = async () => {
    if (!accept) return;
    accepted.disabled = true;
    try {
      await accept(hit);
      accepted.textContent = "✓ Kept";
      say("Kept: this result is the right one");
    } catch (error) {
      accepted.replaceWith(failure(error));
    }
  };
  unfold.addEventListener("click", card.toggle);
  return card;
}

function why(hit, most) {
  const ranks = Object.entries(hit.ranks).map(([list, rank]) => `${LISTS[list] ?? list} #${rank}`);
  const signals = Object.entries(hit.signals).filter(([, factor]) => Math.abs(factor - 1) > 0.004);
  return h(
    "div",
    { class: "why" },
    bar("words", hit.contribution.lexical, hit.contribution.lexical / most, "words"),
    bar("meaning", hit.contribution.vector, hit.contribution.vector / most, "meaning"),
    h(
      "p",
      { class: "signals" },
      ranks.map((text) => h("span", { class: "signal" }, text)),
      signals.map(([name, factor]) =>
        h(
          "span",
          { class: `signal ${name === "relevance" ? "" : factor > 1 ? "up" : "down"}`, title: SIGNALS[name] ?? FACTOR },
          `${name.replaceAll("_", " ")} ×${factor.toFixed(2)}`,
        ),
      ),
    ),
  );
}

function copyButton(hit) {
  return h("button", { type: "button", class: "link", onclick: () => copy(hit) }, "Copy place");
}

async function copy(hit) {
  const text = `${hit.file_path}:${hit.first_line}`;
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied ${text}`);
  } catch {
    say("This browser does not let the page copy");
  }
}

export function noteCard(found) {
  const { note } = found;
  const card = h(
    "article",
    { class: "hit note-hit", tabindex: "-1", "aria-labelledby": `note-${note.id}` },
    h(
      "header",
      {},
      h("span", { class: "rank", "aria-hidden": "true" }, "✎"),
      h("h2", { id: `note-${note.id}` }, h("a", { href: `#/memory?id=${note.id}` }, note.title)),
      h("span", { class: "score" }, found.score.toFixed(2)),
    ),
    h(
      "p",
      { class: "about" },
      badge(note.kind, "note"),
      note.status === "obsolete" && badge("obsolete", "bad"),
      note.project && badge(note.project, "plain"),
      note.tags.map((tag) => badge(`#${tag}`, "plain")),
      h("span", { class: "soft" }, `changed ${ago(note.updated_at)}`),
    ),
    note.body && h("p", { class: "prose clipped" }, note.body),
  );
  card.toggle = () => (location.hash = `#/memory?id=${note.id}`);
  return card;
}

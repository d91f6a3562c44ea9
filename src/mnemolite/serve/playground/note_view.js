// A note as it is read: its text, what it points at, what it is linked to, and how it came to be as it is.

import { get, post } from "./api.js";
import { ago, badge, failure, h, select } from "./dom.js";

const RELATIONS = {
  related: "related to",
  supersedes: "supersedes",
  derived_from: "derived from",
  contradicts: "contradicts",
};
const MOST_SIMILAR = 4;

/** *actions* are {edit, remove, restore, link}; null where the key may only read. */
export async function noteView(note, actions) {
  const others = await named([...note.links.map((link) => link.target), ...note.superseded_by]);
  const reference = (id) =>
    h("a", { href: `#/memory?id=${encodeURIComponent(id)}` }, others.get(id)?.title ?? `${id} (not here)`);
  const { situation, solution, what_failed: failed, keywords } = note.context;
  return h(
    "div",
    { class: "note-view" },
    h(
      "header",
      {},
      h("h2", {}, note.title),
      h(
        "p",
        { class: "about" },
        badge(note.kind, "note"),
        note.status === "obsolete" && badge("obsolete", "bad"),
        note.deleted_at && badge("removed", "bad"),
        badge(note.project || "all projects", "plain"),
        note.tags.map((tag) => badge(`#${tag}`, "plain")),
      ),
    ),
    note.body && h("p", { class: "prose" }, note.body),
    terms([
      ["Situation", situation],
      ["What helped", solution],
      ["What did not", failed],
      ["Also found by", keywords.join(", ")],
    ]),
    note.anchors.length > 0 && [
      h("h3", {}, "Points at"),
      h(
        "ul",
        { class: "plain" },
        note.anchors.map((anchor) => h("li", {}, anchorText(anchor))),
      ),
    ],
    (note.links.length > 0 || note.superseded_by.length > 0) && [
      h("h3", {}, "Links"),
      h(
        "ul",
        { class: "plain links" },
        note.superseded_by.map((id) => h("li", {}, badge("superseded by", "bad"), " ", reference(id))),
        note.links.map((link) =>
          h("li", {}, badge(RELATIONS[link.relation]), " ", reference(link.target), because(link.reason)),
        ),
      ),
    ],
    await similar(note),
    h("h3", {}, "History"),
    timeline(note),
    actions && (note.deleted_at ? removedTools(actions) : tools(note, actions)),
  );
}

/** The notes of *ids* that can be seen. */
async function named(ids) {
  const found = await Promise.allSettled(ids.map((id) => get(`/v1/notes/${encodeURIComponent(id)}`)));
  return new Map(found.filter((each) => each.value).map(({ value }) => [value.id, value]));
}

const because = (reason) => reason && ` — ${reason}`;

function anchorText(anchor) {
  const place = `${anchor.path}:${anchor.first_line}–${anchor.last_line}`;
  return [h("code", {}, place), anchor.name && ` ${anchor.name}`, anchor.project && ` in ${anchor.project}`];
}

function terms(pairs) {
  const told = pairs.filter(([, value]) => value);
  return (
    told.length > 0 &&
    h(
      "dl",
      { class: "terms" },
      told.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    )
  );
}

async function similar(note) {
  if (note.deleted_at) return null;
  try {
    const { results } = await get(`/v1/notes/${encodeURIComponent(note.id)}/similar?limit=${MOST_SIMILAR}`);
    if (!results.length) return null;
    const link = (each) => h("a", { href: `#/memory?id=${encodeURIComponent(each.note.id)}` }, each.note.title);
    return [
      h("h3", {}, "Near in meaning"),
      h(
        "ul",
        { class: "plain" },
        results.map((each) => h("li", {}, link(each))),
      ),
    ];
  } catch (error) {
    return failure(error);
  }
}

function timeline(note) {
  const events = [
    [note.created_at, "written"],
    note.revision > 1 && [
      note.updated_at,
      `changed, ${note.revision - 1} ${note.revision === 2 ? "time" : "times"} in all`,
    ],
    ...note.links.map((link) => link.created_at && [link.created_at, `linked: ${RELATIONS[link.relation]} another`]),
    note.review.reviewed_at && [note.review.reviewed_at, `reviewed, next in ${note.review.interval_days} days`],
    note.accessed_at && [
      note.accessed_at,
      `last shown, ${note.accesses} ${note.accesses === 1 ? "time" : "times"} in all`,
    ],
    note.deleted_at && [note.deleted_at, "removed"],
  ].filter(Boolean);
  events.sort(([a], [b]) => new Date(a) - new Date(b));
  return h(
    "ol",
    { class: "timeline" },
    events.map(([at, text]) => h("li", {}, h("time", { datetime: at, title: at }, ago(at)), ` ${text}`)),
  );
}

function removedTools(actions) {
  return h(
    "div",
    { class: "row end" },
    h("button", { type: "button", class: "primary", onclick: actions.restore }, "Bring it back"),
  );
}

function tools(note, actions) {
  const linking = h("div", {});
  return h(
    "div",
    {},
    linking,
    h(
      "div",
      { class: "row end" },
      h("button", { type: "button", class: "danger", onclick: actions.remove }, "Remove"),
      h(
        "button",
        { type: "button", onclick: async () => linking.replaceChildren(await linkForm(note, actions)) },
        "Link",
      ),
      h("button", { type: "button", class: "primary", onclick: actions.edit }, "Change"),
    ),
  );
}

async function linkForm(note, actions) {
  const near = await post("/v1/notes/search", { query: note.title, limit: 30 });
  const choices = near.results.map((each) => each.note).filter((each) => each.id !== note.id);
  const form = h(
    "form",
    { class: "row link-form", onsubmit: submitted },
    h("span", {}, "This note"),
    select(Object.entries(RELATIONS), "related", { name: "relation", "aria-label": "Relation" }),
    select(
      choices.map((each) => [each.id, each.title]),
      choices[0]?.id,
      { name: "target", "aria-label": "The other note" },
    ),
    h("input", { name: "reason", placeholder: "why?", "aria-label": "Reason" }),
    h("button", { class: "primary" }, "Link"),
  );
  async function submitted(event) {
    event.preventDefault();
    const of = (name) => form.elements[name].value;
    try {
      await actions.link({ relation: of("relation"), target: of("target"), reason: of("reason") });
    } catch (error) {
      form.append(failure(error));
    }
  }
  return form;
}

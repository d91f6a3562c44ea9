// What a note is written with.

import { failure, field, h, select } from "./dom.js";

const words = (text) =>
  text
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);

/** *save* is given the values, all of a new note, those that differ of *note*; *cancel* is called instead. */
export function noteForm(note, session, save, cancel) {
  const context = note?.context ?? { situation: "", solution: "", what_failed: "", keywords: [] };
  const input = (name, value, more = {}) => h("input", { name, value, autocomplete: "off", ...more });
  const wrong = h("div", {});
  const form = h(
    "form",
    { class: "note-form", onsubmit: submitted },
    h("h2", {}, note ? "Change the note" : "A new note"),
    field("Title", input("title", note?.title ?? "", { required: true, maxlength: "1000" })),
    h(
      "div",
      { class: "columns" },
      field("Kind", select(session.note_kinds, note?.kind ?? "reference", { name: "kind" })),
      field("Project", input("project", note?.project ?? session.projects[0] ?? "", { placeholder: "all projects" })),
      field("Confidence", select(["0", "1", "2", "3", "4", "5"], note?.confidence ?? 2, { name: "confidence" })),
      note && field("Status", select(["active", "obsolete"], note.status, { name: "status" })),
    ),
    field("Text", h("textarea", { name: "body", rows: "9", value: note?.body ?? "" })),
    field("Tags", input("tags", (note?.tags ?? []).join(", "), { placeholder: "pay, retries" })),
    h(
      "details",
      { open: Boolean(context.situation || context.solution || context.what_failed) },
      h("summary", {}, "When does it apply?"),
      field("Situation", input("situation", context.situation)),
      field("What helped", input("solution", context.solution)),
      field("What did not", input("what_failed", context.what_failed)),
      field("Also found by", input("keywords", context.keywords.join(", "))),
    ),
    wrong,
    h(
      "div",
      { class: "row end" },
      h("button", { type: "button", onclick: cancel }, "Cancel"),
      h("button", { class: "primary" }, "Save"),
    ),
  );

  function values() {
    const of = (name) => form.elements[name].value;
    const given = {
      title: of("title"),
      kind: of("kind"),
      project: of("project").trim(),
      confidence: Number(of("confidence")),
      body: of("body"),
      tags: words(of("tags")),
      context: {
        situation: of("situation"),
        solution: of("solution"),
        what_failed: of("what_failed"),
        keywords: words(of("keywords")),
      },
    };
    if (!note) return given;
    given.status = of("status");
    const changed = Object.entries(given).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(note[name]),
    );
    return Object.fromEntries(changed);
  }

  async function submitted(event) {
    event.preventDefault();
    const given = values();
    if (!Object.keys(given).length) return cancel();
    try {
      await save(given);
    } catch (error) {
      wrong.replaceChildren(failure(error));
    }
  }

  return form;
}

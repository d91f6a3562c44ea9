// The notes: read, found, written, changed, linked, removed and brought back.

import { call, get, may, post, theSession } from "./api.js";
import { ago, badge, counted, debounced, empty, failure, h, say, select } from "./dom.js";
import { noteForm } from "./note_form.js";
import { noteView } from "./note_view.js";

const DEFAULTS = { id: "", q: "", kind: "", status: "", deleted: "" };
const MOST = 200;

export async function open(main, params) {
  const page = new MemoryPage(main, await theSession(), await may("write"));
  await page.update(params);
  return page;
}

class MemoryPage {
  constructor(main, session, mayWrite) {
    this.session = session;
    this.mayWrite = mayWrite;
    this.state = { ...DEFAULTS };
    this.soon = debounced(() => this.changed(), 200);
    this.list = h("ul", { class: "notes", "aria-label": "Notes" });
    this.detail = h("section", { class: "card note", "aria-label": "The note", tabindex: "-1" });
    this.form = this.filters();
    main.append(
      h(
        "div",
        { class: "title" },
        h("h1", {}, "Memory"),
        mayWrite && h("button", { type: "button", class: "primary", onclick: () => this.add() }, "New note"),
      ),
      this.form,
      h("div", { class: "shelf" }, this.list, this.detail),
    );
  }

  filters() {
    const pick = (name, label, options) =>
      h(
        "label",
        { class: "pick" },
        h("span", {}, label),
        select(options, "", { name, onchange: () => this.changed() }),
      );
    return h(
      "form",
      { class: "ask", role: "search", onsubmit: (event) => event.preventDefault() },
      h(
        "div",
        { class: "row filters" },
        h("input", {
          class: "find",
          type: "search",
          name: "q",
          "data-slash": true,
          placeholder: "Find a note by what it means",
          "aria-label": "Find notes",
          autocomplete: "off",
          oninput: () => this.soon(),
        }),
        pick("kind", "Kind", [["", "Any"], ...this.session.note_kinds]),
        pick("status", "Status", [["", "Any"], "active", "obsolete"]),
        pick("deleted", "Shown", [
          ["", "Kept"],
          ["1", "Removed"],
        ]),
      ),
    );
  }

  async update(params) {
    const before = this.state;
    this.state = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, params.get(name) ?? DEFAULTS[name]]));
    for (const [name, value] of Object.entries(this.state)) {
      const control = this.form.elements[name];
      if (control && control !== document.activeElement) control.value = value;
    }
    if (!this.notes || ["q", "kind", "status", "deleted"].some((name) => this.state[name] !== before[name]))
      await this.find();
    if (this.state.id !== before.id || !this.detail.childElementCount) await this.show();
    this.markChosen();
  }

  changed() {
    const elements = this.form.elements;
    const state = { ...this.state };
    for (const name of Object.keys(DEFAULTS)) if (elements[name]) state[name] = elements[name].value;
    history.replaceState(null, "", this.address(state));
    return this.update(new URLSearchParams(state));
  }

  address(state) {
    const told = Object.entries(state).filter(([, value]) => value);
    return `#/memory?${new URLSearchParams(told)}`;
  }

  async find() {
    const { q, kind, status, deleted } = this.state;
    const asked = (this.asked = {});
    try {
      let found;
      if (q.trim() && !deleted) {
        const body = { query: q, limit: 50, ...(kind && { kinds: [kind] }), ...(status && { status }) };
        found = (await post("/v1/notes/search", body)).results.map((each) => each.note);
      } else {
        const wanted = new URLSearchParams({ limit: MOST, ...(kind && { kind }), ...(status && { status }) });
        if (deleted) wanted.set("deleted", "true");
        found = await get(`/v1/notes?${wanted}`);
      }
      if (asked !== this.asked) return; // something else has been asked since
      this.notes = found;
      this.list.replaceChildren(...this.notes.map((note) => this.entry(note)));
      if (!this.notes.length) this.list.append(h("li", {}, empty(deleted ? "Nothing was removed" : "No notes here")));
      say(counted(this.notes.length, "note"));
    } catch (error) {
      this.list.replaceChildren(h("li", {}, failure(error)));
    }
  }

  entry(note) {
    return h(
      "li",
      {},
      h(
        "a",
        { href: this.address({ ...this.state, id: note.id }), "data-id": note.id },
        h("b", {}, note.title),
        h(
          "span",
          { class: "about" },
          badge(note.kind, "note"),
          note.status === "obsolete" && badge("obsolete", "bad"),
          note.project && badge(note.project, "plain"),
          h("span", { class: "soft" }, ago(note.updated_at)),
        ),
      ),
    );
  }

  markChosen() {
    for (const link of this.list.querySelectorAll("a"))
      if (link.dataset.id === this.state.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
  }

  async show() {
    const { id } = this.state;
    if (!id) {
      this.detail.replaceChildren(empty("Choose a note", h("p", {}, "Or write down what you have just learnt.")));
      return;
    }
    try {
      const removed = this.notes?.find((note) => note.id === id && note.deleted_at);
      const note = removed ?? (await get(`/v1/notes/${encodeURIComponent(id)}`));
      const view = await noteView(note, this.mayWrite && this.actions(note));
      if (id === this.state.id) this.detail.replaceChildren(view); // else another was chosen since
    } catch (error) {
      this.detail.replaceChildren(failure(error));
    }
  }

  actions(note) {
    const path = `/v1/notes/${encodeURIComponent(note.id)}`;
    return {
      edit: () => this.write(note),
      remove: () => this.done(call("DELETE", path), "Removed; it is among the removed notes", ""),
      restore: () => this.done(post(`${path}/restore`), "Brought back", note.id),
      link: (body) => this.done(post(`${path}/links`, body), "Linked", note.id),
    };
  }

  add() {
    this.write(null);
  }

  /** The form for a note, or for a new one. */
  write(note) {
    const save = async (values) => {
      const saved = note
        ? await call("PATCH", `/v1/notes/${encodeURIComponent(note.id)}`, values)
        : await post("/v1/notes", values);
      await this.done(saved, "Saved", saved.id);
    };
    const form = noteForm(note, this.session, save, () => this.show());
    this.detail.replaceChildren(form);
    form.elements.title.focus();
  }

  async done(work, text, id) {
    await work;
    say(text);
    this.state = { ...this.state, id, ...(this.state.deleted && id && { deleted: "" }) };
    this.form.elements.deleted.value = this.state.deleted;
    history.replaceState(null, "", this.address(this.state));
    await this.find();
    await this.show();
    this.markChosen();
    this.detail.focus();
  }

  key(event) {
    const entries = [...this.list.querySelectorAll("a")];
    const at = entries.indexOf(document.activeElement);
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (event.key === "n" && this.mayWrite) this.add();
    else if (!step || !entries.length || (event.key.length > 1 && at < 0)) return false;
    else entries[Math.max(0, Math.min(entries.length - 1, at + step))].focus();
    return true;
  }

  leave() {}
}

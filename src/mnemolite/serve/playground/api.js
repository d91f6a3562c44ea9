// What is asked of the server, with the key when it wants one.

import { h } from "./dom.js";

const KEY = "mnemolite.key";

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The session as /v1/session gives it; asked once, and again with another key. */
let session = null;

export function theSession() {
  session ??= get("/v1/session").catch((error) => {
    session = null;
    throw error;
  });
  return session;
}

export async function may(access) {
  const order = ["read", "write", "admin"];
  return order.indexOf((await theSession()).access) >= order.indexOf(access);
}

export const get = (path, signal) => call("GET", path, undefined, signal);
export const post = (path, body, signal) => call("POST", path, body, signal);

export async function call(method, path, body, signal) {
  for (;;) {
    const answer = await asked(method, path, body, signal);
    if (answer.status === 401) {
      await wantKey();
      continue;
    }
    const isJson = (answer.headers.get("content-type") ?? "").includes("json");
    const given = isJson ? await answer.json() : await answer.text();
    if (!answer.ok && !(path === "/ready" && isJson))
      throw new Problem(answer.status, given.detail ?? answer.statusText);
    return given;
  }
}

async function asked(method, path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the server does not answer; is it still running?");
  }
}

/** That `mnemolite ui` puts behind the address; it is taken from there, so that it stays in no history. */
export function takeKey() {
  const given = /^#key=([\w-]+)$/.exec(location.hash);
  if (!given) return;
  sessionStorage.setItem(KEY, given[1]);
  history.replaceState(null, "", "#/search");
}

export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

let waiting = null;

/** Resolves when another key has been given; many that wait for it share the dialog. */
export function wantKey() {
  waiting ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const input = h("input", {
      type: "password",
      autocomplete: "off",
      required: true,
      placeholder: "mnl_…",
      spellcheck: "false",
    });
    const refused = hasKey()
      ? h("p", { class: "failure", role: "alert" }, "The key given is not valid, or no longer.")
      : null;
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "key-title" }, "API key"),
      h("p", {}, "This server answers those who have a key. It stays in this tab and is forgotten when you close it."),
      refused,
      h("label", { class: "field" }, h("span", {}, "Key"), input),
      h("p", { class: "hint" }, "Make one with ", h("code", {}, "mnemolite key create NAME")),
      h("div", { class: "row end" }, h("button", { class: "primary" }, "Use this key")),
    );
    form.addEventListener("submit", () => {
      sessionStorage.setItem(KEY, input.value.trim());
      session = null;
      waiting = null;
      document.getElementById("key-button").hidden = false;
      resolve();
    });
    dialog.oncancel = (event) => event.preventDefault();
    dialog.replaceChildren(form);
    dialog.showModal();
    input.focus();
  });
  return waiting;
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
  session = null;
  location.reload();
}

// How the server is: models, memory, caches, how long answers take, what waits. Read again every few seconds.

import { get } from "./api.js";
import { badge, failure, h, megabytes, number } from "./dom.js";
import { bar } from "./hits.js";
import { buckets, by, parse, quantile, total } from "./prometheus.js";

const SECONDS = 3;
const KEPT = 40; // points of a line
const OWN_FILES = "/playground/{name}";
const SEARCHES = ["hybrid", "lexical", "vector", "notes", "events"];

export async function open(main) {
  const page = new StatusPage(main);
  await page.read();
  page.timer = setInterval(() => document.visibilityState === "visible" && page.read(), 1000 * SECONDS);
  return page;
}

class StatusPage {
  constructor(main) {
    this.rates = [];
    this.state = h("span", {});
    this.grid = h("div", { class: "status" });
    const pause = h("button", { type: "button", class: "quiet", "aria-pressed": "false" }, "Pause");
    pause.addEventListener("click", () => {
      this.paused = !this.paused;
      pause.setAttribute("aria-pressed", String(this.paused));
      pause.textContent = this.paused ? "Go on" : "Pause";
    });
    main.append(h("div", { class: "title" }, h("h1", {}, "Status"), this.state, pause), this.grid);
  }

  async read() {
    if (this.paused) return;
    try {
      const [ready, monitoring, text] = await Promise.all([
        get("/ready"),
        get("/v1/monitoring/embeddings"),
        get("/metrics"),
      ]);
      this.show(ready, monitoring, parse(text));
    } catch (error) {
      this.grid.replaceChildren(failure(error));
    }
  }

  show(ready, monitoring, series) {
    const kind = { ready: "", degraded: "note", "not ready": "bad" }[ready.status];
    this.state.replaceChildren(badge(ready.status, kind));
    this.grid.replaceChildren(
      this.models(ready, monitoring),
      this.ram(monitoring.ram),
      this.caches(monitoring.cache, series),
      this.traffic(series),
      this.latency("Searches", "search_duration_seconds", series, this.searched(series)),
      this.latency("All requests", "http_request_duration_seconds", series),
      this.queue(series),
      this.routes(series),
    );
  }

  models(ready, { models }) {
    const seen = new Map(Object.entries(models).map(([domain, model]) => [model.name || domain, { domain, ...model }]));
    return card(
      "Models",
      ready.store !== "ok" && h("p", { class: "failure" }, ready.store),
      [...seen.values()].map((model) => [
        h(
          "p",
          { class: "about" },
          h("b", {}, model.name || `none for ${model.domain}`),
          badge(model.loaded ? "loaded" : "not loaded", "plain"),
        ),
        h(
          "p",
          { class: "soft" },
          model.dimension ? `${model.dimension} dimensions, about ${megabytes(model.estimated_mb)}` : "",
        ),
        model.failure && h("p", { class: "failure" }, model.failure),
      ]),
      Object.values(ready.models)
        .filter((text) => !["loaded", "not loaded yet"].includes(text))
        .map((text) => h("p", { class: "degraded" }, text)),
    );
  }

  ram({ process_rss_mb: resident, estimated_models_mb: models, budget_mb: budget, budget_exceeded: over }) {
    return card(
      "Memory",
      figure(megabytes(resident), `of ${megabytes(budget)}`),
      bar("process", resident, resident / budget, over ? "words" : "", `${Math.round((100 * resident) / budget)} %`),
      bar("models", models, models / budget, "meaning", megabytes(models)),
      over && h("p", { class: "degraded" }, "Above the budget: no second model is loaded."),
    );
  }

  caches(levels, series) {
    const asked = total(series, "embedding_cache_hits_total");
    const hits = total(series, "embedding_cache_hits_total", { result: "hit" });
    return card(
      "Cache of embeddings",
      figure(asked ? `${Math.round((100 * hits) / asked)} %` : "—", `hits of ${number(asked)} queries`),
      levels.map((level) =>
        bar(
          level.name,
          level.hit_rate ?? 0,
          level.hit_rate ?? 0,
          "meaning",
          level.hit_rate === null ? "—" : `${Math.round(100 * level.hit_rate)} %`,
        ),
      ),
      levels
        .filter((level) => level.trouble)
        .map((level) => h("p", { class: "degraded" }, `${level.name}: ${level.trouble}`)),
    );
  }

  traffic(series) {
    const now = { at: performance.now(), count: total(series, "http_requests_total") };
    if (this.last) this.rates.push(Math.max(0, (1000 * (now.count - this.last.count)) / (now.at - this.last.at)));
    this.last = now;
    this.rates = this.rates.slice(-KEPT);
    const rate = this.rates.at(-1) ?? 0;
    return card(
      "Requests",
      figure(rate.toFixed(1), "a second"),
      line(this.rates),
      h(
        "p",
        { class: "soft" },
        `${number(now.count)} since the start; ${number(total(series, "http_requests_refused_total"))} refused`,
      ),
    );
  }

  latency(title, name, series, more = null) {
    const histogram = buckets(series, name);
    const most = Math.max(1, ...histogram.map((each) => each.count));
    const p95 = quantile(histogram, 0.95);
    const largest = histogram.at(-2)?.below;
    const value = !p95 ? "—" : p95 === Infinity ? `over ${time(largest)}` : `≤ ${time(p95)}`;
    const every = histogram.length > 9 ? 2 : 1; // has room for its label
    const before = (i) => (i ? time(histogram[i - 1].below) : "0");
    return card(
      title,
      figure(value, "95 of 100"),
      h(
        "div",
        { class: "histogram", role: "list", "aria-label": `${title}: how many took how long` },
        histogram.map(({ below, count }, i) => {
          const text = below === Infinity ? `more: ${count}` : `${before(i)} to ${time(below)}: ${count}`;
          return h(
            "span",
            { role: "listitem", title: text },
            h("span", { class: "unseen" }, text),
            h("i", { style: { "--share": count / most } }),
            h("small", { "aria-hidden": "true" }, i % every ? "" : below === Infinity ? "more" : time(below)),
          );
        }),
      ),
      more,
    );
  }

  searched(series) {
    const counts = SEARCHES.map((method) => [method, total(series, "search_requests_total", { method })]);
    return h(
      "p",
      { class: "soft" },
      counts
        .filter(([, n]) => n)
        .map(([method, n]) => `${number(n)} ${method}`)
        .join(" · "),
    );
  }

  queue(series) {
    const busy = total(series, "request_threads", { state: "busy" });
    const all = total(series, "request_threads", { state: "all" });
    const waiting = total(series, "requests_waiting");
    return card(
      "Queue",
      figure(number(waiting), waiting === 1 ? "request waits" : "requests wait"),
      bar("threads", busy, all ? busy / all : 0, "", `${busy} / ${all}`),
      h("p", { class: "soft" }, `${number(total(series, "index_requests_waiting"))} wait to be indexed`),
      [...by(series, "degraded_total", "part")].map(([part, count]) =>
        h("p", { class: "degraded" }, `${number(count)} answers without ${part}`),
      ),
    );
  }

  routes(series) {
    const counts = [...by(series, "http_requests_total", "route")]
      .filter(([route]) => route !== OWN_FILES)
      .sort((a, b) => b[1] - a[1])
      .slice(0, 8);
    const most = card(
      "Most asked",
      counts.map(([route, count]) => bar(route, count, count / counts[0][1], "route", number(count))),
    );
    most.classList.add("wide");
    return most;
  }

  leave() {
    clearInterval(this.timer);
  }
}

function card(title, ...children) {
  return h("section", { class: "card" }, h("h2", {}, title), children);
}

function figure(value, unit) {
  return h("p", { class: "figure" }, h("b", {}, value), " ", h("span", {}, unit));
}

function time(seconds) {
  return seconds >= 1 ? `${seconds} s` : `${Math.round(1000 * seconds)} ms`;
}

/** The last few values as bars: the latest on the right. */
function line(values) {
  const most = Math.max(1e-9, ...values);
  const bars = values.map((value) => h("i", { style: { "--share": value / most } }));
  return h("div", { class: "spark", "aria-hidden": "true" }, bars);
}

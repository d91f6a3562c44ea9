// Jobs that index: how far each is, while it goes on, and what became of the latest.

import { get, post } from "./api.js";
import { ago, badge, counted, failure, h, number, say } from "./dom.js";

const SHOWN = 5;
const MILLISECONDS = 600; // between looks, while something goes on
const GOES_ON = new Set(["PENDING", "STARTED"]);
const LOOKS = { PENDING: "plain", STARTED: "", SUCCESS: "", FAILURE: "bad", CANCELLED: "plain" };

export class Jobs {
  /** *ended* is called when a job has ended that went on before. */
  constructor(session, mayWrite, ended) {
    Object.assign(this, { session, mayWrite, ended });
    this.going = new Set();
    this.list = h("section", { class: "jobs", "aria-label": "Jobs", hidden: true });
    this.opened = new Set(); // whose errors are shown
  }

  async submit(body) {
    const { task_id: id, repository } = await post("/v1/code/index/async", body);
    say(`Indexing ${this.name(repository)}`);
    this.going.add(id);
    await this.look();
  }

  /** Shows the latest jobs, and looks again as long as one goes on. */
  async look() {
    clearTimeout(this.timer);
    try {
      const { jobs } = await get(`/v1/code/index/jobs?limit=${SHOWN}`);
      if (this.left) return;
      this.list.hidden = !jobs.length;
      this.list.replaceChildren(h("h2", {}, "Jobs"), ...jobs.map((job) => this.row(job)));
      const going = new Set(jobs.filter((job) => GOES_ON.has(job.status)).map((job) => job.task_id));
      const over = jobs.filter((job) => this.going.has(job.task_id) && !going.has(job.task_id));
      this.going = going;
      for (const job of over) say(`${this.name(job.repository)}: ${this.text(job)}`);
      if (over.length) await this.ended();
    } catch (error) {
      this.list.hidden = false;
      this.list.replaceChildren(failure(error));
    }
    if (this.going.size && !this.left) this.timer = setTimeout(() => this.look(), MILLISECONDS);
  }

  row(job) {
    const goesOn = GOES_ON.has(job.status);
    const label = `Indexing ${this.name(job.repository)}`;
    const share = job.total ? { value: String(job.progress / job.total) } : {};
    const act = (verb) => async () => {
      await post(`/v1/code/index/jobs/${job.task_id}/${verb}`);
      await this.look();
    };
    return h(
      "article",
      { class: "job" },
      h(
        "header",
        {},
        h("b", {}, this.name(job.repository)),
        badge(job.status.toLowerCase(), LOOKS[job.status]),
        h("span", { class: "soft" }, ago(job.created_at)),
        this.mayWrite && goesOn && h("button", { type: "button", class: "link", onclick: act("cancel") }, "Cancel"),
        this.mayWrite &&
          ["FAILURE", "CANCELLED"].includes(job.status) &&
          h("button", { type: "button", class: "link", onclick: act("retry") }, "Go on with it"),
      ),
      goesOn && h("progress", { max: "1", "aria-label": label, ...share }),
      h("p", { class: "soft" }, this.text(job)),
      job.waiting_for && h("p", { class: "degraded" }, `Waits for: ${job.waiting_for}`),
      job.error && h("p", { class: "failure" }, job.error),
      job.errors.length > 0 && this.errors(job),
    );
  }

  errors(job) {
    const details = h(
      "details",
      { open: this.opened.has(job.task_id) },
      h("summary", {}, `${counted(job.files_failed, "file")} could not be indexed`),
      h(
        "ul",
        { class: "plain" },
        job.errors.slice(0, 50).map(({ file, error }) => h("li", {}, h("code", {}, file), ` ${error}`)),
      ),
    );
    details.addEventListener("toggle", () => this.opened[details.open ? "add" : "delete"](job.task_id));
    return details;
  }

  text(job) {
    const parts = [
      job.total
        ? `${number(job.progress)} of ${counted(job.total, "file")}`
        : GOES_ON.has(job.status)
          ? "looking for changes"
          : "nothing had changed",
      job.chunks_created && `${counted(job.chunks_created, "chunk")} stored`,
      job.files_removed && `${number(job.files_removed)} gone`,
      job.estimated_time_seconds && `about ${Math.ceil(job.estimated_time_seconds)} s left`,
    ];
    return parts.filter(Boolean).join(" · ");
  }

  name(repository) {
    return this.session.tree && repository === "." ? this.session.tree : repository;
  }

  leave() {
    this.left = true;
    clearTimeout(this.timer);
  }
}

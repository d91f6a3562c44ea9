// What is indexed, what was left out and why, and indexing more where the key allows it.

import { call, get, may, post, theSession } from "./api.js";
import { counted, empty, failure, field, h, number, say } from "./dom.js";
import { bar } from "./hits.js";
import { Jobs } from "./jobs.js";

const TREE = "."; // what a server of one tree calls it
const MOST_FILES = 500; // of one request
const MOST_BYTES = 8e6;
const LARGEST = 1e6; // bytes of a file that is sent
const NOT_SENT = /(^|\/)(\.git|node_modules|\.venv|__pycache__)\//;

export async function open(main) {
  const session = await theSession();
  const page = new RepositoriesPage(session, await may("write"), await may("admin"));
  main.append(
    h("h1", {}, session.tree ? "Index" : "Repositories"),
    h("p", { class: "lead" }, "What can be found, what was left out, and why."),
    page.form(),
    page.jobs.list,
    page.list,
  );
  await Promise.all([page.refresh(), page.jobs.look()]);
  return page;
}

class RepositoriesPage {
  constructor(session, mayWrite, mayForget) {
    Object.assign(this, { session, mayWrite, mayForget });
    this.list = h("section", { class: "repositories", "aria-label": "Repositories" });
    this.jobs = new Jobs(session, mayWrite, () => this.refresh());
  }

  async refresh() {
    try {
      const { repositories } = await get("/v1/code/index/repositories");
      const most = Object.fromEntries(
        ["file_count", "chunk_count"].map((name) => [name, Math.max(1, ...repositories.map((each) => each[name]))]),
      );
      this.list.replaceChildren(...repositories.map((each) => this.card(each, most)));
      if (!repositories.length) this.list.append(empty("Nothing is indexed yet"));
    } catch (error) {
      this.list.replaceChildren(failure(error));
    }
  }

  card({ repository, file_count, chunk_count, skipped }, most) {
    const own = this.session.tree ? {} : { repo: repository };
    const leftOut = Object.entries(skipped).sort((a, b) => b[1] - a[1]);
    const total = leftOut.reduce((sum, [, count]) => sum + count, 0);
    return h(
      "article",
      { class: "card repository" },
      h("header", {}, h("h2", {}, this.session.tree && repository === TREE ? this.session.tree : repository)),
      bar("files", file_count, file_count / most.file_count, "", number(file_count)),
      bar("chunks", chunk_count, chunk_count / most.chunk_count, "meaning", number(chunk_count)),
      h(
        "details",
        { class: "skipped" },
        h("summary", {}, total ? `${counted(total, "file")} left out` : "No file was left out"),
        leftOut.map(([reason, count]) => bar(reason, count, count / leftOut[0][1], "words", number(count))),
      ),
      h(
        "footer",
        { class: "row" },
        h("a", { class: "link", href: `#/search?${new URLSearchParams(own)}` }, "Search"),
        h("a", { class: "link", href: `#/map?${new URLSearchParams(own)}` }, "Map"),
        this.mayForget &&
          !this.session.tree &&
          h(
            "button",
            { type: "button", class: "link danger", onclick: (event) => this.forget(event.target, repository) },
            "Forget",
          ),
      ),
    );
  }

  /** Asks once more before. */
  async forget(button, repository) {
    if (button.dataset.sure !== "yes") {
      button.dataset.sure = "yes";
      button.textContent = `Forget ${repository} for good?`;
      return;
    }
    try {
      const path = repository.split("/").map(encodeURIComponent).join("/");
      const gone = await call("DELETE", `/v1/code/index/repositories/${path}`);
      say(`${repository} is forgotten: ${gone.deleted_files} files`);
      await this.refresh();
    } catch (error) {
      button.replaceWith(failure(error));
    }
  }

  form() {
    if (!this.mayWrite) return h("p", { class: "hint" }, "This key may read; one with write access can index here.");
    this.result = h("div", { class: "result", role: "status" });
    if (this.session.tree) {
      const refresh = () => this.index({ repository: TREE, path: this.session.tree });
      this.start = h("button", { type: "button", class: "primary", onclick: refresh }, "Bring it up to date");
      return h(
        "section",
        { class: "card" },
        h("p", {}, "Searches look for changes by themselves."),
        this.start,
        this.result,
      );
    }
    this.name = h("input", {
      name: "repository",
      required: true,
      maxlength: "200",
      placeholder: "shop",
      spellcheck: "false",
    });
    this.path = h("input", {
      name: "path",
      list: "folders",
      placeholder: `${this.session.folders[0]}/…`,
      spellcheck: "false",
    });
    this.git = h("input", {
      name: "git",
      type: "url",
      placeholder: "https:…",
      autocomplete: "off",
    });
    this.files = h("input", { name: "files", type: "file", webkitdirectory: true, multiple: true });
    this.start = h("button", { class: "primary" }, "Index");
    for (const input of [this.path, this.git, this.files]) input.addEventListener("change", () => this.suggest());
    return h(
      "details",
      { class: "card indexing" },
      h("summary", {}, "Index a repository"),
      h(
        "form",
        { onsubmit: (event) => this.submitted(event) },
        h(
          "div",
          { class: "columns" },
          field("Name", this.name),
          this.session.folders.length > 0 &&
            field(
              "Folder of the server",
              this.path,
              `Below ${this.session.folders.join(", ")}; files that are gone are dropped.`,
            ),
          field("A git repository", this.git, "Its default branch, over https."),
          field(
            "A folder of this computer",
            this.files,
            "Its text files are sent, and put beside those that are there.",
          ),
        ),
        h(
          "datalist",
          { id: "folders" },
          this.session.folders.map((folder) => h("option", { value: folder })),
        ),
        h("div", { class: "row" }, this.start),
      ),
      this.result,
    );
  }

  suggest() {
    const given = this.files.files[0]?.webkitRelativePath.split("/")[0] ?? (this.git.value || this.path.value);
    if (!this.name.value)
      this.name.value = given
        .replace(/(\.git)?\/*$/, "")
        .split("/")
        .at(-1);
  }

  async submitted(event) {
    event.preventDefault();
    const repository = this.name.value.trim();
    if (this.files.files.length) await this.send(repository, [...this.files.files]);
    else if (this.git.value.trim()) await this.index({ repository, git_url: this.git.value.trim() });
    else if (this.path?.value.trim()) await this.index({ repository, path: this.path.value.trim() });
    else this.result.replaceChildren(failure(new Error("Say what to index: a folder, or the URL of a repository.")));
  }

  /** A folder of the server, or a git repository. */
  async index(body) {
    try {
      await this.jobs.submit(body);
      this.result.replaceChildren();
    } catch (error) {
      this.result.replaceChildren(failure(error));
    }
  }

  /** Files of this computer, some at a time. */
  async send(repository, files) {
    await this.working(async (told) => {
      const reports = [];
      let batch = [];
      let bytes = 0;
      let done = 0;
      const flush = async () => {
        if (batch.length) reports.push(await post("/v1/code/index", { repository, files: batch }));
        [batch, bytes] = [[], 0];
        told(done / files.length, `${number(done)} of ${number(files.length)} files`);
      };
      for (const file of files) {
        const path = file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
        const content = NOT_SENT.test(path) || file.size > LARGEST ? "\0" : await file.text();
        done += 1;
        if (content.includes("\0")) continue;
        batch.push({ path, content });
        bytes += content.length;
        if (batch.length >= MOST_FILES || bytes > MOST_BYTES) await flush();
      }
      await flush();
      return reports;
    });
  }

  /** Shows how far *work* is, then what came of it. */
  async working(work) {
    const progress = h("progress", { max: "1", "aria-label": "Indexing" });
    const text = h("span", { class: "soft" });
    this.result.replaceChildren(h("div", { class: "row" }, progress, text));
    this.start.disabled = true;
    try {
      const reports = await work((share, said) => {
        progress.value = share;
        text.textContent = said;
      });
      this.result.replaceChildren(this.report(reports));
    } catch (error) {
      this.result.replaceChildren(failure(error));
    }
    this.start.disabled = false;
    await this.refresh();
  }

  report(reports) {
    const sum = (name) => reports.reduce((total, each) => total + each[name], 0);
    const skipped = {};
    for (const each of reports)
      for (const [reason, count] of Object.entries(each.skipped)) skipped[reason] = (skipped[reason] ?? 0) + count;
    const most = Math.max(1, ...Object.values(skipped));
    const errors = reports.flatMap((each) => each.errors);
    const text = [
      `${counted(sum("indexed_files"), "file")} read`,
      `${counted(sum("indexed_chunks"), "chunk")} stored`,
      `${number(sum("removed_files"))} gone`,
      `${(sum("processing_time_ms") / 1000).toFixed(1)} s`,
    ].join(" · ");
    say(`Indexed: ${text}`);
    return h(
      "div",
      { class: "report" },
      h("p", { class: "fresh" }, text),
      sum("masked_secrets") > 0 && h("p", { class: "degraded" }, `${counted(sum("masked_secrets"), "secret")} masked`),
      Object.keys(skipped).length > 0 && h("h3", {}, "Left out this time"),
      Object.entries(skipped).map(([reason, count]) => bar(reason, count, count / most, "words", number(count))),
      errors.length > 0 &&
        h(
          "ul",
          {},
          errors.slice(0, 20).map(({ file, error }) => h("li", {}, `${file}: ${error}`)),
        ),
    );
  }

  leave() {
    this.jobs.leave();
  }
}

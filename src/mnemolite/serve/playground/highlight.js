// Source code as lines of coloured spans: a small lexer for all languages, which colours and never parses.

const C = { line: ["//"], block: [["/*", "*/"]] };
const HASH = { line: ["#"], block: [] };
const FAMILIES = {
  python: { line: ["#"], block: [], triple: true },
  css: { line: [], block: [["/*", "*/"]] },
  html: { line: [], block: [["<!--", "-->"]] },
  xml: { line: [], block: [["<!--", "-->"]] },
  sql: { line: ["--"], block: [["/*", "*/"]] },
  lua: { line: ["--"], block: [["--[[", "]]"]] },
  haskell: { line: ["--"], block: [["{-", "-}"]] },
  ocaml: { line: [], block: [["(*", "*)"]] },
  powershell: { line: ["#"], block: [["<#", "#>"]] },
  php: { line: ["//", "#"], block: [["/*", "*/"]] },
  hcl: { line: ["//", "#"], block: [["/*", "*/"]] },
  nix: { line: ["#"], block: [["/*", "*/"]] },
};
for (const name of "bash ruby perl elixir r julia yaml toml make cmake dockerfile graphql text".split(" "))
  FAMILIES[name] ??= HASH;
const PROSE = new Set(["markdown", "rst", "text", "note", "event"]);

const KEYWORDS = new Set(
  `abstract and as assert async await begin break case catch class const constexpr continue data def default defer
  del do elif else elsif end enum except export extends extern final finally fn for foreach from func function
  go goto if impl implements import in include instanceof interface internal is lambda let local loop macro
  match mod module mut namespace new not of open operator or override package pass private protected pub public
  raise readonly record ref require rescue return sealed select self static struct super switch template then
  this throw throws trait try type typedef typeof union unless unsafe until use using val var virtual void
  volatile when where while with yield SELECT FROM WHERE INSERT INTO UPDATE DELETE CREATE TABLE INDEX JOIN LEFT
  ON GROUP BY ORDER LIMIT VALUES SET AND OR NOT NULL PRIMARY KEY UNIQUE
  REFERENCES`.split(/\s+/),
);
const LITERALS = new Set("true false null nil None True False undefined NaN TRUE FALSE".split(" "));
const WORD = /[\p{L}_$][\p{L}\p{N}_$]*/uy;
const NUMBER = /\d[\w.]*/y;

/** [[class, text], ...] whose texts together are *code*. */
export function tokens(code, language) {
  if (PROSE.has(language)) return [["", code]];
  const { line, block, triple } = FAMILIES[language] ?? C;
  const found = [];
  let plain = 0;
  let at = 0;
  const take = (kind, end) => {
    if (plain < at) found.push(["", code.slice(plain, at)]);
    found.push([kind, code.slice(at, end)]);
    plain = at = end;
  };
  while (at < code.length) {
    const opened = block.find(([start]) => code.startsWith(start, at));
    if (opened) {
      const end = code.indexOf(opened[1], at + opened[0].length);
      take("comment", end < 0 ? code.length : end + opened[1].length);
      continue;
    }
    if (line.some((mark) => code.startsWith(mark, at))) {
      const end = code.indexOf("\n", at);
      take("comment", end < 0 ? code.length : end);
      continue;
    }
    const first = code[at];
    if (first === '"' || first === "'" || first === "`") {
      take("string", stringEnd(code, at, first, triple));
      continue;
    }
    WORD.lastIndex = NUMBER.lastIndex = at;
    const word = WORD.exec(code)?.[0];
    if (word) {
      const end = at + word.length;
      if (KEYWORDS.has(word)) take("keyword", end);
      else if (LITERALS.has(word)) take("number", end);
      else if (code[end] === "(") take("call", end);
      else if (/^\p{Lu}.*\p{Ll}/u.test(word)) take("type", end);
      else at = end;
      continue;
    }
    const digits = NUMBER.exec(code)?.[0];
    if (digits) take("number", at + digits.length);
    else at += 1;
  }
  if (plain < at) found.push(["", code.slice(plain, at)]);
  return found;
}

function stringEnd(code, at, quote, triple) {
  const mark = triple && code.startsWith(quote.repeat(3), at) ? quote.repeat(3) : quote;
  const ofOneLine = mark.length === 1 && quote !== "`";
  const noString = at + 1; // a lifetime, an apostrophe
  for (let end = at + mark.length; end < code.length; end += 1) {
    if (code[end] === "\\") end += 1;
    else if (code.startsWith(mark, end)) return end + mark.length;
    else if (code[end] === "\n" && ofOneLine) return quote === "'" ? noString : end;
  }
  return mark === "'" ? noString : code.length;
}

/** What of a query's words is marked in code: any that has three letters, in other forms too. */
export function marker(query) {
  const words = query.match(/[\p{L}\p{N}_]{3,}/gu) ?? [];
  const stems = [...new Set(words.map((word) => word.toLowerCase().replace(/(es?|s|ed|ing)$/, "")))];
  const telling = stems.filter((word) => word.length > 2 && !COMMON.has(word)).sort((a, b) => b.length - a.length);
  return telling.length ? new RegExp(`(?:${telling.slice(0, 20).join("|")})(?:${ENDINGS})?`, "giu") : null;
}

const ENDINGS = "e[sd]?|s|ing";
const COMMON = new Set(
  "the and for are that thi with from how what where when who why doe did not can our you your all any use into".split(
    " ",
  ),
);

/** *code* as elements, a line each, numbered from *first*; those of [from, to) alone where given. */
export function codeLines(code, language, first, mark = null, [from, to] = [0, Infinity]) {
  const lines = [[]];
  for (const [kind, text] of tokens(code, language)) {
    const [head, ...rest] = text.split("\n");
    lines.at(-1).push([kind, head]);
    for (const each of rest) lines.push([[kind, each]]);
  }
  if (lines.length > 1 && lines.at(-1).every(([, text]) => !text)) lines.pop();
  return lines.slice(from, to).map((spans, i) => {
    const line = document.createElement("span");
    line.className = "line";
    line.dataset.number = first + from + i;
    for (const [kind, text] of spans) appendMarked(line, kind, text, mark);
    return line;
  });
}

function appendMarked(line, kind, text, mark) {
  if (!text) return;
  let parent = line;
  if (kind) {
    parent = document.createElement("span");
    parent.className = `t-${kind}`;
    line.append(parent);
  }
  let done = 0;
  for (const found of mark ? text.matchAll(mark) : []) {
    parent.append(text.slice(done, found.index));
    const marked = document.createElement("mark");
    marked.textContent = found[0];
    parent.append(marked);
    done = found.index + found[0].length;
  }
  parent.append(text.slice(done));
}

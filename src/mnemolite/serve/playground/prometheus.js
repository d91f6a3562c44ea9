// The server's metrics, out of the text that Prometheus reads.

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** [{name, labels, value}, ...] */
export function parse(text) {
  return text
    .split("\n")
    .map((line) => (line.startsWith("#") ? null : LINE.exec(line)))
    .filter(Boolean)
    .map(([, name, labels, value]) => ({
      name,
      labels: Object.fromEntries([...(labels ?? "").matchAll(LABEL)].map(([, key, each]) => [key, each])),
      value: Number(value),
    }));
}

export function total(series, name, labels = {}) {
  return matching(series, name, labels).reduce((sum, each) => sum + each.value, 0);
}

export function by(series, name, label) {
  const sums = new Map();
  for (const each of matching(series, name)) {
    const key = each.labels[label];
    sums.set(key, (sums.get(key) ?? 0) + each.value);
  }
  return sums;
}

/** Of a histogram, all that have *labels* together: [{below, count}, ...], each bucket for itself. */
export function buckets(series, name, labels = {}) {
  const sums = new Map();
  for (const each of matching(series, `${name}_bucket`, labels))
    sums.set(each.labels.le, (sums.get(each.labels.le) ?? 0) + each.value);
  const sorted = [...sums].map(([le, count]) => ({ below: le === "+Inf" ? Infinity : Number(le), count }));
  sorted.sort((a, b) => a.below - b.below);
  return sorted.map(({ below, count }, i) => ({ below, count: count - (sorted[i - 1]?.count ?? 0) }));
}

/** The bucket's bound below which *share* of all were; 0 where there were none. */
export function quantile(histogram, share) {
  const all = histogram.reduce((sum, each) => sum + each.count, 0);
  let seen = 0;
  for (const { below, count } of all ? histogram : []) if ((seen += count) >= share * all) return below;
  return 0;
}

function matching(series, name, labels = {}) {
  return series.filter(
    (each) => each.name === name && Object.entries(labels).every(([key, of]) => each.labels[key] === of),
  );
}

// Drawings on canvas: points of a plane, and a vector as a strip of colours.

const PADDING = 34;
const REACH = 14; // pixels from a point within which it is meant

/** A colour of the style sheet as the canvas understands it, in the theme that is shown. */
export function colour(name) {
  const probe = document.getElementById("said");
  probe.style.setProperty("color", `var(--${name})`);
  const found = getComputedStyle(probe).color;
  probe.style.removeProperty("color");
  return found;
}

/** Calls *redraw* whenever colours or sizes change; gives what ends that. */
export function whenLooksChange(canvas, redraw) {
  const resized = new ResizeObserver(redraw);
  resized.observe(canvas);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  window.addEventListener("themechange", redraw);
  return () => {
    resized.disconnect();
    dark.removeEventListener("change", redraw);
    window.removeEventListener("themechange", redraw);
  };
}

function sized(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

export class Scatter {
  /** *onpoint(point, x, y)* is called with what the pointer is at, or null; *onpick* with what is clicked. */
  constructor(canvas, { onpoint, onpick }) {
    this.canvas = canvas;
    this.points = [];
    this.view = [];
    canvas.addEventListener("pointermove", (event) => {
      const found = this.at(event.offsetX, event.offsetY);
      canvas.classList.toggle("pointing", Boolean(found));
      onpoint(found, event.offsetX, event.offsetY);
    });
    canvas.addEventListener("pointerleave", () => onpoint(null));
    canvas.addEventListener("click", (event) => {
      const found = this.at(event.offsetX, event.offsetY);
      if (found) onpick(found);
    });
    this.leave = whenLooksChange(canvas, () => this.draw());
  }

  /**
   * *points* are {x, y, role, rank, colour}; *query* is [x, y] or null; those of *view* fill the canvas.
   */
  show(points, query, view) {
    Object.assign(this, { points, query, view });
    this.draw();
  }

  choose(point) {
    this.chosen = point;
    this.draw();
  }

  /** Where a point of the plane is on the canvas. */
  place([x, y]) {
    return [this.left + (x - this.x0) * this.scale, this.top - (y - this.y0) * this.scale];
  }

  fit(width, height) {
    const seen = this.view.map(({ x, y }) => [x, y]).concat(this.query ? [this.query] : []);
    const xs = seen.map(([x]) => x);
    const ys = seen.map(([, y]) => y);
    this.x0 = Math.min(...xs);
    this.y0 = Math.min(...ys);
    const [w, h] = [Math.max(...xs) - this.x0 || 1e-6, Math.max(...ys) - this.y0 || 1e-6];
    this.scale = Math.min((width - 2 * PADDING) / w, (height - 2 * PADDING) / h);
    this.left = (width - w * this.scale) / 2;
    this.top = (height + h * this.scale) / 2;
  }

  draw() {
    const { context: pen, width, height } = sized(this.canvas);
    if (!this.view.length || !width) return;
    this.fit(width, height);
    const colours = new Map();
    const of = (name) => colours.get(name) ?? colours.set(name, colour(name)).get(name);
    const centre = this.query && this.place(this.query);
    for (const point of this.points.filter((each) => each.role === "result" && centre)) {
      pen.strokeStyle = of("line-strong");
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(...centre);
      pen.lineTo(...this.place([point.x, point.y]));
      pen.stroke();
    }
    for (const point of this.points) this.dot(pen, point, of);
    if (centre) this.star(pen, centre, of);
    if (this.chosen) this.ring(pen, this.place([this.chosen.x, this.chosen.y]), of);
  }

  dot(pen, point, of) {
    const [x, y] = this.place([point.x, point.y]);
    const near = point.role !== "sample";
    pen.globalAlpha = near ? 1 : 0.5;
    pen.fillStyle = of(point.colour);
    pen.beginPath();
    pen.arc(x, y, { sample: 3, neighbour: 4.5, result: 9, asked: 8 }[point.role], 0, 7);
    pen.fill();
    if (near) {
      pen.strokeStyle = of("card");
      pen.lineWidth = 1.5;
      pen.stroke();
    }
    pen.globalAlpha = 1;
    if (point.rank === null) return;
    pen.fillStyle = of("card");
    pen.font = "600 10px Inter, system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(String(point.rank), x, y + 0.5);
  }

  star(pen, [x, y], of) {
    pen.fillStyle = of("accent");
    pen.strokeStyle = of("card");
    pen.lineWidth = 2;
    pen.beginPath();
    for (let i = 0; i < 8; i += 1) {
      const [turn, size] = [(Math.PI * i) / 4, i % 2 ? 4 : 12];
      pen.lineTo(x + size * Math.sin(turn), y - size * Math.cos(turn));
    }
    pen.closePath();
    pen.stroke();
    pen.fill();
  }

  ring(pen, [x, y], of) {
    pen.strokeStyle = of("ink");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 12, 0, 7);
    pen.stroke();
  }

  /** The point under the pointer; those drawn last are on top. */
  at(x, y) {
    let best = null;
    let least = REACH * REACH;
    for (const point of this.points) {
      const [px, py] = this.place([point.x, point.y]);
      const distance = (px - x) ** 2 + (py - y) ** 2 - (point.role === "sample" ? 0 : 40);
      if (distance <= least) [best, least] = [point, distance];
    }
    return best;
  }
}

/** A component each, from the most negative in one colour to the most positive in another. */
export function drawStrip(canvas, vector) {
  const { context: pen, width, height } = sized(canvas);
  const most = Math.max(...vector.map(Math.abs), 1e-9);
  const [low, high] = [colour("meaning"), colour("words")];
  vector.forEach((value, i) => {
    pen.globalAlpha = Math.min(1, Math.abs(value) / most) ** 0.8;
    pen.fillStyle = value < 0 ? low : high;
    const from = Math.floor((i * width) / vector.length);
    pen.fillRect(from, 0, Math.ceil(((i + 1) * width) / vector.length) - from, height);
  });
}

/* The report's interactive part. Without it, or without JavaScript, the page shows all that it
   concludes; this adds hovering, filters, zooming, sorting and copying. It loads nothing. */
(() => {
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const unique = values => [...new Set(values)];
const digits = value => value === null ? "none" : String(Number(value.toPrecision(4)));
const explore = document.getElementById("explore");
const status = make("p", {role: "status", class: "status"});
const say = text => { status.textContent = text; };

/* Copying. Pages from files may lack the clipboard's interface, so the older way is the second. The button itself shows
   whether it is done: the status line may be far away. */
async function copy(text, button) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", {"aria-hidden": "true", class: "away"});
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  say(copied ? `Copied: ${text}` : `This browser does not copy. The citation: ${text}`);
  button.dataset.words ??= button.textContent;
  const mark = copied ? ["\u2713", "Copied"] : ["\u2717", "Not copied"];
  button.textContent = button.classList.contains("cite") ? mark[0] : mark.join(" ");
  setTimeout(() => { button.textContent = button.dataset.words; }, 2000);
}
const trace = names => names.map(name => `schedlab trace ${name}`).join("; ");
for (const cell of document.querySelectorAll("[data-cite]")) {
  const names = cell.dataset.cite.split(" ");
  const words = (cell.dataset.value || "").trim();
  cell.append(make("button", {
    type: "button", class: "cite", "aria-label": `Copy the citation of ${names.join(" and ")}`, title: "Copy a citation",
    onclick: event => copy(
      `${names.join(" : ")}${words ? ` = ${words}` : ""} (${trace(names)}; lineage ${explore.dataset.lineage})`, event.currentTarget),
  }, "\u275d"));
}

/* Sorting. Numbers are read as the page writes them: 1.2 x 10^-5, with units of time. */
const RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
const UNITS = {"ms": 1e-3, "\u00b5s": 1e-6, "s": 1, "min": 60, "h": 3600};
function reading(cell) {
  const text = cell ? cell.dataset.value ?? cell.textContent : "";
  const found = text.trim().match(/^(?:\u2265\s*)?(-?\d[\d.]*)(?:\s*\u00d7\s*10([\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+))?\s*(ms|\u00b5s|s|min|h)?(?![\w-])/);
  if (!found) return text.trim().toLowerCase();
  const power = [...(found[2] || "")].map(c => c === "\u207b" ? "-" : RAISED.indexOf(c)).join("");
  return Number(found[1]) * 10 ** Number(power || 0) * (UNITS[found[3]] || 1);
}
function compared(a, b) {
  if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true});
  return typeof a === "number" ? -1 : 1;
}
const UNSORTED = "\u21c5";
function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...(table.tHead ? table.tHead.rows[0].cells : [])];
  if (!body || body.rows.length < 2) return;
  heads.forEach((head, column) => {
    const name = [...head.childNodes].map(node => node.textContent.trim()).filter(Boolean).join(" ");
    head.append(make("button", {type: "button", class: "sort", "aria-label": `Sort by ${name}`, onclick: event => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      table.querySelectorAll(".sort").forEach(each => { each.textContent = UNSORTED; });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      event.currentTarget.textContent = down ? "\u25bc" : "\u25b2";
      const rows = [...body.rows].filter(row => !row.classList.contains("total"));
      const keys = new Map(rows.map(row => [row, reading(row.cells[column])]));
      rows.sort((a, b) => compared(keys.get(a), keys.get(b)) * (down ? -1 : 1));
      body.prepend(...rows);
      say(`Sorted by ${name}, ${down ? "descending" : "ascending"}.`);
    }}, UNSORTED));
  });
}
document.querySelectorAll(".scroll table").forEach(sortable);

/* Filters: they apply to every row that tells its cell, and to what is drawn below. */
const of = new Map(data.trials.map(trial => [trial.cluster, trial.variant]));
const chosen = {variant: new Set(), workload: new Set()};
const passes = (variants, workload) =>
  (!chosen.variant.size || variants.some(name => chosen.variant.has(name)))
  && (!chosen.workload.size || chosen.workload.has(workload));
const shown = () => data.trials.filter(trial => passes([trial.variant], trial.workload));
function filter() {
  let visible = 0, all = 0;
  for (const row of document.querySelectorAll("tr[data-workload]")) {
    const variants = row.dataset.variants ? row.dataset.variants.split(" ") : [of.get(row.dataset.cluster)];
    row.hidden = !passes(variants, row.dataset.workload);
    all += 1;
    visible += row.hidden ? 0 : 1;
  }
  say(`${shown().length} of ${data.trials.length} trials and ${visible} of ${all} rows of tables are shown.`);
  fill();
  dots();
}
function choices(kind) {
  const group = make("fieldset", {class: "choices"}, make("legend", {}, `Only ${kind}`));
  for (const name of unique(data.trials.map(trial => trial[kind])).sort()) {
    const box = make("input", {type: "checkbox", name: kind, value: name, onchange: () => {
      if (box.checked) chosen[kind].add(name); else chosen[kind].delete(name);
      filter();
    }});
    group.append(make("label", {}, box, ` ${name}`));
  }
  return group;
}

/* Values of trials: one point each. */
const quantity = make("select", {id: "explore-quantity", onchange: () => dots()},
  ...data.quantities.map((each, place) => make("option", {value: place}, each.title + (each.unit ? ` (${each.unit})` : ""))));
const field = make("div", {class: "plot", tabindex: "0", role: "group", "aria-label": "Values of trials: arrow keys go from trial to trial"});
const told = make("output", {class: "told"});
const cite = make("button", {type: "button", hidden: "", onclick: () => copy(cite.dataset.text, cite)}, "Copy a citation");
let points = [], current = -1;
const SVG = "http://www.w3.org/2000/svg";
function draw(parent, tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}
function dots() {
  const place = Number(quantity.value), unit = data.quantities[place].unit;
  const cells = unique(shown().map(trial => trial.cell)).sort();
  const wide = Math.max(320, field.clientWidth - 2), row = 22, tall = cells.length * row + 34;
  // Names are cut only where they would leave too little room for the values; 7 px hold a letter.
  const left = Math.min(7 * Math.max(0, ...cells.map(name => name.length)) + 7, wide * 0.5);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
  svg.setAttribute("aria-hidden", "true");
  field.replaceChildren(svg);
  points = shown().filter(trial => trial.values[place] !== null);
  current = -1;
  pick(-1);
  const values = points.map(trial => trial.values[place]);
  const low = Math.min(0, ...values), most = Math.max(low, ...values), high = most > low ? most : low + 1;
  const x = value => left + 8 + (value - low) / (high - low) * (wide - left - 24);
  const rough = (high - low) / 4, size = 10 ** Math.floor(Math.log10(rough));
  const gap = size * [1, 2, 5, 10].find(factor => factor * size >= rough);
  for (let value = Math.ceil(low / gap) * gap; value <= high; value += gap) {
    draw(svg, "line", {x1: x(value), x2: x(value), y1: 4, y2: tall - 26, class: "grid"});
    draw(svg, "text", {x: x(value), y: tall - 10, "text-anchor": "middle"}, digits(value));
  }
  cells.forEach((name, number) => {
    const text = name.length > left / 7 ? `${name.slice(0, Math.floor(left / 7))}\u2026` : name;
    draw(svg, "text", {x: left, y: number * row + 20, "text-anchor": "end"}, text);
  });
  points.forEach((trial, number) => {
    const series = unique(data.trials.map(each => each.variant)).sort().indexOf(trial.variant) % 6 + 1;
    const circle = draw(svg, "circle", {
      cx: x(trial.values[place]), cy: cells.indexOf(trial.cell) * row + 16, r: 5,
      class: trial.valid ? "point" : "point invalid", style: `--own: var(--series-${series})`,
    });
    circle.addEventListener("pointerenter", () => pick(number));
    circle.addEventListener("click", () => { pick(number); line.value = trial.trial; timeline(); });
  });
  if (!points.length) told.textContent = `No trial that is shown has this value${unit ? ` (${unit})` : ""}.`;
}
function pick(number) {
  field.querySelectorAll("circle").forEach((circle, place) => circle.classList.toggle("picked", place === number));
  current = number;
  cite.hidden = number < 0;
  cite.textContent = cite.dataset.words ?? cite.textContent;
  if (number < 0) { told.textContent = "Point at a trial, or use the arrow keys."; return; }
  const trial = points[number], each = data.quantities[Number(quantity.value)];
  const value = `${digits(trial.values[Number(quantity.value)])}${each.unit ? ` ${each.unit}` : ""}`;
  told.textContent = `${trial.trial}${trial.valid ? "" : " (invalid)"}: ${each.title.toLowerCase()} ${value}`;
  cite.dataset.text = `${trial.trial}: ${each.title.toLowerCase()} = ${value} (schedlab trace ${trial.trial}; lineage ${trial.lineage})`;
}
field.addEventListener("keydown", event => {
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  if (!step || !points.length) return;
  event.preventDefault();
  pick((current + step + points.length) % points.length);
});

/* One trial over time: its jobs, and below them how many wait and run. */
const line = make("select", {id: "explore-trial", onchange: () => timeline()});
const plots = make("div", {class: "plot", tabindex: "0", role: "group",
  "aria-label": "Time line: plus and minus zoom, arrow keys to the side move, up and down go from job to job, 0 shows everything"});
const seen = make("output", {class: "told"});
let drawn = [], range = null, whole = [0, 1], listed = [], told_of = -1;
function fill() {
  const before = line.value;
  const known = shown().filter(trial => trial.jobs && trial.jobs.number.length);
  line.replaceChildren(...known.map(trial => make("option", {value: trial.trial}, trial.trial + (trial.valid ? "" : " (invalid)"))));
  if (known.some(trial => trial.trial === before)) line.value = before;
  if (line.value !== before || !drawn.length) timeline();
}
function instants(jobs) {
  let due = 0;
  return jobs.number.map((number, place) => {
    due += jobs.due[place];
    const wait = jobs.wait[place], run = jobs.run[place];
    return {number, due: due / 1e3, wait: wait < 0 ? null : wait / 1e3, run: run < 0 || wait < 0 ? null : run / 1e3, nodes: jobs.nodes[place]};
  });
}
function counts(jobs) {
  const steps = [];
  for (const job of jobs) {
    steps.push([job.due, 1, 0]);
    if (job.wait === null) continue;
    steps.push([job.due + job.wait, -1, 1]);
    if (job.run !== null) steps.push([job.due + job.wait + job.run, 0, -1]);
  }
  steps.sort((a, b) => a[0] - b[0]);
  const result = [[], [], []];
  let waiting = 0, running = 0;
  for (const [at, more, runs] of steps) {
    waiting += more;
    running += runs;
    const last = result[0].length - 1;
    if (result[0][last] === at) { result[1][last] = waiting; result[2][last] = running; continue; }
    result[0].push(at); result[1].push(waiting); result[2].push(running);
  }
  return result;
}
function zoom(low, high) {
  const span = Math.max(high - low, (whole[1] - whole[0]) / 1e5);
  low = Math.max(whole[0], Math.min(low, whole[1] - span));
  range = [low, Math.min(whole[1], low + span)];
  for (const plot of drawn) plot.setScale("x", {min: range[0], max: range[1]});
  [plots.dataset.from, plots.dataset.to] = range;
}
function move(by, factor) {
  const middle = (range[0] + range[1]) / 2, half = (range[1] - range[0]) / 2;
  zoom(middle + by * half - half * factor, middle + by * half + half * factor);
}
const KEYS = {"+": [0, 0.5], "=": [0, 0.5], "-": [0, 2], ArrowLeft: [-0.5, 1], ArrowRight: [0.5, 1], "0": [0, 1e9]};
plots.addEventListener("keydown", event => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (!(KEYS[event.key] || step) || !drawn.length) return;
  event.preventDefault();
  if (step) pass(step);
  else move(...KEYS[event.key]);
});
function pass(step) {
  told_of = Math.max(0, Math.min(listed.length - 1, told_of + step));
  const job = listed[told_of], half = (range[1] - range[0]) / 2;
  tell(job);
  if (job.due < range[0] || job.due > range[1]) zoom(job.due - half, job.due + half);
  else drawn[0].redraw(false);
}
const buttons = make("div", {class: "buttons"}, ...[["Zoom in", "+"], ["Zoom out", "-"], ["Earlier", "ArrowLeft"], ["Later", "ArrowRight"], ["Show all", "0"]]
  .map(([name, key]) => make("button", {type: "button", onclick: () => drawn.length && move(...KEYS[key])}, name)));
function axes(upright) {
  const look = {stroke: css("--ink"), grid: {stroke: css("--grid"), width: 1}, ticks: {stroke: css("--grid"), width: 1}, font: "12px system-ui"};
  const label = {labelFont: "12px system-ui", labelSize: 18};
  return [{...look, ...label, size: 32, label: "s since the first job was due"}, {...look, ...label, label: upright, size: 56}];
}
function timeline() {
  drawn.forEach(plot => plot.destroy());
  drawn = [];
  plots.replaceChildren();
  const trial = data.trials.find(each => each.trial === line.value);
  seen.textContent = trial ? "" : "No trial that is shown has a time line here.";
  if (!trial) return;
  const jobs = instants(trial.jobs), totals = counts(jobs);
  listed = jobs;
  told_of = -1;
  // A little beyond the last event: a job without an end runs on to the edge.
  whole = [0, Math.max(...totals[0].slice(-1), 1e-3) * 1.02];
  range = [...whole];
  const wide = Math.max(300, plots.clientWidth - 2);
  const common = {
    width: wide, scales: {x: {time: false}}, legend: {show: true, live: true},
    cursor: {drag: {x: true, y: false, setScale: false}, sync: {key: "explore"}},
    hooks: {setSelect: [plot => {
      if (plot.select.width < 3) return;
      const low = plot.posToVal(plot.select.left, "x"), high = plot.posToVal(plot.select.left + plot.select.width, "x");
      plot.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
      zoom(low, high);
    }], ready: [plot => plot.over.addEventListener("dblclick", () => zoom(...whole))]},
  };
  const step = uPlot.paths.stepped({align: 1});
  const bars = new uPlot({
    ...common, height: 280, axes: axes("jobs, by due time"), legend: {show: false},
    scales: {x: {time: false}, y: {range: [jobs.length, -1]}},
    series: [{label: "s"}, {label: "job", paths: () => null, points: {show: false}}],
    hooks: {...common.hooks, draw: [plot => gantt(plot, jobs)], setCursor: [plot => point(plot, jobs)]},
  }, [[0, whole[1]], [0, jobs.length]], plots);
  const queue = new uPlot({
    ...common, height: 170, axes: axes("jobs at once"),
    series: [{label: "s", value: (plot, value) => value === null ? "" : digits(value)},
      {label: "waiting", stroke: css("--series-2"), paths: step, points: {show: false}},
      {label: "running", stroke: css("--series-1"), paths: step, points: {show: false}}],
  }, totals, plots);
  drawn = [bars, queue];
  for (const plot of drawn) plot.root.querySelectorAll("canvas").forEach(canvas => canvas.setAttribute("aria-hidden", "true"));
  zoom(...whole);
  seen.textContent = `${trial.trial}: ${jobs.length} jobs. Point at a job, or use the arrow keys up and down; drag to zoom, double click to show all.`;
}
function gantt(plot, jobs) {
  const {ctx} = plot, {left, top, width, height} = plot.bbox;
  const thick = Math.max(1, Math.min(14, height / jobs.length * 0.8));
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  const at = value => plot.valToPos(value, "x", true);
  jobs.forEach((job, place) => {
    const begun = job.wait === null ? whole[1] : job.due + job.wait;
    const ended = job.run === null ? (job.wait === null ? begun : whole[1]) : begun + job.run;
    if (ended < range[0] || job.due > range[1]) return;
    const y = plot.valToPos(place, "y", true) - thick / 2;
    ctx.fillStyle = colours.wait;
    ctx.fillRect(at(job.due), y + thick * 0.3, Math.max(at(begun) - at(job.due), 0.5), thick * 0.4);
    ctx.fillStyle = colours.run;
    if (job.wait !== null) ctx.fillRect(at(begun), y, Math.max(at(ended) - at(begun), 1), thick);
    if (place === told_of) {
      ctx.strokeStyle = colours.ink;
      ctx.strokeRect(at(job.due) - 2, y - 2, at(ended) - at(job.due) + 4, thick + 4);
    }
  });
  ctx.restore();
}
function point(plot, jobs) {
  if (plot.cursor.top === null || plot.cursor.top < 0) return;
  const job = jobs[Math.round(plot.posToVal(plot.cursor.top, "y"))];
  if (job) tell(job);
}
function tell(job) {
  const word = (name, value) => `${name} ${value === null ? "no end" : `${digits(value)} s`}`;
  seen.textContent = `${line.value}, job ${job.number} on ${job.nodes} node${job.nodes === 1 ? "" : "s"}: due at ${digits(job.due)} s, ${word("waited", job.wait)}, ${word("ran", job.run)}`;
}
const colours = {};
function recolour() {
  colours.wait = css("--series-2");
  colours.run = css("--series-1");
  colours.ink = css("--ink");
}
explore.append(
  make("div", {class: "filters"}, choices("variant"), choices("workload")), status,
  make("h3", {}, "Values of trials"),
  make("p", {}, make("label", {for: "explore-quantity"}, "Quantity "), quantity), field, make("p", {}, told, " ", cite),
  make("h3", {}, "One trial over time"),
  make("p", {}, make("label", {for: "explore-trial"}, "Trial "), line), buttons,
  make("p", {class: "key"}, make("span", {class: "wait"}), " waits ", make("span", {class: "run"}), " runs"), plots, make("p", {}, seen),
);
explore.hidden = false;
document.querySelectorAll("a[href='#explore']").forEach(link => { link.hidden = false; });
recolour();
fill();
dots();
const again = () => { recolour(); dots(); timeline(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
let width = explore.clientWidth, waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (explore.clientWidth !== width) { width = explore.clientWidth; again(); } }, 150);
});
document.documentElement.dataset.interactive = "yes";
})();

// The chart of decisions a second, and the same numbers as a table. Colours are those of the page, light or dark.
const SECONDS = 600;
const NAMES = ["APPROVE", "REDUCE_SIZE", "REJECT"];
const LABELS = ["Approve", "Reduce size", "Reject"];
const DASHES = [[], [8, 4], [2, 3]];
const place = document.getElementById("rates-chart");
const table = document.getElementById("rates-table");

const data = [JSON.parse(place.dataset.at), ...NAMES.map((name) => JSON.parse(place.dataset.rates)[name])];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let chart;

function clock(seconds) {
  return new Date(seconds * 1000).toISOString().slice(11, 19);
}

function widthOf() {
  return Math.max(200, place.clientWidth);
}

function draw() {
  chart?.destroy();
  const ink = colour("--muted");
  const grid = { stroke: colour("--line"), width: 1 };
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: ink, grid, ticks: grid, font };
  chart = new uPlot(
    {
      width: widthOf(),
      height: 230,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false, points: { size: 6 } },
      scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
      series: [
        { label: "Time (UTC)", value: (_, at) => (at == null ? "–" : clock(at)) },
        ...NAMES.map((_, at) => ({
          label: LABELS[at],
          stroke: colour(`--chart-${at + 1}`),
          width: 1.75,
          dash: DASHES[at],
          points: { show: false },
          value: (_, rate) => (rate == null ? "–" : `${rate.toFixed(1)} a second`),
        })),
      ],
      axes: [
        { ...axis, values: (_, ticks) => ticks.map(clock), space: 80 },
        { ...axis, size: 52, values: (_, ticks) => ticks.map((rate) => rate.toLocaleString("en")) },
      ],
    },
    data,
    place,
  );
}

function fillTable() {
  if (!table.closest("details").open) return;
  const rows = [];
  for (let at = data[0].length - 1; at >= Math.max(0, data[0].length - 60); at -= 10) {
    rows.push([clock(data[0][at]), ...NAMES.map((_, of) => data[of + 1][at].toFixed(1))]);
  }
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of ["Time (UTC)", ...LABELS.map((label) => `${label}, a second`)]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  table.replaceChildren(made);
}

document.addEventListener("ringfence:points", ({ detail }) => {
  detail.at.forEach((second, place) => {
    if (data[0].length && second <= data[0].at(-1)) return;
    data[0].push(second);
    NAMES.forEach((name, at) => data[at + 1].push(detail.rates[name][place]));
  });
  while (data[0][0] < data[0].at(-1) - SECONDS) for (const series of data) series.shift();
  chart.setData(data);
  fillTable();
});
table.closest("details").addEventListener("toggle", fillTable);
new ResizeObserver(() => chart.setSize({ width: widthOf(), height: 230 })).observe(place);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();

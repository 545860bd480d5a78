"use strict";
(() => {
  const one = (selector, root) => (root || document).querySelector(selector);
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const make = (name, text, parent) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };

  // The theme: as the system says, until a reader chooses. Storage may be refused to a local file.
  const themes = ["system", "light", "dark"];
  const button = one("#theme");
  const recall = () => { try { return localStorage.getItem("ringfence-theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("ringfence-theme", theme); } catch { /* not kept */ } };
  const dress = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `theme: ${theme}`;
  };
  let theme = themes.includes(recall()) ? recall() : "system";
  dress(theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    dress(theme);
    keep(theme);
  });

  // Plots: the values of the bucket under the pointer, or chosen with the arrow keys.
  const data = JSON.parse(one("#data").textContent);
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const told = (value, unit) => {
    if (value === null || value === undefined) return "n/a";
    if (unit === "count") return whole.format(value);
    if (unit === "percent") return `${tenths.format(100 * value)} %`;
    return `${cents.format(value)} ${unit.slice(6)}`;
  };
  const time = (seconds) => `${new Date(1000 * seconds).toISOString().slice(0, 19).replace("T", " ")} UTC`;

  const bucketAt = (seconds) => {
    let low = 0;
    let high = data.edges.length - 2;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (data.edges[middle] <= seconds) low = middle;
      else high = middle - 1;
    }
    return low;
  };

  const explore = (figure) => {
    const rows = data.plots[figure.dataset.plot];
    const canvas = one(".canvas", figure);
    const readout = one(".readout", figure);
    const drawings = all("svg", canvas);
    const first = data.edges[0];
    const last = data.edges[data.edges.length - 1];
    const [left, right] = data.margins;
    const says = readout.textContent;
    let chosen = -1;

    const clear = () => {
      all(".cross", canvas).forEach((line) => line.remove());
      readout.textContent = says;
    };
    const show = (bucket) => {
      clear();
      chosen = bucket;
      const middle = (data.edges[bucket] + data.edges[bucket + 1]) / 2;
      for (const svg of drawings) {
        const { width, height } = svg.viewBox.baseVal;
        const x = left + ((middle - first) / (last - first)) * (width - left - right);
        const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
        const at = { class: "cross", x1: x, x2: x, y1: 8, y2: height - 30 };
        Object.entries(at).forEach(([name, value]) => line.setAttribute(name, value));
        svg.append(line);
      }
      readout.replaceChildren();
      make("span", time(data.edges[bucket]), readout);
      rows.forEach(([name, unit, values]) => make("span", `${name} ${told(values[bucket], unit)}`, readout));
    };

    canvas.addEventListener("pointermove", (event) => {
      const svg = event.target.closest("svg");
      if (!svg) return;
      const box = svg.getBoundingClientRect();
      const width = svg.viewBox.baseVal.width;
      const share = (((event.clientX - box.left) / box.width) * width - left) / (width - left - right);
      show(bucketAt(first + Math.min(Math.max(share, 0), 1) * (last - first)));
    });
    canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") clear(); });
    canvas.addEventListener("blur", clear);
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show(Math.min(Math.max(chosen + step, 0), data.edges.length - 2));
    });

    const asTable = one(".as-table", figure);
    asTable.hidden = false;
    asTable.addEventListener("click", () => {
      const open = one(".scroll", figure);
      asTable.textContent = open ? "show as table" : "hide the table";
      if (open) open.remove();
      else asTable.after(table(rows, one("h3", figure).textContent));
    });
  };

  const table = (rows, name) => {
    const frame = make("div");
    frame.className = "scroll tall";
    frame.tabIndex = 0;
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", name);
    const grid = make("table", undefined, frame);
    const head = make("tr", undefined, make("thead", undefined, grid));
    make("th", "bucket starts", head);
    rows.forEach(([row]) => { make("th", row, head).className = "num"; });
    const body = make("tbody", undefined, grid);
    data.edges.slice(0, -1).forEach((edge, bucket) => {
      const line = make("tr", undefined, body);
      make("td", time(edge), line);
      rows.forEach(([, unit, values]) => { make("td", told(values[bucket], unit), line).className = "num"; });
    });
    return frame;
  };
  all(".chart").forEach(explore);

  // The changed orders: found, filtered, sorted.
  const changed = one("#changed");
  if (!changed) return;
  const body = one("tbody", changed);
  const rows = all("tr", body);
  const [find, gate, kind, sort, shown] = ["#find", "#gate", "#kind", "#sort", "#shown"].map((id) => one(id));
  const heads = all("thead th", changed);
  one(".filters").hidden = false;
  one(".filters").addEventListener("submit", (event) => event.preventDefault());

  const filter = () => {
    const wanted = find.value.trim().toLowerCase();
    let left = 0;
    for (const row of rows) {
      const fits = (!gate.value || row.dataset.gate === gate.value)
        && (!kind.value || row.dataset.kind === kind.value)
        && (!wanted || row.textContent.toLowerCase().includes(wanted));
      row.hidden = !fits;
      left += fits ? 1 : 0;
    }
    shown.textContent = `${whole.format(left)} of ${whole.format(rows.length)} shown`;
  };
  const order = (column, down) => {
    const value = (row) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    };
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      return typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
    };
    rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
    body.append(...rows);
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  };
  heads.forEach((head, column) => {
    const text = head.textContent;
    head.textContent = "";
    const click = make("button", text, head);
    click.type = "button";
    click.title = `sort by ${text}`;
    click.addEventListener("click", () => order(column, head.getAttribute("aria-sort") === "ascending"));
  });
  [find, gate, kind].forEach((control) => control.addEventListener("input", filter));
  sort.addEventListener("input", () => {
    const [column, down] = sort.value.split(" ");
    order(Number(column), down === "desc");
  });
  filter();
})();

// The server writes times in UTC; beside them stands the time of the reader's own zone, where that is another.
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: "short", hour: "2-digit" });

function zoneName(date) {
  return ZONE.formatToParts(date).find((part) => part.type === "timeZoneName")?.value ?? "local";
}

function two(number) {
  return String(number).padStart(2, "0");
}

function clockOf(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function dayOf(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function isUtc(date = new Date()) {
  return date.getTimezoneOffset() === 0;
}

export function localText(date) {
  const day = dayOf(date);
  const utcDay = date.toISOString().slice(0, 10);
  return `${day === utcDay ? "" : `${day} `}${clockOf(date)} ${zoneName(date)}`;
}

export function localise(root) {
  for (const each of root.querySelectorAll("time[datetime]:not([data-done])")) {
    const date = new Date(each.dateTime);
    each.dataset.done = "";
    if (Number.isNaN(date.getTime()) || isUtc(date)) continue;
    const beside = document.createElement("span");
    beside.className = "local";
    beside.textContent = `(${localText(date)})`;
    each.append(" ", beside);
  }
}

export function showClock(element) {
  if (!element) return;
  const show = () => {
    const now = new Date();
    const utc = `${now.toISOString().slice(0, 10)} ${now.toISOString().slice(11, 19)} UTC`;
    element.textContent = isUtc(now) ? utc : `${utc} · ${localText(now)}`;
  };
  show();
  setInterval(show, 1000);
}

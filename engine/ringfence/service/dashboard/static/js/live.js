// Keeps a page current. `<main data-live="/live/...">` names a stream of events:
//   parts   {"id": "<html>", ...}             what now stands inside the elements of these ids
//   rows    {"into", "html", "most", ...}     rows that come first in a list of at most so many
//   points  {...}                             is passed on as an event of the document, for charts
// Focus and scrolling stay where they are. When nothing comes any more, the page says so.
import { localise } from "./times.js";

const SILENT_MS = 6000;
const AGAIN_MS = 3000;
const LOST = "Connection lost: what you see is old";
const shown = new Map();
let paused = false;
let waiting = 0;

function putParts(parts) {
  for (const [id, html] of Object.entries(parts)) {
    const element = document.getElementById(id);
    if (!element || shown.get(id) === html) continue;
    // Whoever is inside it keeps their place: by the id of what has the focus, or it waits until they leave.
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    if (focused && !focused.id) continue;
    shown.set(id, html);
    element.innerHTML = html;
    localise(element);
    if (focused) document.getElementById(focused.id)?.focus({ preventScroll: true });
  }
}

function putRows({ into, html, most, count, skipped }) {
  const list = document.getElementById(into);
  if (!list) return;
  if (paused) {
    waiting += count;
    showPaused();
    return;
  }
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content;
  localise(fresh);
  for (const row of fresh.querySelectorAll("[data-key]")) {
    list.querySelector(`[data-key="${CSS.escape(row.dataset.key)}"]`)?.remove();
  }
  list.querySelector("[data-empty]")?.remove();
  list.prepend(fresh);
  for (const row of [...list.children].slice(most)) {
    if (!row.contains(document.activeElement)) row.remove();
  }
  const note = document.getElementById("live-note");
  if (note) note.textContent = skipped ? `${skipped} more came at once: search shows them.` : "New decisions come in at the top.";
}

// While it is paused the list stands still; then it is asked for anew, for it may have missed much.
function showPaused() {
  const button = document.querySelector("[data-pause]");
  const more = waiting ? ` (${waiting} new)` : "";
  button.textContent = paused ? `${button.dataset.resume}${more}` : button.dataset.pause;
  button.setAttribute("aria-pressed", String(paused));
}

function allowPause() {
  const button = document.querySelector("[data-pause]");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    if (!paused && waiting) {
      const list = `#${button.dataset.list}`;
      htmx.ajax("GET", location.href, { target: list, select: list, swap: "outerHTML" });
    }
    waiting = 0;
    showPaused();
  });
}

function tell(text) {
  document.documentElement.classList.toggle("stale", Boolean(text));
  const element = document.getElementById("link-state");
  if (!element || element.textContent === text) return;
  element.textContent = text;
  element.hidden = !text;
}

// Whoever is no longer logged in would be sent to the login; everybody else asks again a little later.
async function askWhy(open) {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") {
      tell("You are logged out: load the page again to log in");
      return;
    }
  } catch {
    // The service cannot be reached.
  }
  setTimeout(open, AGAIN_MS);
}

export function followLive() {
  const address = document.querySelector("[data-live]")?.dataset.live;
  if (!address) return;
  const from = new URL(address, location.href);
  let last = Date.now();
  let source;
  const heard = () => {
    last = Date.now();
    tell("");
  };
  const open = () => {
    source = new EventSource(from);
    const on = (name, use) =>
      source.addEventListener(name, (event) => {
        heard();
        const detail = JSON.parse(event.data);
        // A stream that begins anew goes on where this one ends.
        if (detail.last && from.searchParams.has("after")) from.searchParams.set("after", detail.last);
        use(detail);
      });
    source.addEventListener("open", heard);
    on("parts", putParts);
    on("rows", putRows);
    on("points", (detail) => document.dispatchEvent(new CustomEvent("ringfence:points", { detail })));
    on("beat", () => {});
    on("again", () => {
      source.close();
      open();
    });
    source.addEventListener("error", () => {
      tell(LOST);
      // The browser would try again by itself, but from where this stream began.
      source.close();
      askWhy(open);
    });
  };
  open();
  allowPause();
  setInterval(() => {
    if (Date.now() - last > SILENT_MS) tell(LOST);
  }, 1000);
  addEventListener("pagehide", () => source.close());
}

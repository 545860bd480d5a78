// Keeps a page current. `<main data-live="/live/...">` names a stream of events:
//   parts   {"id": "<html>", ...}             what now stands inside the elements of these ids
//   rows    {"into", "html", "most", ...}     rows that come first in a list of at most so many
//   points  {"since", ...}                    is passed on as an event of the document, for charts
// Focus and scrolling stay where they are. When nothing comes any more, the page says so. A page that nobody sees asks for
// nothing: a browser keeps six connections to a service, and tabs in the background would leave none for the one in front.
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
    // Whoever is inside it keeps their place: a frame of a table by its number, else by the id of what has the focus, or it
    // waits until they leave.
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    const frames = [...element.querySelectorAll(".table-frame")];
    const scrolled = frames.map((frame) => frame.scrollLeft);
    const at = frames.indexOf(focused);
    if (focused && at < 0 && !focused.id) continue;
    shown.set(id, html);
    element.innerHTML = html;
    localise(element);
    const renewed = element.querySelectorAll(".table-frame");
    frames.forEach((frame, n) => renewed[n]?.scrollTo(scrolled[n], 0));
    if (focused) (renewed[at] ?? document.getElementById(focused.id))?.focus({ preventScroll: true });
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
async function askWhy(address, open, leave) {
  const enough = new AbortController();
  try {
    const answer = await fetch(address, {
      headers: { accept: "text/html" },
      redirect: "manual",
      signal: enough.signal,
    });
    if (answer.type === "opaqueredirect") {
      leave();
      tell("You are logged out: load the page again to log in");
      return;
    }
    enough.abort();
  } catch {
    // The service cannot be reached.
  }
  setTimeout(open, AGAIN_MS);
}

export function followLive() {
  const page = document.querySelector("[data-live]");
  if (!page) return;
  const from = new URL(page.dataset.live, location.href);
  let last = Date.now();
  let isOut = false;
  let source;
  const heard = () => {
    last = Date.now();
    isOut = false;
    tell("");
  };
  const open = () => {
    if (document.hidden) return;
    source?.close();
    source = new EventSource(from);
    const on = (name, use) =>
      source.addEventListener(name, (event) => {
        heard();
        const detail = JSON.parse(event.data);
        // A stream that begins anew goes on where this one ends.
        if (detail.last && from.searchParams.has("after")) from.searchParams.set("after", detail.last);
        if (detail.since) from.searchParams.set("since", detail.since);
        use(detail);
      });
    source.addEventListener("open", heard);
    on("parts", putParts);
    on("rows", putRows);
    on("points", (detail) => document.dispatchEvent(new CustomEvent("ringfence:points", { detail })));
    on("beat", () => {});
    on("again", open);
    source.addEventListener("error", () => {
      tell(LOST);
      // The browser would try again by itself, but from where this stream began.
      source.close();
      askWhy(from, open, () => (isOut = true));
    });
  };
  open();
  allowPause();
  setInterval(() => {
    if (!document.hidden && !isOut && Date.now() - last > SILENT_MS) tell(LOST);
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source?.close();
    // Of several workers another may answer now: then the whole page is that one's.
    else if ("ofOne" in page.dataset) location.reload();
    else {
      last = Date.now();
      open();
    }
  });
  addEventListener("pagehide", () => source?.close());
}

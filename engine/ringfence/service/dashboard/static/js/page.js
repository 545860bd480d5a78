// What every page does: times in the reader's zone, the clock, live parts, menus that close.
import { localise, showClock } from "./times.js";
import { followLive } from "./live.js";

localise(document);
showClock(document.getElementById("clock"));
followLive();

document.addEventListener("htmx:afterSettle", (event) => localise(event.target));

const menu = document.querySelector("details.person");
if (menu) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// Keeps a page up to date, and offers to copy: all else works without it. What changes is asked for as
// the same page again, and put in place part by part.
"use strict";

const EVERY_MS = 3000;
const live = document.getElementById("live");
let isOn = sessionStorage.getItem("live") !== "off";
let isAsking = false;

// What was said once is not said again when the page is looked at later.
const address = new URL(location.href);
if (address.searchParams.has("said")) {
  address.searchParams.delete("said");
  address.searchParams.delete("n");
  history.replaceState(null, "", address);
}

function show() {
  live.setAttribute("aria-pressed", String(isOn));
}

// A part that somebody is about to use stays as it is.
function isInUse(part) {
  if (part.contains(document.activeElement) && document.activeElement !== part) return true;
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && part.contains(selection.anchorNode)) return true;
  return part.querySelector("details[open]") !== null;
}

async function refresh() {
  if (!isOn || isAsking || document.hidden) return;
  isAsking = true;
  try {
    const answer = await fetch(location.href, { headers: { "Accept": "text/html" }, redirect: "manual" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Somebody else's page, or the form to sign in: the session is over.
    if (!fresh.getElementById("main")) return location.reload();
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (other && !isInUse(part) && other.innerHTML !== part.innerHTML) {
        const left = part.scrollLeft;
        part.replaceChildren(...other.childNodes);
        part.className = other.className;
        part.scrollLeft = left;
      }
    }
    const at = document.querySelector("footer time");
    const then = fresh.querySelector("footer time");
    if (at && then) at.replaceWith(then);
  } catch {
    // The daemon is away: the page says when it was made, and is asked for again.
  } finally {
    isAsking = false;
  }
}

if (live && document.querySelector("[data-live]")) {
  live.hidden = false;
  show();
  live.addEventListener("click", () => {
    isOn = !isOn;
    sessionStorage.setItem("live", isOn ? "on" : "off");
    show();
    refresh();
  });
  setInterval(refresh, EVERY_MS);
}

for (const button of document.querySelectorAll(".copy")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// All boxes of a list by the one above them.
for (const all of document.querySelectorAll("input[data-all]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
  });
}

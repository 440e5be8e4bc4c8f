// Keeps a page up to date: what the server says has changed is put in its place.
// Markup comes from our own server, which escapes every text; a text that grows is put in as text.

const LIVE = "x-agentmech";

async function enter(place) {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  const answer = await fetch("/enter", { method: "POST", body: new URLSearchParams({ token }) });
  if (answer.ok) location.reload();
  else place.textContent = "The key in this address is not that of this server: it was started anew.";
}

function slot(kind, name) {
  return document.querySelector(`[data-${kind}="${CSS.escape(name)}"]`);
}

function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

// What a person has opened, written or stands on outlives what is replaced around it.
function replaced(place, html) {
  const fresh = made(html);
  const probe = document.createElement("div");
  probe.append(fresh.cloneNode(true));
  if (probe.innerHTML === place.innerHTML) return;
  for (const fold of place.querySelectorAll("details[id]")) {
    const same = fresh.getElementById(fold.id);
    if (same) same.open = fold.open;
  }
  for (const field of place.querySelectorAll("input[id]")) {
    const same = fresh.getElementById(field.id);
    if (same && field.type !== "hidden" && field.value !== field.defaultValue) same.value = field.value;
  }
  const held = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(fresh);
  const focus = held ? document.getElementById(held) : place.querySelector("[autofocus]");
  if (focus) focus.focus({ preventScroll: !place.matches("[data-part=question]") });
}

function shownRows({ name, from, html }) {
  const place = slot("rows", name);
  html.forEach((row, index) => {
    const old = place.children[from + index];
    const fresh = made(row).firstElementChild;
    if (!old) place.append(fresh);
    else if (old.outerHTML !== fresh.outerHTML) {
      for (const fold of old.querySelectorAll("details[id]")) {
        const same = fresh.querySelector(`#${CSS.escape(fold.id)}`);
        if (same) same.open = fold.open;
      }
      old.replaceWith(fresh);
    }
  });
  while (place.children.length > from + html.length) place.lastElementChild.remove();
}

function shownText({ name, more, text }) {
  const place = slot("text", name);
  place.textContent = more ? place.textContent + text : text;
  place.hidden = !place.textContent;
  place.scrollTop = place.scrollHeight;
}

function follow(main) {
  const lost = document.querySelector("[data-lost]");
  let source = null;
  let ended = false;
  const open = () => {
    if (source || ended || document.hidden) return;
    source = new EventSource(main.dataset.events);
    const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    source.onopen = () => { lost.hidden = true; };
    source.onerror = () => {
      lost.textContent = "The server does not answer; this page goes on by itself when it does.";
      lost.hidden = false;
      if (source.readyState === EventSource.CLOSED) { close(); setTimeout(open, 2000); }
    };
    on("part", ({ name, html }) => {
      replaced(slot("part", name), html);
      const link = slot("part", name).querySelector("a[data-go]");
      if (link) location.replace(link.href);
    });
    on("rows", shownRows);
    on("text", shownText);
    on("end", () => { ended = true; close(); });
  };
  const close = () => { if (source) { source.close(); source = null; } };
  // A browser keeps few connections to one server: pages that nobody sees let go of theirs.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

async function sent(event) {
  const form = event.target;
  if (!form.matches("form[data-live]")) return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body: fields, headers: { [LIVE]: "1" } });
    if (answer.ok) return;
    throw new Error(`the server said ${answer.status}`);
  } catch (error) {
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    const lost = document.querySelector("[data-lost]");
    lost.textContent = `It was not sent: ${error.message}`;
    lost.hidden = false;
  }
}

const locked = document.querySelector("[data-enter]");
const main = document.querySelector("main[data-events]");
if (locked) {
  enter(locked);
  addEventListener("hashchange", () => enter(locked));
} else if (location.hash && !document.getElementById(location.hash.slice(1))) {
  history.replaceState(null, "", location.pathname);
}
if (main) follow(main);
document.addEventListener("submit", sent);

// Puts the parts of a page in place that the server sends again. Everything works without it, on reload.
'use strict';
const waiting = new Map();

// Not while somebody is in it: focus, an open detail, a pressed button or a selection would be lost.
const busy = (part) =>
  part.contains(document.activeElement) ||
  part.querySelector('details[open], button:hover, a:hover') !== null ||
  (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));

const place = () => {
  for (const [id, html] of waiting) {
    const part = document.getElementById(id);
    if (part && busy(part)) continue;
    if (part) part.innerHTML = html;
    waiting.delete(id);
  }
};

const source = document.body.dataset.events;
if (source) {
  const lost = document.getElementById('lost');
  const events = new EventSource(source);
  events.onopen = () => { lost.hidden = true; };
  events.onerror = () => { lost.hidden = false; };
  events.addEventListener('part', (event) => {
    const { id, html } = JSON.parse(event.data);
    waiting.set(id, html);
    place();
  });
  // The session has ended: the server asks for the token.
  events.addEventListener('over', () => { events.close(); location.reload(); });
  setInterval(place, 1000);
  addEventListener('pagehide', () => events.close());
}

// Refreshes the parts of the page that say how things are. Without it the page
// is as it was when it was loaded.
(() => {
  'use strict';
  const every = 5000;
  let seen = Date.now();
  let on = true;

  // Whoever is about to press a button must find it where it was.
  const busy = (part) => part.querySelector('form:hover, form:focus-within, :active') !== null;

  const refresh = () => {
    if (!on || document.hidden) return;
    const req = new XMLHttpRequest();
    req.open('GET', './');
    req.responseType = 'document';
    req.timeout = every;
    req.onload = () => {
      if (req.status !== 200 || !req.response) return;
      seen = Date.now();
      document.title = req.response.title;
      for (const part of document.querySelectorAll('[data-live]')) {
        const next = req.response.getElementById(part.id);
        if (next && !busy(part) && !part.isEqualNode(next)) {
          const focused = part.contains(document.activeElement) && document.activeElement.getAttribute('href');
          part.replaceWith(document.importNode(next, true));
          if (focused) {
            document.getElementById(next.id).querySelector('[href="' + CSS.escape(focused) + '"]')?.focus();
          }
        }
      }
    };
    req.send();
  };

  const tell = () => {
    const place = document.getElementById('stale');
    const text = !on ? ', and not refreshed' : Date.now() - seen > 3 * every ? '. The service does not answer since then' : '';
    if (place && place.textContent !== text) place.textContent = text;
  };

  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  const name = () => { button.textContent = on ? 'Stop refreshing' : 'Refresh again'; };
  button.addEventListener('click', () => { on = !on; name(); tell(); if (on) refresh(); });
  name();
  document.querySelector('footer').append(button);

  setInterval(() => { refresh(); tell(); }, every);
  document.addEventListener('visibilitychange', refresh);
})();

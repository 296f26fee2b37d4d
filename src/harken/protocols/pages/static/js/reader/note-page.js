/** The page of one note: records its views and the links that are followed. */

import { client, engage } from './session.js';

const note = /** @type {HTMLElement} */ (document.getElementById('note'));

client.observe(note, note.dataset.id ?? '');
note.addEventListener('click', (event) => {
  const at = /** @type {Element} */ (event.target);
  const link = /** @type {HTMLAnchorElement | null} */ (at.closest('.content a[href]'));
  if (link) engage(note, 'link', { href: link.href });
});

/** The page of one note: records its views and the links that are followed, and marks it. */

import * as reading from './reading/reading.js';
import * as saving from './reading/saving.js';
import { client, engage } from './session.js';

const note = /** @type {HTMLElement} */ (document.getElementById('note'));

reading.start(() => note);
client.observe(note, note.dataset.id ?? '');
note.addEventListener('click', (event) => {
  const at = /** @type {Element} */ (event.target);
  const link = /** @type {HTMLAnchorElement | null} */ (at.closest('.content a[href]'));
  if (link) engage(note, 'link', { href: link.href });
  const { do: what } = /** @type {HTMLElement | null} */ (at.closest('[data-do]'))?.dataset ?? {};
  if (what === 'read') void reading.toggle(note);
  if (what === 'save') void saving.toggle(note);
});

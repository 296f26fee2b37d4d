/** Editing a note. */

import { Refused, json } from '../http.js';
import { toast } from '../toast.js';
import { refresh } from './opening.js';
import { engage } from './session.js';

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('editor'));
const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
const problem = /** @type {HTMLElement} */ (dialog.querySelector('.problem'));
const title = /** @type {HTMLInputElement} */ (form.elements.namedItem('title'));
const content = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem('content'));

/** What the server adds to a K-Block, and does not take back. */
const ADDED = ['preview', 'contradicts', 'updated_at'];

/** Let the reader edit the note of a card. @param {HTMLElement} card */
export async function edit(card) {
  const path = `/api/kblocks/${encodeURIComponent(card.dataset.id ?? '')}`;
  let known;
  try {
    known = await json(path);
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
    return;
  }
  title.value = known.title;
  content.value = known.content;
  problem.textContent = '';
  dialog.showModal();
  title.focus();
  form.onsubmit = (event) => {
    event.preventDefault();
    void save(card, path, known);
  };
}

/** @param {HTMLElement} card @param {string} path @param {Api.KBlock} known as it was when editing began */
async function save(card, path, known) {
  if (title.value === known.title && content.value === known.content) {
    dialog.close();
    return;
  }
  try {
    const now = await json(path);
    if (now.updated_at !== known.updated_at) {
      problem.textContent = 'Somebody changed it meanwhile. Copy your text, close this, and edit the new one.';
      return;
    }
    const changed = { ...now, title: title.value, content: content.value };
    for (const name of ADDED) delete changed[name];
    await json(path, { method: 'PUT', body: changed });
    engage(card, 'edit');
    dialog.close();
    refresh(card, await json(path));
    toast('Saved.');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.textContent = error.message;
  }
}

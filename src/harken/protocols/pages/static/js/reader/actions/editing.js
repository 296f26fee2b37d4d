/** Editing a note. */

import { Refused, json, root } from '../../http.js';
import { toast } from '../../toast.js';
import { drafting } from './drafting.js';
import { part, refresh } from '../card-content.js';
import { engage, query, user } from '../session.js';

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('editor'));
const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
const problem = part(dialog, '.problem');
const conflict = part(dialog, '.conflict');
const title = /** @type {HTMLInputElement} */ (form.elements.namedItem('title'));
const content = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem('content'));

/** Fields that the server adds to a K-Block and does not accept. */
const ADDED = ['preview', 'contradicts', 'source', 'updated_at', 'attachments'];

/** @typedef {ReturnType<typeof drafting>} Drafting */

/** @type {Drafting | undefined} the draft of the note in the editor */
let draft;

dialog.addEventListener('close', () => {
  draft?.leave();
  draft = undefined;
});

/** Open the editor with the note of a card. @param {HTMLElement} card */
export async function edit(card) {
  const id = card.dataset.id ?? '';
  const path = `/api/kblocks/${encodeURIComponent(id)}`;
  let known;
  try {
    known = await json(path);
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
    return;
  }
  if (dialog.open) return;
  title.value = known.title;
  content.value = known.content;
  problem.textContent = '';
  conflict.hidden = true;
  dialog.showModal();
  title.focus();
  draft = drafting(form, { kind: 'edit', user, id }, known.updated_at);
  form.onsubmit = (event) => {
    event.preventDefault();
    void save(card, path);
  };
}

/** @param {HTMLElement} card @param {string} path */
async function save(card, path) {
  const mine = draft;
  if (mine === undefined || title.readOnly) return;
  if (!mine.isChanged()) {
    dialog.close();
    return;
  }
  mine.flush();
  const written = { title: title.value, content: content.value };
  problem.textContent = '';
  conflict.hidden = true;
  lock(true);
  try {
    const now = await json(path);
    if (now.updated_at !== mine.base) {
      offerOverwrite(mine, now, () => save(card, path));
      return;
    }
    const changed = { ...now, ...written };
    for (const name of ADDED) delete changed[name];
    await json(path, { method: 'PUT', body: changed });
    engage(card, 'edit');
    mine.forget();
    if (draft === mine) dialog.close();
    toast('Saved.');
    await show(card, path);
  } catch (error) {
    showProblem(mine, error instanceof Refused ? error.message : String(error));
  } finally {
    lock(false);
  }
}

/** Make the fields read-only while saving, so that no typed text is lost. @param {boolean} isSaving */
function lock(isSaving) {
  title.readOnly = content.readOnly = isSaving;
}

/** @param {Drafting} mine @param {string} message */
function showProblem(mine, message) {
  if (draft === mine) problem.textContent = `${message} Your text is still here.`;
  else toast(`The note was not saved: ${message} Your draft is saved.`);
}

/**
 * Another person changed the note meanwhile: offer to overwrite it.
 * @param {Drafting} mine @param {Api.KBlock} now @param {() => unknown} again
 */
function offerOverwrite(mine, now, again) {
  showProblem(mine, 'Another person has changed this note meanwhile.');
  if (draft !== mine) return;
  const link = /** @type {HTMLAnchorElement} */ (part(conflict, 'a'));
  link.href = `${root}/kblock?${query({ id: now.id })}`;
  part(conflict, 'button').onclick = () => {
    mine.base = now.updated_at;
    void again();
  };
  conflict.hidden = false;
}

/** Update the card with the saved note, if the server answers. @param {HTMLElement} card @param {string} path */
async function show(card, path) {
  try {
    await refresh(card, await json(path));
  } catch {
    // The note is saved; the next load of the page shows it.
  }
}

/** Editing a note. */

import { Refused, json, root } from '../../http.js';
import { toast } from '../../toast.js';
import { drafting } from './drafting.js';
import { part, refresh } from '../opening.js';
import { engage, query, user } from '../session.js';

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('editor'));
const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
const problem = part(dialog, '.problem');
const conflict = part(dialog, '.conflict');
const title = /** @type {HTMLInputElement} */ (form.elements.namedItem('title'));
const content = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem('content'));

/** What the server adds to a K-Block, and does not take back. */
const ADDED = ['preview', 'contradicts', 'updated_at'];

/** @typedef {ReturnType<typeof drafting>} Drafting */

/** @type {Drafting | undefined} of the note that is being edited */
let draft;

dialog.addEventListener('close', () => {
  draft?.leave();
  draft = undefined;
});

/** Let the reader edit the note of a card. @param {HTMLElement} card */
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
      offer(mine, now, () => save(card, path));
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
    say(mine, error instanceof Refused ? error.message : String(error));
  } finally {
    lock(false);
  }
}

/** While it is saved, nothing is typed that would be lost. @param {boolean} isSaving */
function lock(isSaving) {
  title.readOnly = content.readOnly = isSaving;
}

/** @param {Drafting} mine @param {string} what */
function say(mine, what) {
  if (draft === mine) problem.textContent = `${what} Your text is kept here.`;
  else toast(`Nothing was saved: ${what} Your draft is kept.`);
}

/**
 * Somebody changed the note meanwhile: the reader decides.
 * @param {Drafting} mine @param {Api.KBlock} now @param {() => unknown} again
 */
function offer(mine, now, again) {
  say(mine, 'Somebody changed it meanwhile.');
  if (draft !== mine) return;
  const link = /** @type {HTMLAnchorElement} */ (part(conflict, 'a'));
  link.href = `${root}/kblock?${query({ id: now.id })}`;
  part(conflict, 'button').onclick = () => {
    mine.base = now.updated_at;
    void again();
  };
  conflict.hidden = false;
}

/** Show what was saved, if the server still answers. @param {HTMLElement} card @param {string} path */
async function show(card, path) {
  try {
    refresh(card, await json(path));
  } catch {
    // It is saved all the same, and there when the page is loaded again.
  }
}

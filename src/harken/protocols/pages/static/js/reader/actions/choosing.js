/** Choosing the other note of a contradiction where there is no feed to pick it from. */

import { json, request, root } from '../../http.js';
import { toast } from '../../toast.js';
import { client, confirmRecorded, isGuest, user } from '../session.js';
import { takeBack } from './contradicting.js';

const WAIT_MS = 250;
const MOST = 8;

/** Ask which note this one contradicts, and record it. @param {HTMLElement} note */
export function ask(note) {
  if (isGuest) {
    toast('A guest cannot mark contradictions: choose a name.');
    return;
  }
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('choosing'));
  const field = /** @type {HTMLInputElement} */ (dialog.querySelector('input'));
  field.value = '';
  show(note, dialog, nearby());
  dialog.showModal();
  field.focus();
  /** @type {number | undefined} */
  let timer;
  field.oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void look(note, dialog, field), WAIT_MS);
  };
}

/** @typedef {{id: string, title: string}} Choice */

/** @returns {Choice[]} the similar notes on the page */
function nearby() {
  const cards = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('#feed .card')]);
  return cards.map((card) => ({
    id: card.dataset.id ?? '', title: card.querySelector('.title')?.textContent ?? '',
  }));
}

/** @param {HTMLElement} note @param {HTMLDialogElement} dialog @param {HTMLInputElement} field */
async function look(note, dialog, field) {
  const words = field.value.trim();
  if (words === '') {
    show(note, dialog, nearby());
    return;
  }
  try {
    const asked = new URLSearchParams({ q: words, limit: String(MOST), user_id: user });
    const { items } = await json(`/api/kblocks/search?${asked}`);
    if (field.value.trim() === words) show(note, dialog, items);
  } catch (error) {
    show(note, dialog, [], /** @type {Error} */ (error).message);
  }
}

/**
 * @param {HTMLElement} note @param {HTMLDialogElement} dialog @param {Choice[]} found
 * @param {string} [problem]
 */
function show(note, dialog, found, problem = '') {
  const others = found.filter(({ id }) => id !== note.dataset.id);
  const list = /** @type {HTMLElement} */ (dialog.querySelector('.choices'));
  const nothing = others.length === 0 ? 'No note is found. Try other words.' : '';
  /** @type {HTMLElement} */ (dialog.querySelector('[role=status]')).textContent = problem || nothing;
  list.replaceChildren(...others.map((other) => {
    const button = Object.assign(document.createElement('button'), {
      type: 'button', textContent: other.title,
    });
    button.addEventListener('click', () => {
      dialog.close();
      say(note, other);
    });
    const item = document.createElement('li');
    item.append(button);
    return item;
  }));
}

/** @param {HTMLElement} note @param {Choice} other */
function say(note, other) {
  const recording = client.record({
    kblock_id: note.dataset.id ?? '', action: 'contradict', metadata: { contradicts: other.id },
  });
  const text = `Recorded: it contradicts “${other.title}”.`;
  void confirmRecorded(recording, text, async (id) => {
    if (await takeBack([id])) await renew();
  });
  // The line of contradictions is the server's, with a button that takes this one back.
  recording.then(renew, () => {});
}

async function renew() {
  const address = location.pathname.slice(root.length) + location.search;
  const page = await (await request(address)).text();
  const parsed = new DOMParser().parseFromString(page, 'text/html');
  const line = parsed.querySelector('#note .conflicts');
  if (line) document.querySelector('#note .conflicts')?.replaceWith(document.importNode(line, true));
}

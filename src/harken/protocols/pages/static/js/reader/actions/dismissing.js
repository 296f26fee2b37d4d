/** Dismissing cards, and undoing it. */

import { Refused, request } from '../../http.js';
import { toast } from '../../toast.js';
import * as cards from '../cards.js';
import { showPanel } from '../panel.js';
import { client, flushed, isGuest, place, query } from '../session.js';
import { remember } from '../undoing.js';

const UNDO_MS = 10_000;

/** @type {{card: HTMLElement, put: () => void, forget: () => void, settle: () => void}[]} dismissed cards, latest last */
const gone = [];

/** Dismiss a card; its K-Block is hidden from all feeds of the user. @param {HTMLElement} card */
export function dismiss(card) {
  const list = cards.all();
  const index = list.indexOf(card);
  const next = list[index + 1] ?? list[index - 1];
  const hadFocus = card.contains(document.activeElement);
  const mark = document.createComment('');
  cards.unwatch(card);
  client.record({ ...place(card), action: 'dismiss' });
  card.replaceWith(mark);
  if (hadFocus && next) cards.focus(next);
  const title = card.querySelector('.title')?.textContent ?? '';
  const forget = toast(
    `“${shortened(title)}” is dismissed.${isGuest ? ' For guests, it stays hidden on this page only.' : ''}`,
    { label: 'Undo', act: () => void undo(card) },
    UNDO_MS,
  );
  const put = () => {
    mark.replaceWith(card);
    cards.watch(card);
    cards.focus(card);
  };
  gone.push({ card, put, forget, settle: remember(() => void undo(card)) });
}

/** Dismiss the note of this page, which stays on it. @param {HTMLElement} note @param {string} title */
export function dismissHere(note, title) {
  client.record({ ...place(note), action: 'dismiss' });
  const said = isGuest ? 'is dismissed. For guests, feeds still show it' : 'is dismissed: your feeds leave it out';
  const undoHere = async () => {
    settle();
    forget();
    await undoOnServer(note.dataset.id ?? '');
    if (!isGuest) toast('Your feeds will show the note again.');
  };
  const settle = remember(() => void undoHere());
  const forget = toast(`“${shortened(title)}” ${said}.`, { label: 'Undo', act: () => void undoHere() }, UNDO_MS);
}

/** Undo the dismissal of a card. @param {HTMLElement} card */
async function undo(card) {
  const index = gone.findIndex((each) => each.card === card);
  if (index < 0) return;
  const [last] = gone.splice(index, 1);
  last.forget();
  last.settle();
  last.put();
  await undoOnServer(last.card.dataset.id ?? '');
}

/** @param {string} kblockId */
async function undoOnServer(kblockId) {
  // The server hides nothing from guests.
  if (isGuest) return;
  try {
    await client.undismiss(kblockId);
  } catch (error) {
    toast(`The dismissal could not be undone: ${/** @type {Error} */ (error).message}`);
  }
}

/** Show the dismissed notes, each with a button to undo it. */
export async function showDismissed() {
  await flushed();
  await showPanel('Dismissed notes', async () =>
    (await request(`/reader/dismissed?${query()}`)).text());
}

/** Undo a dismissal in the list. @param {HTMLElement} item */
export async function undoListed(item) {
  const id = item.dataset.id ?? '';
  try {
    const card = cards.ofKBlock(id);
    const here = gone.find((each) => each.card === card);
    if (here) await undo(here.card);
    else await undoOnServer(id);
    item.remove();
    toast('Your feeds will show the note again.');
  } catch (error) {
    if (error instanceof Refused) toast(error.message);
    else throw error;
  }
}

/** @param {string} title */
function shortened(title) {
  return title.length > 60 ? `${title.slice(0, 59)}…` : title;
}

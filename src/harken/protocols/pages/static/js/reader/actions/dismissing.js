/** Dismissing cards, and taking that back. */

import { Refused, request } from '../../http.js';
import { toast } from '../../toast.js';
import * as cards from '../cards.js';
import { showPanel } from '../panel.js';
import { client, flushed, isGuest, place, query } from '../session.js';

const UNDO_MS = 10_000;

/** @type {{card: HTMLElement, put: () => void, forget: () => void}[]} the latest comes last */
const gone = [];

/** Hide a card, and its K-Block from all feeds of this reader. @param {HTMLElement} card */
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
    `“${shortened(title)}” is dismissed.${isGuest ? ' A guest’s dismissal holds on this page only.' : ''}`,
    { label: 'Undo', act: () => void undo(card) },
    UNDO_MS,
  );
  const put = () => {
    mark.replaceWith(card);
    cards.watch(card);
    cards.focus(card);
  };
  gone.push({ card, put, forget });
}

/** Take back the dismissal of a card; without one, the last. @param {HTMLElement} [card] */
export async function undo(card) {
  const index = card ? gone.findIndex((each) => each.card === card) : gone.length - 1;
  if (index < 0) {
    toast('There is nothing to undo.');
    return;
  }
  const [last] = gone.splice(index, 1);
  last.forget();
  last.put();
  await takeBack(last.card.dataset.id ?? '');
}

/** @param {string} kblockId */
async function takeBack(kblockId) {
  // What a guest dismissed was hidden nowhere else.
  if (isGuest) return;
  try {
    await client.undismiss(kblockId);
  } catch (error) {
    toast(`It will be hidden again: ${/** @type {Error} */ (error).message}`);
  }
}

/** Show what the reader hides, with a way to take each back. */
export async function showDismissed() {
  await flushed();
  await showPanel('What you dismissed', async () =>
    (await request(`/reader/dismissed?${query()}`)).text());
}

/** Take back a dismissal that is listed. @param {HTMLElement} item */
export async function undoListed(item) {
  const id = item.dataset.id ?? '';
  try {
    const card = cards.ofKBlock(id);
    const here = gone.find((each) => each.card === card);
    if (here) await undo(here.card);
    else await takeBack(id);
    item.remove();
    toast('It will be in your feeds again.');
  } catch (error) {
    if (error instanceof Refused) toast(error.message);
    else throw error;
  }
}

/** @param {string} title */
function shortened(title) {
  return title.length > 60 ? `${title.slice(0, 59)}…` : title;
}

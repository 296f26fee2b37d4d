/** Marking notes as read: by a view, by opening, by hand, and all above. A mark is no event. */

import { json, request } from '../../http.js';
import { toast } from '../../toast.js';
import * as cards from '../cards.js';
import { isGuest, onView, user } from '../session.js';
import { remember } from '../undoing.js';
import * as counts from './counts.js';
import * as marks from './marks.js';

const PATH = '/api/feed/reads';
const UNDO_MS = 10_000;
const WAIT_MS = 300;
/** The ids that one request may have. */
const MOST = 1_000;

/** The K-Blocks that were marked by hand here: a view does not change these. @type {Set<string>} */
const byHand = new Set();
/** Viewed K-Blocks that are not sent yet. @type {Set<string>} */
const waiting = new Set();
/** @type {number | undefined} */
let timer;

/** Start to mark as read what is viewed. @param {(id: string) => HTMLElement | undefined} find the card of a K-Block */
export function start(find) {
  if (isGuest) return;
  onView((id) => {
    const card = find(id);
    if (card === undefined || byHand.has(id) || marks.has(card, 'read')) return;
    marks.show(card, 'read', true);
    waiting.add(id);
    timer ??= setTimeout(() => void send(), WAIT_MS);
  });
  addEventListener('pagehide', () => void send());
}

/** Send the marks of viewed notes. */
export async function send() {
  clearTimeout(timer);
  timer = undefined;
  const ids = [...waiting];
  waiting.clear();
  if (ids.length === 0) return;
  try {
    await post({ kblock_ids: ids }, true);
    counts.refresh();
  } catch {
    // The notes are viewed again, or marked by hand.
  }
}

/** Mark an opened note as read, and put it first in the history. @param {HTMLElement} card */
export async function opened(card) {
  if (isGuest) return;
  marks.show(card, 'read', true);
  try {
    await post({ kblock_ids: [card.dataset.id], is_opened: true });
    counts.refresh();
  } catch {
    // What is open can be read without the mark.
  }
}

/** Mark a note as read, or as unread again. @param {HTMLElement} card */
export async function toggle(card) {
  if (isGuest) {
    toast('Marks are not kept for guests.');
    return;
  }
  const is = !marks.has(card, 'read');
  byHand.add(card.dataset.id ?? '');
  await change([card], is);
}

/** Mark a card and all above it as read; without a card, all on the page. @param {HTMLElement | null} card */
export async function readAbove(card) {
  if (isGuest) {
    toast('Marks are not kept for guests.');
    return;
  }
  const all = cards.all();
  const above = card === null ? all : all.slice(0, all.indexOf(card) + 1);
  await send();
  const unread = above.filter((each) => !marks.has(each, 'read'));
  if (unread.length === 0) {
    toast('All of these notes are read.');
    return;
  }
  const changed = new Set(await change(unread, true));
  if (changed.size === 0) return;
  const undo = () => {
    forget();
    close();
    void change(unread.filter((each) => changed.has(each.dataset.id ?? '')), false);
  };
  const forget = remember(undo);
  const notes = changed.size === 1 ? '1 note is' : `${changed.size} notes are`;
  const close = toast(`${notes} marked as read.`, { label: 'Undo', act: undo }, UNDO_MS);
}

/**
 * Mark cards, and show it; if the server refuses, they are as before.
 * @param {HTMLElement[]} some @param {boolean} isRead
 * @returns {Promise<string[]>} the ids of the K-Blocks whose mark changed
 */
async function change(some, isRead) {
  const ids = some.map((each) => each.dataset.id ?? '');
  for (const each of some) marks.show(each, 'read', isRead);
  for (const id of ids) {
    byHand.add(id);
    waiting.delete(id);
  }
  try {
    const changed = [];
    for (let at = 0; at < ids.length; at += MOST) {
      const part = ids.slice(at, at + MOST);
      changed.push(...(await post({ kblock_ids: part, is_read: isRead })).changed);
    }
    counts.refresh();
    return changed;
  } catch (error) {
    for (const each of some) marks.show(each, 'read', !isRead);
    toast(/** @type {Error} */ (error).message);
    return [];
  }
}

/** @param {Record<string, unknown>} body @param {boolean} [keepalive] whether it may outlive the page */
async function post(body, keepalive = false) {
  const sent = { user_id: user, ...body };
  if (!keepalive) return json(PATH, { method: 'POST', body: sent });
  return request(PATH, {
    method: 'POST', keepalive, headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(sent),
  });
}

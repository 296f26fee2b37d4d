/** Muting a tag, an author or a source: its cards leave the page at once, and can be brought back. */

import { json } from '../../http.js';
import { toast } from '../../toast.js';
import * as cards from '../cards.js';
import { user } from '../session.js';
import { remember } from '../undoing.js';
import * as counts from './counts.js';

const UNDO_MS = 10_000;
const WHAT = { muted_tags: 'tag', muted_authors: 'author', muted_sources: 'source' };
const path = `/api/users/${encodeURIComponent(user)}/preferences`;

/** @typedef {keyof typeof WHAT} Kind */

/**
 * Mute a tag, an author or a source.
 * @param {string} kind a key of `WHAT` @param {string} name of a source, its key
 * @param {string} [shown] what people call it
 */
export async function mute(kind, name, shown = name) {
  if (!await change(kind, (known) => [...new Set([...known, name])])) return;
  await apply();
  const hidden = cards.all().filter((card) => card.hidden && hasLabel(card, kind, name)).length;
  const notes = hidden === 1 ? '1 note here is' : `${hidden} notes here are`;
  const undo = () => {
    forget();
    close();
    void unmute(kind, name, shown);
  };
  const forget = remember(undo);
  const close = toast(
    `The ${WHAT[/** @type {Kind} */ (kind)]} “${shown}” is muted; ${notes} hidden.`,
    { label: 'Undo', act: undo },
    UNDO_MS,
  );
}

/** Mute it no more. @param {string} kind @param {string} name @param {string} [shown] */
export async function unmute(kind, name, shown = name) {
  if (!await change(kind, (known) => known.filter((each) => each !== name))) return;
  const hidden = cards.all().filter((card) => card.hidden).length;
  await apply();
  const back = hidden - cards.all().filter((card) => card.hidden).length;
  const what = WHAT[/** @type {Kind} */ (kind)];
  if (back > 0) toast(`The ${what} “${shown}” is not muted any more.`);
  else {
    toast(`The ${what} “${shown}” is not muted any more. New pages show its notes.`, {
      label: 'Reload', act: () => location.reload(),
    });
  }
}

/** @type {Record<Kind, string[]> | undefined} what is muted, once it was changed here */
let muted;

/** Hide the cards on the page that have what is muted now, and show the others. */
export async function apply() {
  if (muted === undefined) return;
  const found = muted;
  const kinds = /** @type {Kind[]} */ (Object.keys(WHAT));
  const focused = cards.current();
  for (const card of cards.all()) {
    const isMuted = kinds.some((kind) => found[kind].some((name) => hasLabel(card, kind, name)));
    if (isMuted === card.hidden) continue;
    card.hidden = isMuted;
  }
  if (focused?.hidden) cards.move(1);
  counts.refresh();
}

/** @param {HTMLElement} card @param {string} kind @param {string} name */
function hasLabel(card, kind, name) {
  if (kind === 'muted_sources') return card.querySelector(`[data-source="${CSS.escape(name)}"]`) !== null;
  const where = kind === 'muted_tags' ? '.tags li' : '.author';
  return [...card.querySelectorAll(where)].some((each) => each.textContent === name);
}

/**
 * Change what is muted. The other preferences stay as they are now.
 * @param {string} kind @param {(known: string[]) => string[]} changed
 * @returns {Promise<boolean>} whether it is stored
 */
async function change(kind, changed) {
  try {
    const known = await json(path);
    const body = { ...known, [kind]: changed(known[kind]) };
    muted = await json(path, { method: 'PUT', body });
    return true;
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
    return false;
  }
}

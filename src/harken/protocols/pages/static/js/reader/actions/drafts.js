/** Drafts: unsent texts, which this browser stores until they are sent. */

import { root } from '../../http.js';

/**
 * @typedef {{kind: string, user: string, id: string}} Place kind of text, user, and K-Block id
 * @typedef {{at: number, fields: Record<string, string>, base: string}} Draft `at` is in
 *   milliseconds since 1970; `base` is the version of the note that the draft began from
 */

const PREFIX = 'harken.draft ';
/** The limit of all drafts. The storage has about five million; queued events need some of it. */
const MOST_CHARACTERS = 2_000_000;
const MOST_AGE_MS = 90 * 86_400_000;

/** @param {Place} place */
function nameOf({ kind, user, id }) {
  return PREFIX + JSON.stringify([root, kind, user, id]);
}

/**
 * Store a draft; it replaces one of the same place.
 * @param {Place} place @param {Record<string, string>} fields @param {string} base
 * @returns {boolean} whether it was stored: storage may be full or disabled
 */
export function keep(place, fields, base) {
  const name = nameOf(place);
  const text = JSON.stringify({ at: Date.now(), fields, base });
  try {
    if (sizeOfOthers(name) + name.length + text.length > MOST_CHARACTERS) return false;
    localStorage.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

/** @param {Place} place @returns {Draft | undefined} */
export function find(place) {
  try {
    return read(localStorage.getItem(nameOf(place)));
  } catch {
    return undefined;
  }
}

/** @param {Place} place */
export function forget(place) {
  try {
    localStorage.removeItem(nameOf(place));
  } catch {
    // Without storage there is no draft.
  }
}

/** Parse a draft; undefined if the text is not one. @param {string | null} text */
function read(text) {
  try {
    const { at, fields, base } = JSON.parse(text ?? '');
    const isDraft = Number.isFinite(at) && typeof base === 'string'
      && Object.values(fields).every((each) => typeof each === 'string');
    return isDraft ? { at, fields, base } : undefined;
  } catch {
    return undefined;
  }
}

/** Return the size of all other drafts, in characters; drafts older than 90 days are deleted. @param {string} name */
function sizeOfOthers(name) {
  let size = 0;
  const names = Object.keys(localStorage).filter((each) => each.startsWith(PREFIX));
  for (const each of names.filter((other) => other !== name)) {
    const text = localStorage.getItem(each);
    if ((read(text)?.at ?? 0) < Date.now() - MOST_AGE_MS) localStorage.removeItem(each);
    else size += each.length + (text?.length ?? 0);
  }
  return size;
}

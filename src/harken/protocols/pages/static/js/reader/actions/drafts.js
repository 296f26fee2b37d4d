/** Drafts: what somebody typed and did not send, kept by this browser until it is sent. */

import { root } from '../../http.js';

/**
 * @typedef {{kind: string, user: string, id: string}} Place what is written, by whom, about what
 * @typedef {{at: number, fields: Record<string, string>, base: string}} Draft `base` is the version
 *   of the note that it began from
 */

const PREFIX = 'harken.draft ';
/** The client keeps events that wait in the same storage, which holds some five million. */
const MOST_CHARACTERS = 2_000_000;
const MOST_AGE_MS = 90 * 86_400_000;

/** @param {Place} place */
function nameOf({ kind, user, id }) {
  return PREFIX + JSON.stringify([root, kind, user, id]);
}

/**
 * Keep a draft; one of the same place is replaced.
 * @param {Place} place @param {Record<string, string>} fields @param {string} base
 * @returns {boolean} whether it is kept: storage may be full, or switched off
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
    // What keeps nothing has nothing to forget.
  }
}

/** Others may have written anything under the name. @param {string | null} text */
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

/** How much other drafts take; those that are long forgotten leave. @param {string} name */
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

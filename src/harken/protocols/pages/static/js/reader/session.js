/** The user of the page, and the client that records their events. */

import { createClient } from '../../harken-client.js';
import { key, root } from '../http.js';
import { toast } from '../toast.js';
import * as drafts from './actions/drafts.js';

const holder = /** @type {HTMLElement} */ (document.querySelector('[data-user]'));

/** The id of the user, which the server put into the page. */
export const user = holder.dataset.user ?? 'guest';
export const isGuest = user === 'guest';
const { named } = holder.dataset;

export const client = createClient({
  userId: user,
  baseUrl: location.origin + root,
  apiKey: key(),
  onGiveUp: onRefused,
  onView: (id) => notifyView(id),
});

/** @type {(id: string) => void} */
let notifyView = () => {};

/** Call a function with the id of each K-Block whose view begins. @param {(id: string) => void} act */
export function onView(act) {
  notifyView = act;
}

const TIMEOUT_MS = 2_000;
const UNDO_MS = 10_000;

/** Send the queued events; resolves after 2 seconds if the server does not answer. */
export function flushed() {
  return Promise.race([client.flush(), wait(TIMEOUT_MS)]);
}

/**
 * Show a message when an event is recorded, or that the server does not answer.
 * @param {Promise<{interaction_id: string}>} recording @param {string} text
 * @param {(id: string) => unknown} [undo] undoes the event, by its id
 */
export async function confirmRecorded(recording, text, undo) {
  const late = Symbol('late');
  try {
    const outcome = await Promise.race([recording, wait(TIMEOUT_MS).then(() => late)]);
    if (typeof outcome === 'symbol') {
      toast('The server does not answer. Your browser keeps the event and sends it later.');
      return;
    }
    const { interaction_id: id } = outcome;
    if (undo) toast(text, { label: 'Undo', act: () => undo(id) }, UNDO_MS);
    else toast(text);
  } catch {
    // `onRefused` has already shown the error.
  }
}

/**
 * Return query parameters; they name the user if the address of this page does.
 * @param {Record<string, string>} [parameters]
 */
export function query(parameters = {}) {
  return new URLSearchParams(named ? { ...parameters, user: named } : parameters).toString();
}

/**
 * Return the fields of an event that identify a card: K-Block, slate and position.
 * @param {HTMLElement} card
 */
export function place(card) {
  const { requestId } = /** @type {HTMLElement | null} */ (card.closest('.slate'))?.dataset ?? {};
  // Results of a search are on no slate.
  const shown = requestId === undefined ? {} : {
    request_id: requestId, position: Number(card.dataset.position),
  };
  return { kblock_id: /** @type {string} */ (card.dataset.id), ...shown };
}

/**
 * Record an engagement with a card.
 * @param {HTMLElement} card @param {string} interactionType
 * @param {Record<string, unknown>} [metadata]
 */
export function engage(card, interactionType, metadata) {
  return client.record({
    ...place(card),
    action: 'engage',
    interaction_type: interactionType,
    ...(metadata && { metadata }),
  });
}

/** @param {number} milliseconds @returns {Promise<void>} */
function wait(milliseconds) {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

/** @param {any[]} events @param {any} problem */
function onRefused(events, problem) {
  const detail = problem?.detail ?? problem?.message ?? problem;
  const comments = events.filter((each) => each.interaction_type === 'comment');
  const kept = comments.filter(keepComment);
  const isKept = kept.length > 0 && kept.length === comments.length;
  const hint = isKept ? ' Your comment is kept as a draft: comment on the note again.' : '';
  toast(`Something you did was not recorded: ${detail}.${hint}`.replace('..', '.'));
}

/** @param {any} event @returns {boolean} whether the text is stored as a draft again */
function keepComment({ kblock_id: id, metadata }) {
  const place = { kind: 'comment', user, id };
  const text = String(metadata?.text ?? '');
  const later = drafts.find(place)?.fields.text;
  // A newer draft is not overwritten; the texts are joined.
  const fields = { text: later === undefined || later === text ? text : `${text}\n\n${later}` };
  return drafts.keep(place, fields, '');
}

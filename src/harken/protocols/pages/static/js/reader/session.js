/** Who reads, and the client that records what they do. */

import { createClient } from '../../harken-client.js';
import { key, root } from '../http.js';
import { toast } from '../toast.js';
import * as drafts from './actions/drafts.js';

const holder = /** @type {HTMLElement} */ (document.querySelector('[data-user]'));

/** The reader; the server settled it. */
export const user = holder.dataset.user ?? 'guest';
export const isGuest = user === 'guest';
const { named } = holder.dataset;

export const client = createClient({
  userId: user,
  baseUrl: location.origin + root,
  apiKey: key(),
  onGiveUp: tellRefused,
});

const PATIENCE_MS = 2_000;

/** Send what waits, but let nobody wait for a server that does not answer. */
export function flushed() {
  return Promise.race([client.flush(), wait(PATIENCE_MS)]);
}

/**
 * Say that something is recorded, once it is.
 * @param {Promise<unknown>} recording @param {string} text
 */
export async function tell(recording, text) {
  const late = Symbol('late');
  try {
    const came = await Promise.race([recording, wait(PATIENCE_MS).then(() => late)]);
    toast(came === late ? 'The server does not answer. It is kept here, and sent later.' : text);
  } catch {
    // Whatever was refused has been told of.
  }
}

/**
 * Name the reader in an address, where this page's address does.
 * @param {Record<string, string>} [parameters]
 */
export function query(parameters = {}) {
  return new URLSearchParams(named ? { ...parameters, user: named } : parameters).toString();
}

/**
 * Say which card of which page something was done with.
 * @param {HTMLElement} card
 */
export function place(card) {
  const slate = /** @type {HTMLElement | null} */ (card.closest('.slate'));
  const seen = slate && {
    request_id: slate.dataset.requestId, position: Number(card.dataset.position),
  };
  return { kblock_id: /** @type {string} */ (card.dataset.id), ...seen };
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
function tellRefused(events, problem) {
  const detail = problem?.detail ?? problem?.message ?? problem;
  const comments = events.filter((each) => each.interaction_type === 'comment');
  const kept = comments.filter(keepComment);
  const isKept = kept.length > 0 && kept.length === comments.length;
  const then = isKept ? ' Your comment is kept as a draft: comment on the note again.' : '';
  toast(`Something you did was not recorded: ${detail}.${then}`.replace('..', '.'));
}

/** @param {any} event @returns {boolean} whether what was typed is a draft again */
function keepComment({ kblock_id: id, metadata }) {
  const place = { kind: 'comment', user, id };
  const text = String(metadata?.text ?? '');
  const later = drafts.find(place)?.fields.text;
  // Another that was begun since is not overwritten.
  const fields = { text: later === undefined || later === text ? text : `${text}\n\n${later}` };
  return drafts.keep(place, fields, '');
}

/** Who reads, and the client that records what they do. */

import { createClient } from '../../harken-client.js';
import { key, root } from '../http.js';

const holder = /** @type {HTMLElement} */ (document.querySelector('[data-user]'));

/** The reader; the server settled it. */
export const user = holder.dataset.user ?? 'guest';
export const isGuest = user === 'guest';
const named = document.getElementById('who')?.dataset.named;

export const client = createClient({
  userId: user, baseUrl: location.origin + root, apiKey: key(),
});

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
  client.record({
    ...place(card), action: 'engage', interaction_type: interactionType,
    ...(metadata && { metadata }),
  });
}

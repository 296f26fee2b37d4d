/** Saving notes for later. A save is an event; its undoing takes the note from the feed `saved`. */

import { Refused, json } from '../../http.js';
import { toast } from '../../toast.js';
import { confirmRecorded, engage, flushed, isGuest, user } from '../session.js';
import * as counts from './counts.js';
import * as marks from './marks.js';

/** Save a note for later, or save it no more. @param {HTMLElement} card */
export async function toggle(card) {
  if (isGuest) toast('Nothing is saved for guests.');
  else if (marks.has(card, 'save')) await unsave(card);
  else await save(card);
}

/** @param {HTMLElement} card */
async function save(card) {
  marks.show(card, 'save', true);
  const recording = engage(card, 'save');
  recording.then(counts.refresh, () => marks.show(card, 'save', false));
  await confirmRecorded(recording, 'Saved for later.');
}

/** @param {HTMLElement} card */
async function unsave(card) {
  marks.show(card, 'save', false);
  try {
    // A save that is queued would arrive after the request that undoes it.
    await flushed();
    const id = encodeURIComponent(card.dataset.id ?? '');
    const { searchParams } = new URL(location.origin);
    searchParams.set('user_id', user);
    await json(`/api/feed/saved/${id}?${searchParams}`, { method: 'DELETE' });
  } catch (error) {
    if (!(error instanceof Refused && error.status === 404)) {
      marks.show(card, 'save', true);
      toast(/** @type {Error} */ (error).message);
      return;
    }
  }
  counts.refresh();
  toast('Not saved any more.', { label: 'Undo', act: () => void save(card) });
}

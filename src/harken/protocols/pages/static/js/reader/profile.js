/** What is believed of the reader, and what they may do about it. */

import { json, request } from '../http.js';
import { toast } from '../toast.js';
import { showPanel } from './panel.js';
import { flushed, query, user } from './session.js';

const body = /** @type {HTMLElement} */ (document.getElementById('panel-body'));
const path = `/api/users/${encodeURIComponent(user)}`;

/** Show the profile, in words and figures. */
export async function showProfile() {
  // What was done a moment ago belongs in it.
  await flushed();
  await showPanel(`What is believed of ${user}`, async () =>
    (await request(`/reader/profile?${query()}`)).text());
  body.querySelector('.mute-form')?.addEventListener('submit', (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    void mute(String(form.get('kind')), String(form.get('name')).trim());
  });
}

/** @param {boolean} personalized whether what the reader did may count */
export function setPersonalized(personalized) {
  return change({ personalized });
}

/** @param {string} kind `muted_tags` or `muted_authors` @param {string} name */
export function mute(kind, name) {
  const known = preferences()[kind];
  return name ? change({ [kind]: [...new Set([...known, name])] }) : undefined;
}

/** @param {string} kind @param {string} name */
export function unmute(kind, name) {
  return change({ [kind]: preferences()[kind].filter((/** @type {string} */ each) => each !== name) });
}

/** Keep what the reader did until now out of what is made for them. */
export async function reset() {
  await tried(() => json(`${path}/profile`, { method: 'DELETE' }));
}

/** @param {Record<string, unknown>} changes */
function change(changes) {
  const wanted = { ...preferences(), ...changes };
  return tried(() => json(`${path}/preferences`, { method: 'PUT', body: wanted }));
}

/** @param {() => Promise<unknown>} act */
async function tried(act) {
  try {
    await act();
    toast('It holds from the next page on.', { label: 'Load it', act: () => location.reload() });
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  }
  await showProfile();
}

/** @returns {Record<string, any>} as they were shown */
function preferences() {
  const holder = /** @type {HTMLElement} */ (body.querySelector('[data-preferences]'));
  return JSON.parse(holder.dataset.preferences ?? '{}');
}

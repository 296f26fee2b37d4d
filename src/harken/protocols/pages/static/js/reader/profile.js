/** The panel “Your interests”: what Harken inferred from your events, preferences and reset. */

import { json, request } from '../http.js';
import { toast } from '../toast.js';
import { showPanel } from './panel.js';
import * as muting from './reading/muting.js';
import { flushed, query, user } from './session.js';

const body = /** @type {HTMLElement} */ (document.getElementById('panel-body'));
const path = `/api/users/${encodeURIComponent(user)}`;

/** Show the interests in sentences and numbers. */
export async function showProfile() {
  // Recent events must be recorded first, so that the server uses them.
  await flushed();
  await showPanel(`Your interests (${user})`, async () =>
    (await request(`/reader/profile?${query()}`)).text());
  body.querySelector('.mute-form')?.addEventListener('submit', (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    void mute(String(form.get('kind')), String(form.get('name')).trim());
  });
}

/** @param {boolean} personalized whether feeds use the interests */
export function setPersonalized(personalized) {
  return change({ personalized });
}

/** @param {string} kind `muted_tags` or `muted_authors` @param {string} name */
export async function mute(kind, name) {
  if (!name) return;
  await muting.mute(kind, name);
  await showProfile();
}

/** @param {string} kind @param {string} name */
export async function unmute(kind, name) {
  await muting.unmute(kind, name);
  await showProfile();
}

/** Reset the profile: feeds ignore earlier events. */
export async function reset() {
  await attempt(() => json(`${path}/profile`, { method: 'DELETE' }));
}

/** @param {Record<string, unknown>} changes */
function change(changes) {
  const changed = { ...preferences(), ...changes };
  return attempt(() => json(`${path}/preferences`, { method: 'PUT', body: changed }));
}

/** @param {() => Promise<unknown>} act */
async function attempt(act) {
  try {
    await act();
    toast('The change applies to new pages.', { label: 'Reload', act: () => location.reload() });
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  }
  await showProfile();
}

/** @returns {Record<string, any>} the preferences that the panel contains */
function preferences() {
  const holder = /** @type {HTMLElement} */ (body.querySelector('[data-preferences]'));
  return JSON.parse(holder.dataset.preferences ?? '{}');
}

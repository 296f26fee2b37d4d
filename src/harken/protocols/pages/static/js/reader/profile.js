/** The panel “Your interests”: what Harken inferred from your events, preferences and reset. */

import { json, request } from '../http.js';
import { toast } from '../toast.js';
import { showPanel } from './panel.js';
import * as muting from './reading/muting.js';
import { flushed, query, user } from './session.js';

const body = /** @type {HTMLElement} */ (document.getElementById('panel-body'));
/** Removes the latest message of a change, so that they do not pile up. */
let forget = () => {};
const path = `/api/users/${encodeURIComponent(user)}`;

/** Show the interests in sentences and words. */
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
  for (const each of body.querySelectorAll('select[data-interest]')) {
    const choice = /** @type {HTMLSelectElement} */ (each);
    const { interest = '', name = '' } = choice.dataset;
    choice.addEventListener('change', () => void setInterest(interest, name, choice.value));
  }
}

/** @param {boolean} personalized whether feeds use the interests */
export function setPersonalized(personalized) {
  return change({ personalized });
}

/** @param {string} kind such as `muted_tags` @param {string} name */
export async function mute(kind, name) {
  if (!name) return;
  await muting.mute(kind, name);
  await showProfile();
}

/** @param {string} kind @param {string} name @param {string} [shown] */
export async function unmute(kind, name, shown) {
  await muting.unmute(kind, name, shown);
  await showProfile();
}

/**
 * Set how much of a label the user wants, in place of what their reading says.
 * @param {string} kind @param {string} name @param {string} value a number; empty: as they read
 */
export function setInterest(kind, name, value) {
  const { interests } = preferences();
  const of = { ...interests[kind] };
  if (value === '') delete of[name];
  else of[name] = Number(value);
  return change({ interests: { ...interests, [kind]: of } }, `[data-name="${CSS.escape(name)}"]`);
}

/** Reset the profile: feeds ignore earlier events. */
export async function reset() {
  await attempt(() => json(`${path}/profile`, { method: 'DELETE' }));
}

/** @param {Record<string, unknown>} changes @param {string} [focus] what has the focus then */
function change(changes, focus) {
  const changed = { ...preferences(), ...changes };
  return attempt(() => json(`${path}/preferences`, { method: 'PUT', body: changed }), focus);
}

/** @param {() => Promise<unknown>} act @param {string} [focus] a selector within the panel */
async function attempt(act, focus) {
  try {
    await act();
    forget();
    forget = toast('Your next page shows it.', { label: 'Next page', act: () => location.reload() });
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  }
  await showProfile();
  if (focus) /** @type {HTMLElement | null} */ (body.querySelector(focus))?.focus();
}

/** @returns {Record<string, any>} the preferences that the panel contains */
function preferences() {
  const holder = /** @type {HTMLElement} */ (body.querySelector('[data-preferences]'));
  return JSON.parse(holder.dataset.preferences ?? '{}');
}

/** The trial of a candidate: its cell in the table of models, and the dialog that takes a step. */

import { actingDialog } from '../../acting-dialog.js';
import { json, root } from '../../http.js';
import { toast } from '../../toast.js';

/** The latest trial and the latest holdback of a model. @typedef {{trial?: Api.Experiment, holdback?: Api.Experiment}} Trials */

const { dialog, ask } = actingDialog('trial');
const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
const plan = /** @type {HTMLElement} */ (document.getElementById('trial-plan'));

/** @param {Api.Model} model @param {Api.Experiment[]} experiments the latest first @returns {Trials} */
export function trialsOf({ id }, experiments) {
  const found = (/** @type {string} */ name) => experiments.find((each) => each.id === `${name}-${id}`);
  return { trial: found('trial'), holdback: found('holdback') };
}

/** Say how the trial of a model stands; null without one. @param {Trials} of */
export function outcome({ trial, holdback }) {
  const said = [];
  if (trial) said.push(`trial ${standing(trial, 'candidate', 'promoted', 'not promoted')}`);
  if (holdback) said.push(`holdback ${standing(holdback, 'new', 'stays', 'taken back')}`);
  return said.join(', ') || null;
}

/** Link to the pages of the trial and the holdback. @param {Trials} of */
export function trialCell({ trial, holdback }) {
  const links = [];
  if (trial) links.push(link(trial, outcome({ trial })));
  if (holdback) links.push(link(holdback, outcome({ holdback })));
  if (!links.length) return '–';
  const cell = Object.assign(document.createElement('span'), { className: 'row' });
  cell.append(...links);
  return cell;
}

/** @param {Api.Experiment} of @param {string} won @param {string} yes @param {string} no */
function standing({ state, decision }, won, yes, no) {
  if (state !== 'decided') return state;
  return decision?.arm === won ? yes : no;
}

/** @param {Api.Experiment} to @param {string | null} text */
function link({ id, version }, text) {
  const href = `${root}/experiments/${encodeURIComponent(id)}?version=${version}`;
  return Object.assign(document.createElement('a'), { href, textContent: text });
}

/**
 * Open the dialog that begins the trial of a model, or looks at it.
 * @param {string} id @param {string | null} serving the model in service
 * @param {boolean} isOpen whether its trial has begun and is not decided
 * @param {() => Promise<void>} changed called after the step
 */
export function openTrial(id, serving, isOpen, changed) {
  say('trial-title', isOpen ? 'Look at this trial?' : 'Try this model on readers?');
  say('trial-text', isOpen
    ? `If readers have decided on ${id}, it is promoted or dropped now. Else the trial goes on.`
    : `${id} and ${serving ?? 'the personal order'} share the pages of some named readers. Whose items readers choose decides which one is in service. The gate is not asked; \`harken models trial\` asks it.`);
  plan.hidden = isOpen;
  ask(isOpen ? 'Look' : 'Begin', async () => {
    const step = await take(id, isOpen ? {} : wanted());
    const text = step.said.join(' ');
    if (!isOpen && step.trial === null) throw new Error(text);
    await changed();
    toast(text);
  });
}

/** @param {string} id @param {Record<string, unknown>} body @returns {Promise<Api.TrialStep>} */
function take(id, body) {
  return json(`/api/models/${encodeURIComponent(id)}/trial`, { method: 'POST', body });
}

/** Return the plan of the form; what is no number is refused by the API. */
function wanted() {
  const fields = [...new FormData(form)].map(([name, text]) => {
    const number = Number(text);
    return [name, String(text).trim() && Number.isFinite(number) ? number : text];
  });
  return Object.fromEntries(fields);
}

/** @param {string} id @param {string} text */
function say(id, text) {
  /** @type {HTMLElement} */ (document.getElementById(id)).textContent = text;
}

/** What people can do with an experiment: start, stop and decide it, each in a dialog. */

import { json } from '../http.js';
import { toast } from '../toast.js';
import { addressOf, loadPower } from './requests.js';
import { OUTCOMES } from './words.js';

/** @typedef {{experiment: Api.Experiment | null, results: Api.Results | null}} Shown */

/**
 * Open dialogs by the buttons of the page.
 * @param {Shown} shown what the page shows now
 * @param {() => Promise<void>} changed called after a change
 */
export function connect(shown, changed) {
  dialog('start', {
    prepare: () => showPlan(/** @type {Api.Experiment} */ (shown.experiment)),
    act: () => send('start', undefined, 'runs'),
  });
  dialog('stop', {
    act: (fields) => send('stop', { reason: textOf(fields, 'reason') }, 'is stopped'),
  });
  dialog('decide', {
    prepare: async () => suggest(shown),
    act: (fields) => send('decide', { arm: textOf(fields, 'arm'), note: textOf(fields, 'note') }, 'is decided'),
  });

  /** @param {string} verb @param {unknown} body @param {string} done */
  async function send(verb, body, done) {
    const { id } = /** @type {Api.Experiment} */ (shown.experiment);
    await json(`${addressOf(id)}/${verb}`, { method: 'POST', ...(body === undefined ? {} : { body }) });
    toast(`${id} ${done}.`);
    changed(); // the dialog need not wait for the results
  }
}

/**
 * @param {string} name the id of a button, and of its dialog without `-dialog`
 * @param {{prepare?: () => Promise<void>, act: (fields: FormData) => Promise<void>}} does
 */
function dialog(name, { prepare = async () => undefined, act }) {
  const button = /** @type {HTMLButtonElement} */ (document.getElementById(name));
  const shown = /** @type {HTMLDialogElement} */ (document.getElementById(`${name}-dialog`));
  const form = /** @type {HTMLFormElement} */ (shown.querySelector('form'));
  const problem = /** @type {HTMLElement} */ (shown.querySelector('.problem'));
  const go = /** @type {HTMLButtonElement} */ (shown.querySelector('.primary'));
  button.addEventListener('click', () => {
    problem.textContent = '';
    shown.showModal();
    prepare();
  });
  shown.querySelector('[data-cancel]')?.addEventListener('click', () => shown.close());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    go.disabled = true;
    problem.textContent = '';
    try {
      await act(new FormData(form));
      shown.close();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      problem.textContent = error.message;
    } finally {
      go.disabled = false;
    }
  });
}

/** @param {FormData} fields @param {string} name */
function textOf(fields, name) {
  return String(fields.get(name) ?? '').trim() || null;
}

/** Say what can be found with the planned readers. @param {Api.Experiment} experiment */
async function showPlan(experiment) {
  const at = /** @type {HTMLElement} */ (document.getElementById('plan'));
  at.textContent = 'Reading the log…';
  try {
    at.replaceChildren(...(await loadPower(experiment)).map((text) => (
      Object.assign(document.createElement('p'), { textContent: text })
    )));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    at.textContent = `What can be found is not known: ${error.message}`;
  }
}

/** Offer the arms; the one that the verdict speaks for comes first. @param {Shown} shown */
function suggest({ experiment, results }) {
  const { arms, control } = /** @type {Api.Experiment} */ (experiment);
  const verdicts = Object.entries(results?.verdicts ?? {});
  const best = verdicts.find(([, { outcome }]) => outcome === 'better')?.[0] ?? control;
  const names = arms.map((arm) => arm.name);
  document.getElementById('chosen')?.replaceChildren(
    ...names.map((name) => new Option(name, name, name === best, name === best)),
  );
  const said = verdicts.map(([arm, { outcome }]) => `${arm}: ${OUTCOMES[outcome].toLowerCase()}`);
  const text = said.length ? `The verdict: ${said.join('; ')}.` : 'There is no verdict.';
  /** @type {HTMLElement} */ (document.getElementById('decide-text')).textContent = text;
}

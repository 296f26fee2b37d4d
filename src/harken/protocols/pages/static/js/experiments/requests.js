/** Requests of experiments. */

import { json } from '../http.js';
import * as format from '../dashboard/format.js';
import { percent, plain } from './words.js';

/** @param {string} id @param {string | number | null} [version] */
export function addressOf(id, version = null) {
  const address = `/api/experiments/${encodeURIComponent(id)}`;
  return version === null ? address : `${address}?version=${encodeURIComponent(version)}`;
}

/** @param {Api.Experiment} of @returns {Promise<Api.Results>} */
export function loadResults({ id, version }) {
  return json(`${addressOf(id)}/results?version=${version}`);
}

/** Return what the planned readers can find, in sentences. @param {Api.Experiment} of */
export async function loadPower({ id, version, metric, planned_size: size, window_days: days }) {
  /** @type {Api.Power} */
  const found = await json(`${addressOf(id)}/power?version=${version}`);
  const relative = found.relative === null ? '' : ` (${percent(found.relative).replace('+', '')} of it)`;
  const measured = `By ${format.plural(found.measured_on, 'reader')} of the log:`;
  const least = `${measured} with ${format.plural(size, 'reader')}, a difference of ${plain(found.effect)} in ${metric}${relative} is found with a probability of 80 %.`;
  const time = found.days === null
    ? 'The log does not tell how many days that takes.'
    : `By the readers of the log, that takes about ${format.plural(found.days, 'day')}, with ${format.plural(days, 'day')} for each reader and one for late events.`;
  return [least, time];
}

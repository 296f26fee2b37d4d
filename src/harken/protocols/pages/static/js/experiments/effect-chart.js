/** The chart of an effect over time, with its confidence sequence. */

import { draw } from '../dashboard/charts.js';
import * as format from '../dashboard/format.js';
import { bounds, plain, signed } from './words.js';

/** Intervals more than this many times as wide as the latest one are cut off. */
const MOST_WIDTHS = 6;
const FEW_DAYS = 6;

/** @param {Api.Comparison} of */
export async function drawEffect(of) {
  const { looks, metric, arm, control } = of;
  const last = looks[looks.length - 1];
  const now = last ? `${signed(last.effect)}, ${bounds(last.sequence)}, after ${format.plural(last.readers, 'reader')}` : 'no data';
  const summary = `${metric}, ${arm} minus ${control}, from ${format.day(milliseconds(looks[0]))} to ${format.day(milliseconds(last))}: ${now}.`;
  await draw('effect-chart', summary, (colours) => ({
    type: 'line',
    data: {
      datasets: [
        edge('low', looks, 0, false, colours),
        edge('high', looks, 1, '-1', colours),
        {
          label: 'Effect', order: -1, data: looks.map((look) => ({ x: milliseconds(look), y: look.effect })),
          borderColor: colours.accent, backgroundColor: colours.accent, borderWidth: 2.5,
          pointRadius: looks.length > 1 ? 0 : 4.5, pointHitRadius: 8, pointHoverRadius: 5,
        },
      ],
    },
    options: {
      scales: {
        x: {
          type: 'linear', grid: { display: false }, min: milliseconds(looks[0]), max: milliseconds(last),
          ticks: { maxTicksLimit: 8, callback: (/** @type {number} */ at) => shownTime(at, looks) },
        },
        y: {
          ...extent(looks), title: `${arm} minus ${control}`,
          grid: {
            color: (/** @type {{tick?: {value: number}}} */ { tick }) => (tick?.value === 0 ? colours.ink : colours.line),
            lineWidth: (/** @type {{tick?: {value: number}}} */ { tick }) => (tick?.value === 0 ? 1.5 : 1),
          },
          ticks: { maxTicksLimit: 7, includeBounds: false, callback: (/** @type {number} */ value) => plain(value) },
        },
      },
      plugins: { tooltip: {
        filter: (/** @type {ChartItem} */ item) => item.datasetIndex === 2,
        callbacks: {
          title: (/** @type {ChartItem[]} */ items) => (items.length ? `${format.time(milliseconds(looks[items[0].dataIndex]))} UTC` : ''),
          label: (/** @type {ChartItem} */ item) => said(looks[item.dataIndex]),
        },
      } },
    },
  }));
}

/** Return the time of a look. @param {Api.Look | undefined} look */
export function milliseconds(look) {
  return look === undefined ? undefined : look.at * 1_000;
}

/** Format a time on the axis: with few days, the hour too. @param {number} at @param {Api.Look[]} looks */
function shownTime(at, looks) {
  const days = (looks[looks.length - 1].at - looks[0].at) / 86_400;
  return days > FEW_DAYS ? format.day(at) : format.time(at).slice(5);
}

/** @param {string} label @param {Api.Look[]} looks @param {0 | 1} end @param {string | false} fill @param {import('../dashboard/charts.js').Colours} colours */
function edge(label, looks, end, fill, colours) {
  return {
    label, fill, data: looks.map((look) => ({ x: milliseconds(look), y: look.sequence[end] })),
    backgroundColor: colours['accent-soft'], borderColor: colours.accent, borderWidth: 1,
    pointRadius: 0, pointHitRadius: 0, pointHoverRadius: 0,
  };
}

/** Return the least and greatest value that are drawn: the sequence where it is not too wide, and 0. @param {Api.Look[]} looks */
function extent(looks) {
  const width = ({ sequence: [low, high] } = looks[looks.length - 1]) => (high ?? 0) - (low ?? 0);
  const drawn = looks.filter((look) => width(look) <= MOST_WIDTHS * width());
  const values = drawn.flatMap((look) => [look.sequence[0] ?? 0, look.sequence[1] ?? 0]);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const more = 0.06 * (high - low || 1);
  return { min: low - more, max: high + more };
}

/** @param {Api.Look} look */
function said({ effect, sequence, readers }) {
  return [` Effect: ${signed(effect)}`, ` Sequence: ${bounds(sequence)}`, ` ${format.plural(readers, 'reader')}`];
}

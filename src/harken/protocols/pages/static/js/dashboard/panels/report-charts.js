/** The charts of the report: weeks with intervals, and differences with intervals. */

import { draw } from '../charts.js';
import * as format from '../format.js';
import { setText } from '../panel.js';

/** @typedef {keyof typeof RATIOS} Ratio */
export const RATIOS = {
  engagement_per_view: 'Engagements per view', dismissals_per_view: 'Dismissals per view',
};
/** The number of models in the chart, the latest ones; the table has all. */
const MOST_MODELS = 3;
const ROW_PIXELS = 38;

/** @param {Api.Week[]} weeks @param {Ratio} ratio */
export async function drawWeeks(weeks, ratio) {
  const label = RATIOS[ratio];
  const colour = ratio === 'engagement_per_view' ? 'accent' : 'dismissals';
  const known = weeks.filter((week) => week[ratio].value !== null);
  const text = known.map((week) => `${week.week} ${format.fixed(week[ratio].value)}${week.is_partial ? ' (partial)' : ''}`).join(', ');
  const summary = `${label}, week by week, with 95 % intervals: ${text || 'no data'}.`;
  await draw('weeks-chart', summary, (colours) => ({
    type: 'line',
    data: {
      labels: weeks.map((week) => week.week.replace(/^\d+-/, '')),
      datasets: [
        bound('low', false, weeks, ratio, colours),
        bound('high', '-1', weeks, ratio, colours),
        {
          label,
          order: -1,
          data: weeks.map((week) => week[ratio].value),
          borderColor: colours[colour],
          backgroundColor: colours[colour],
          borderWidth: 2.5,
          pointRadius: 4.5,
          pointBorderWidth: 2,
          pointBorderColor: colours[colour],
          pointBackgroundColor: weeks.map((week) => (week.is_partial ? colours.surface : colours[colour])),
          segment: { borderColor: (/** @type {Parameters<typeof joint>[1]} */ at) => joint(weeks, at) },
        },
        {
          type: 'bar', label: 'Interval', barThickness: 3, backgroundColor: colours[colour],
          data: weeks.map((_week, i) => loneInterval(weeks, ratio, i)),
        },
      ],
    },
    options: {
      scales: { x: { grid: { display: false }, offset: true }, y: { beginAtZero: false, grace: '8%', ticks: { maxTicksLimit: 6 } } },
      plugins: { tooltip: {
        filter: (/** @type {ChartItem} */ item) => item.datasetIndex === 2,
        callbacks: {
          title: (/** @type {ChartItem[]} */ items) => (items.length ? weekTitle(weeks[items[0].dataIndex]) : ''),
          label: (/** @type {ChartItem} */ item) => weekLabel(weeks[item.dataIndex], ratio),
        },
      } },
    },
  }));
}

/** Return the dataset of the lower or upper edge of the band of intervals. @param {'low' | 'high'} name @param {string | false} fill @param {Api.Week[]} weeks @param {Ratio} ratio @param {import('../charts.js').Colours} colours */
function bound(name, fill, weeks, ratio, colours) {
  return {
    label: name,
    data: weeks.map((week) => (week.is_partial ? null : week[ratio][name])),
    fill,
    backgroundColor: ratio === 'engagement_per_view' ? colours['accent-soft'] : colours['against-soft'],
    borderWidth: 0,
    pointRadius: 0,
    pointHitRadius: 0,
    pointHoverRadius: 0,
  };
}

/** Return the interval of a week outside the band, drawn as a bar; the band needs two adjacent full weeks. @param {Api.Week[]} weeks @param {Ratio} ratio @param {number} i */
function loneInterval(weeks, ratio, i) {
  const { low, high } = weeks[i][ratio];
  const isInBand = !weeks[i].is_partial && [weeks[i - 1], weeks[i + 1]].some((each) => each && !each.is_partial && each[ratio].low !== null);
  return low === null || isInBand ? null : [low, high];
}

/** Hide the line to a partial week, because it would look like a trend. @param {Api.Week[]} weeks @param {{p0DataIndex: number, p1DataIndex: number}} at */
function joint(weeks, { p0DataIndex: from, p1DataIndex: to }) {
  return weeks[from].is_partial || weeks[to].is_partial ? 'transparent' : undefined;
}

/** @param {Api.Week} week */
function weekTitle(week) {
  return `${week.week}, from ${format.day(week.begin)}${week.is_partial ? ' (partial)' : ''}`;
}

/** @param {Api.Week} week @param {Ratio} ratio */
function weekLabel(week, ratio) {
  const { value, low, high } = week[ratio];
  const counted = ratio === 'engagement_per_view' ? week.engagements : week.dismissals;
  return [
    ` ${RATIOS[ratio]}: ${value}`,
    ` ${format.interval(low, high, String)}`,
    ` ${format.count(counted)} in ${format.plural(week.views, 'view')} of ${format.plural(week.readers, 'reader')}`,
  ];
}

/** @param {Api.Measured[]} models @param {string} metric */
export async function drawReplay(models, metric) {
  const latest = models.filter((model) => model.differences.length).slice(-MOST_MODELS);
  const rows = latest.flatMap((model) => model.differences
    .filter((each) => each.metric === metric)
    .map((each) => ({ model, ...each })));
  note(models, latest);
  const isNothing = rows.length === 0;
  for (const each of document.querySelectorAll('[data-of-models]')) /** @type {HTMLElement} */ (each).hidden = isNothing;
  document.getElementById('report-charts')?.classList.toggle('alone', isNothing);
  if (isNothing) return;
  const box = /** @type {HTMLElement} */ (document.querySelector('[data-of-models] .chart'));
  box.style.height = `${Math.max(6, rows.length + 1.5) * ROW_PIXELS}px`;
  const text = rows.map((row) => `${row.model.model_id} less ${row.than} ${format.signed(row.difference)}`);
  const summary = `${metric.toUpperCase()} of models minus that of other rankings: ${text.join('; ')}.`;
  await draw('models-chart', summary, (colours) => replay(rows, metric, latest.length > 1, colours));
}

/** @typedef {{tick?: {value: number}}} Grid a line of the grid */
/** @typedef {Api.Measured['differences'][number] & {model: Api.Measured}} Row */
/** @param {Row[]} rows @param {string} metric @param {boolean} areMany @param {import('../charts.js').Colours} colours */
function replay(rows, metric, areMany, colours) {
  return {
    type: 'bar',
    data: {
      labels: rows.map(({ model, than }) => (areMany ? [short(model), `than ${than}`] : `than ${than}`)),
      datasets: [
        {
          type: 'line', label: 'Difference', showLine: false,
          data: rows.map((row) => row.difference),
          pointRadius: 5, pointHoverRadius: 6, pointBorderWidth: 2,
          pointBackgroundColor: rows.map((row) => (row.model.basis === 'in_service' ? colours.accent : colours.surface)),
          pointBorderColor: colours.accent,
        },
        {
          label: 'Interval', barThickness: 3, backgroundColor: colours.accent,
          data: rows.map((row) => (row.low == null ? null : [row.low, row.high])),
        },
      ],
    },
    options: {
      indexAxis: 'y',
      scales: {
        x: {
          grace: '6%', suggestedMin: 0, suggestedMax: 0, title: `${metric.toUpperCase()}: model minus other ranking`,
          grid: {
            color: (/** @type {Grid} */ { tick }) => (tick?.value === 0 ? colours.ink : colours.line),
            lineWidth: (/** @type {Grid} */ { tick }) => (tick?.value === 0 ? 1.5 : 1),
          },
        },
        y: { grid: { display: false }, offset: true, ticks: { color: colours.ink, autoSkip: false, font: { size: areMany ? 11 : 12 } } },
      },
      plugins: { tooltip: {
        filter: (/** @type {ChartItem} */ item) => item.datasetIndex === 0,
        callbacks: {
          title: (/** @type {ChartItem[]} */ items) => (items.length ? rows[items[0].dataIndex].model.model_id : ''),
          label: (/** @type {ChartItem} */ item) => replayLabel(rows[item.dataIndex], metric),
        },
      } },
    },
  };
}

/** @param {Row} row @param {string} metric */
function replayLabel({ model, than, difference, low, high }, metric) {
  const { learned, [than]: other } = model.rankings;
  return [
    ` ${metric.toUpperCase()}: ${learned[metric]}; ${than}: ${other[metric]}`,
    ` Difference: ${difference}; ${format.interval(low, high, String)}`,
    ` ${drawn(model)} of ${format.plural(model.readers, 'reader')}`,
  ];
}

/** @param {Api.Measured} model */
function drawn({ impressions, measurable }) {
  const text = format.plural(impressions, 'impression');
  return measurable && measurable > impressions ? `${text}, drawn from ${format.count(measurable)},` : text;
}

/** @param {Api.Measured} model */
function short({ model_id: id, from }) {
  return id.replace(/^learned-/, '').replace(/-\w{4}$/, '') || format.day(from);
}

/** @param {Api.Measured[]} models @param {Api.Measured[]} latest */
function note(models, latest) {
  const broken = models.find((model) => model.problem);
  if (!models.length) return setText('models-note', 'No model was in service in these weeks.');
  if (!latest.length) return setText('models-note', broken?.problem ?? 'There are no impressions for the models that were in service.');
  const how = {
    in_service: 'Measured while it was in service.',
    held_out: 'Hollow points: measured on the held-out end of the log.',
  };
  const ways = [...new Set(latest.map((model) => /** @type {keyof typeof how} */ (model.basis)))];
  return setText('models-note', `Lines are 95 % intervals. Right of 0, the model is better. ${ways.map((each) => how[each]).join(' ')}`);
}

/** The panel of what pages showed: impressions, click-through, and how much of it is place. */

import { remember } from '../address.js';
import { draw } from '../charts.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { ask } from '../requests.js';
import { fill } from '../table.js';
import { named } from '../figures/kblock-name.js';
import { figuresButton } from './one.js';
import { counts, nameOf, summary, windowOf } from '../figures/pages.js';

const MOST = '50';
const LABELS = { feed: 'Feed', ranking: 'Ranking', position: 'Position', source: 'Source', kblock: 'K-Block' };

const panel = new Panel('impressions');
const form = /** @type {HTMLFormElement} */ (document.getElementById('impression-filters'));
const [show, feed, ranking] = ['show', 'feed', 'ranking'].map((name) => (
  /** @type {HTMLSelectElement} */ (form.elements.namedItem(name))
));

const given = new URLSearchParams(location.search);
if ((given.get('show') ?? '') in LABELS) show.value = given.get('show') ?? 'feed';
for (const each of [feed, ranking]) choices(each, [], given.get(each.name) ?? '');

/** @param {() => void} changed called when other pages or groups are chosen */
export function onFilterChange(changed) {
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('change', () => {
    remember({ show: show.value, feed: feed.value, ranking: ranking.value });
    changed();
  });
}

/** @param {import('../range.js').RangeQuery} range */
export async function showImpressions(range) {
  await panel.fill(async () => {
    const query = { by: show.value, limit: MOST, ...filters(), ...range.times };
    const found = await ask('/api/feed/analytics/impressions', query);
    choices(feed, found.feeds, feed.value);
    choices(ranking, found.rankings, ranking.value);
    panel.window(windowOf(found, range.label));
    fill('impressions-table', [nameColumn(found), ...counts()], found.groups);
    const { impressions } = found.total;
    if (!impressions) return `There are no such pages in ${range.label}.`;
    const text = summary(found.total);
    setText('impressions-summary', text);
    await drawRates(found, text);
    return undefined;
  });
}

/** @param {import('../range.js').RangeQuery} range */
export async function showPosition(range) {
  try {
    const { text } = await ask('/api/feed/analytics/position', { ...filters(), ...range.times });
    setText('position-text', text);
    setText('position-problem', '');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    setText('position-problem', error.message);
  }
}

function filters() {
  return {
    ...(feed.value ? { feed: feed.value } : {}), ...(ranking.value ? { ranking: ranking.value } : {}),
  };
}

/** @param {Api.Impressions} found @returns {import('../table.js').Column<Api.ImpressionGroup>} */
function nameColumn({ by }) {
  return {
    label: LABELS[by],
    of: (row) => (by === 'position' ? Number(row.key) + 1 : nameOf(by, row)),
    show: (name, row) => (by === 'kblock' ? item(row) : String(name)),
  };
}

/** @param {Api.ImpressionGroup} row */
function item({ key, title }) {
  const id = String(key);
  const cell = Object.assign(document.createElement('span'), { className: 'row' });
  cell.append(named({ title, kblock_id: id }), figuresButton(id, title));
  return cell;
}

/** Fill a choice, keeping what is chosen. @param {HTMLSelectElement} select @param {string[]} names @param {string} chosen */
function choices(select, names, chosen) {
  const known = [...new Set(['', ...names, chosen])];
  if ([...select.options].map((each) => each.value).join('\n') !== known.join('\n')) {
    select.replaceChildren(...known.map((name) => new Option(name || 'All', name)));
  }
  select.value = chosen;
}

/** @param {Api.Impressions} found @param {string} text */
async function drawRates({ by, groups }, text) {
  const drawn = groups.filter((each) => each.click_through !== null);
  /** @type {HTMLElement} */ (form.parentElement?.querySelector('.chart')).hidden = !drawn.length;
  if (!drawn.length) return;
  const rates = drawn.map((each) => `${nameOf(by, each)} ${format.fixed(each.click_through)}`);
  const spoken = `Click-through by ${LABELS[by].toLowerCase()}. ${text} ${rates.join(', ')}.`;
  await draw('impressions-chart', spoken, (colours) => ({
    type: 'bar',
    data: {
      labels: drawn.map((each) => nameOf(by, each).slice(0, 24)),
      datasets: [{
        label: 'Click-through', data: drawn.map((each) => each.click_through),
        backgroundColor: colours.views, maxBarThickness: 48,
      }],
    },
    options: {
      scales: { x: { grid: { display: false }, title: LABELS[by] }, y: { beginAtZero: true, suggestedMax: 0.1 } },
      plugins: { tooltip: { callbacks: {
        label: (/** @type {ChartItem} */ { dataIndex: i }) => ` ${format.fixed(drawn[i].click_through)}: ${format.count(drawn[i].clicks)} of ${format.count(drawn[i].impressions)}`,
      } } },
    },
  }));
}

/** Charts by Chart.js in the colours of the page; they follow light and dark mode. */

/** @typedef {Record<string, string>} Colours */

// A script that defines `Chart`. It is large, and only this page needs it.
const ready = import('../../vendor/chart.js').then(configured, () => null);

/** @type {Map<string, {build: (colours: Colours) => any, chart: any}>} */
const charts = new Map();

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const [id, { build }] of charts) redraw(id, build);
});

/**
 * Create or update a chart.
 * @param {string} id the id of the canvas
 * @param {string} summary a description for screen readers
 * @param {(colours: Colours) => any} build returns the configuration for Chart.js
 */
export async function draw(id, summary, build) {
  canvas(id)?.setAttribute('aria-label', summary);
  await redraw(id, build);
}

/** @param {string} id @param {(colours: Colours) => any} build */
async function redraw(id, build) {
  const Chart = await ready;
  if (Chart === null) {
    canvas(id)?.replaceWith('Charts are not available: the server lacks the package chartkick. The data is below.');
    return;
  }
  const config = withFrame(build(colours()));
  const chart = charts.get(id)?.chart ?? new Chart(canvas(id), config);
  charts.set(id, { build, chart });
  chart.data = config.data;
  chart.options = config.options;
  chart.update('none');
}

/** @param {string} id */
function canvas(id) {
  return document.getElementById(id);
}

/** @returns {Colours} */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = [
    'ink', 'muted', 'line', 'surface', 'accent', 'accent-soft', 'against', 'against-soft',
    'views', 'engagements', 'dismissals', 'contradictions',
  ];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function configured() {
  const { Chart } = /** @type {any} */ (globalThis);
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  return Chart;
}

/** Add the common options of all charts to a configuration. @param {any} config */
function withFrame(config) {
  const paint = colours();
  const { options = {} } = config;
  const scales = Object.fromEntries(Object.entries(options.scales ?? {}).map(
    ([name, scale]) => [name, axis(paint, scale)],
  ));
  return {
    ...config,
    options: {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      interaction: { mode: 'index', intersect: false, axis: options.indexAxis ?? 'x' },
      ...options,
      scales,
      plugins: { legend: { display: false }, tooltip: { ...bubble(paint), ...options.plugins?.tooltip } },
    },
  };
}

/** @param {Colours} paint @param {any} scale */
function axis(paint, scale) {
  return {
    ...scale,
    border: { color: paint.line, ...scale.border },
    grid: { color: paint.line, tickColor: paint.line, ...scale.grid },
    ticks: { color: paint.muted, maxRotation: 0, autoSkipPadding: 14, ...scale.ticks },
    title: { display: Boolean(scale.title), text: scale.title, color: paint.muted },
  };
}

/** @param {Colours} paint */
function bubble(paint) {
  return {
    backgroundColor: paint.ink,
    titleColor: paint.surface,
    bodyColor: paint.surface,
    footerColor: paint.surface,
    padding: 10,
    cornerRadius: 8,
    boxPadding: 4,
    usePointStyle: true,
  };
}

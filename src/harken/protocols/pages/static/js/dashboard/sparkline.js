/** Small bar charts in tables: counts in equal parts of a window, earliest first. */

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 120;
const HEIGHT = 26;

/**
 * @param {number[]} counts @param {string} kind the kind of events, which sets the colour @param {string} summary
 * @returns {SVGElement}
 */
export function spark(counts, kind, summary) {
  const svg = make('svg', {
    class: `spark ${kind}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': summary,
  });
  const most = Math.max(1, ...counts);
  const step = WIDTH / counts.length;
  svg.append(make('path', { class: 'floor', d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }));
  counts.forEach((count, i) => {
    if (!count) return;
    const height = Math.max(2, (count / most) * (HEIGHT - 2));
    svg.append(make('rect', {
      x: (i * step + 0.4).toFixed(2), width: (step - 0.8).toFixed(2),
      y: (HEIGHT - 1 - height).toFixed(2), height: height.toFixed(2),
    }));
  });
  const title = make('title', {});
  title.textContent = summary;
  svg.prepend(title);
  return svg;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [each, value] of Object.entries(attributes)) made.setAttribute(each, String(value));
  return made;
}

// Draws the report that stands in this page as JSON. Nothing is computed but what a heading says it is.
'use strict';

const report = JSON.parse(document.getElementById('report').textContent);
const page = document.getElementById('page');
page.replaceChildren();

// The library's servers in blues, hand-written ones in greens and greys, others' in warm colours.
const COLOURS = {
  managed: '#0b3d91', mirror: '#1f77d0', managed_epoll: '#6fa8dc', mirror_epoll: '#a9cdf0', managed_spin: '#5e35b1',
  managed_batch: '#9575cd', uring_multishot: '#1b5e20', uring_incremental: '#388e3c', uring_oneshot: '#66bb6a',
  uring_fixed: '#a5d6a7', epoll_level: '#616161', asio: '#e65100', asio_uring: '#fb8c00', libuv: '#c2185b',
  libevent: '#f06292', go: '#fbc02d',
};
const OTHER_COLOURS = ['#00838f', '#795548', '#9e9d24', '#d84315'];
const BASE = 'epoll_level';
const isOurs = (name) => /^(managed|mirror)/.test(name);
const names = report.servers.map((server) => server.name);
const colourOf = (name) => COLOURS[name] || OTHER_COLOURS[names.indexOf(name) % OTHER_COLOURS.length];

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  Object.assign(node, attributes);
  node.append(...children);
  return node;
}

const bytesText = (bytes) => (bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`);
const countText = (count) => count.toLocaleString('en');
const shapeText = (shape) =>
  `${countText(shape.connections)} connection${shape.connections === 1 ? '' : 's'}, ` +
  `${bytesText(shape.message_bytes)}, depth ${shape.depth}`;
const numberText = (number, digits) =>
  number === null ? '' : number.toLocaleString('en', {minimumFractionDigits: digits, maximumFractionDigits: digits});
const threeDigits = (number) => String(Number(number.toPrecision(3)));
const seriesOf = (shape, name) => shape.series.find((series) => series.server === name);
const distinct = (values) => [...new Set(values)].sort((a, b) => a - b);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The median of the ratios within a round, as the Markdown has it.
function ratioToBase(shape, series) {
  const base = seriesOf(shape, BASE);
  if (!base) return null;
  const below = base.server_cpu_us_per_message.rounds;
  return median(series.server_cpu_us_per_message.rounds.map((value, round) => value / below[round]));
}

function table(columns, rows) {
  const head = element('tr', {}, ...columns.map((column) =>
    element('th', {className: column.number ? 'number' : '', textContent: column.title})));
  const body = rows.map((row) => element('tr', {className: row.className || ''}, ...columns.map((column) => {
    const value = column.text(row);
    return element('td', {className: column.className ? column.className(row) : column.number ? 'number' : '',
                          textContent: value});
  })));
  return element('div', {className: 'wide'}, element('table', {}, element('thead', {}, head),
    element('tbody', {}, ...body)));
}

// --- What was run

function addHead() {
  const machine = report.machine;
  const rule = report.rule;
  page.append(
    element('p', {className: 'quiet', textContent:
      `${report.started}, ${numberText(report.minutes, 0)} minutes. ${machine.processor}, ${machine.processors} ` +
      `processors, ${numberText(machine.memory_bytes / 2 ** 30, 0)} GiB, ${machine.kernel}; ${machine.compiler}, ` +
      `${machine.flags}.`}),
    element('pre', {textContent: report.command}),
    element('p', {textContent:
      `Every round starts each server once, in turn, on processor ${rule.server_cpu}, with the load generator on ` +
      `processor ${rule.load_cpu}, for ${rule.seconds_per_measurement} s after ${rule.warmup_seconds} s and ` +
      `${1e6 * rule.warmup_seconds_per_connection} us per connection; every byte is ` +
      `checked. Figures are medians of the rounds, ratios are medians of the ratios within a round. A measurement ` +
      `during which others took more than ${100 * rule.foreign_load_max} % of the two processors is thrown away and ` +
      `made again, ${rule.attempts_max - 1} times at most; ` +
      `${report.shapes.flatMap((shape) => shape.series).reduce((sum, series) => sum + series.discarded, 0)} were.`}),
    ...report.notes.map((note) => element('p', {textContent: note})));
  page.append(element('h2', {textContent: 'What is asked of the library'}), table([
    {title: 'what', text: (target) => target.what},
    {title: 'load', text: (target) => target.shape},
    {title: 'measured', number: true, text: (target) => threeDigits(target.figure)},
    {title: 'asked', text: (target) => ('limit_min' in target ? `at least ${threeDigits(target.limit_min)}`
      : `at most ${threeDigits(target.limit_max)}`)},
    {title: '', text: (target) => (target.reached ? 'reached' : 'not reached'),
     className: (target) => (target.reached ? 'reached' : 'missed')},
  ], report.targets));
  if (report.findings.length === 0) return;
  page.append(element('h3', {textContent: 'Not reached: profiles, and what was tried'}), table([
    {title: 'about', text: (finding) => finding.about},
    {title: '', className: () => 'sentences', text: (finding) => finding.text},
  ], report.findings));
}

// --- Charts

const charts = [];

function addLegend() {
  const legend = element('div', {id: 'legend'});
  for (const name of names) {
    const box = element('input', {type: 'checkbox', checked: true});
    box.addEventListener('change', () => {
      for (const chart of charts) {
        chart.data.datasets.forEach((set, i) => {
          if (set.label === name) chart.setDatasetVisibility(i, box.checked);
        });
        chart.update('none');
      }
    });
    const patch = element('i', {});
    patch.style.background = colourOf(name);
    legend.append(element('label', {}, box, patch, name));
  }
  page.append(legend);
}

function addChart(parent, title, type, xTitle, yTitle, labels, datasets, logarithmic) {
  const canvas = element('canvas', {});
  parent.append(element('figure', {}, element('figcaption', {textContent: title}),
    element('div', {className: 'canvas'}, canvas)));
  charts.push(new Chart(canvas, {
    type,
    data: {labels, datasets},
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales: {
        x: {title: {display: true, text: xTitle}},
        y: {title: {display: true, text: yTitle}, beginAtZero: !logarithmic,
            type: logarithmic ? 'logarithmic' : 'linear'},
      },
      plugins: {legend: {display: false}},
    },
  }));
}

// One dataset for each server that has a figure at one of `shapes`.
function datasetsOf(shapes, figure) {
  return names
    .map((name) => ({
      label: name,
      data: shapes.map((shape) => {
        const series = seriesOf(shape, name);
        return series ? figure(shape, series) : null;
      }),
      backgroundColor: colourOf(name),
      borderColor: colourOf(name),
      borderWidth: 1.5,
    }))
    .filter((set) => set.data.some((value) => value !== null));
}

const METRICS = [
  {title: 'Throughput', unit: 'messages per second', figure: (_, series) => series.messages_per_second.median},
  {title: 'Server CPU time', unit: 'us per message', figure: (_, series) => series.server_cpu_us_per_message.median},
  {title: 'Server CPU time', unit: 'ratio to hand-written epoll (less is better)', figure: ratioToBase},
];

// For each depth and size, by connections.
function addChartsByConnections() {
  for (const depth of distinct(report.shapes.map((shape) => shape.depth))) {
    for (const bytes of distinct(report.shapes.map((shape) => shape.message_bytes))) {
      const shapes = report.shapes
        .filter((shape) => shape.depth === depth && shape.message_bytes === bytes)
        .sort((a, b) => a.connections - b.connections);
      if (shapes.length === 0) continue;
      page.append(element('h3', {textContent: `Messages of ${bytesText(bytes)}, depth ${depth}`}));
      const parent = element('div', {className: 'charts'});
      page.append(parent);
      for (const metric of METRICS) {
        addChart(parent, `${metric.title}, ${metric.unit}`, 'bar', 'connections', metric.unit,
                 shapes.map((shape) => countText(shape.connections)), datasetsOf(shapes, metric.figure), false);
      }
    }
  }
}

function addLatencyCharts() {
  page.append(element('h2', {textContent: 'Latency, from a message sent to its echo back'}));
  const parent = element('div', {className: 'charts'});
  page.append(parent);
  for (const shape of report.shapes) {
    const datasets = names.filter((name) => seriesOf(shape, name)).map((name) => {
      const series = seriesOf(shape, name);
      return {
        label: name,
        data: [series.latency_p50_us.median, series.latency_p99_us.median, series.latency_p999_us.median],
        borderColor: colourOf(name),
        backgroundColor: colourOf(name),
        borderWidth: isOurs(name) ? 2.5 : 1.2,
      };
    });
    addChart(parent, shapeText(shape), 'line', 'percentile', 'us (logarithmic)', ['50', '99', '99.9'], datasets, true);
  }
}

// --- Tables

function addShapeTables() {
  page.append(element('h2', {textContent: 'All figures of whole servers'}));
  for (const shape of report.shapes) {
    const rounds = shape.series[0].messages_per_second.rounds.length;
    page.append(element('h3', {textContent: `${shapeText(shape)} (${rounds} round${rounds === 1 ? '' : 's'})`}));
    const rows = shape.series.map((series) => ({...series, className: isOurs(series.server) ? 'ours' : ''}));
    const figure = (title, key, digits) =>
      ({title, number: true, text: (series) => numberText(series[key].median, digits)});
    page.append(table([
      {title: 'server', text: (series) => series.server},
      figure('messages/s', 'messages_per_second', 0),
      figure('CPU us/message', 'server_cpu_us_per_message', 3),
      {title: 'CPU / epoll_level', number: true, text: (series) => numberText(ratioToBase(shape, series), 2)},
      figure('p50 us', 'latency_p50_us', 1),
      figure('p99 us', 'latency_p99_us', 1),
      figure('p99.9 us', 'latency_p999_us', 1),
      {title: 'kernel entries/message', number: true,
       text: (series) => numberText(series.kernel_entries_per_message, 3)},
      figure('resident B/connection', 'resident_bytes_per_connection', 0),
      {title: 'generator busy', number: true,
       text: (series) => `${numberText(100 * series.generator_utilization.median, 0)} %`},
    ], rows));
  }
}

function addServers() {
  page.append(element('h2', {textContent: 'The servers'}), table([
    {title: 'name', text: (server) => server.name},
    {title: 'command', text: (server) => server.command, className: () => 'command'},
  ], report.servers));
}

// Of one file by several techniques, as ratios to the plain loop.
function addFiles() {
  if (report.files === null) return;
  page.append(element('h2', {textContent: 'Copies of a file'}));
  const parent = element('div', {className: 'charts'});
  page.append(parent);
  const number = (title, text) => ({title, number: true, text});
  for (const cache of new Set(report.files.rows.map((row) => row.cache))) {
    const rows = report.files.rows.filter((row) => row.cache === cache);
    const name = cache === 'direct' ? 'past the page cache' : 'through the page cache';
    const size = `${countText(rows[0].bytes / 2 ** 20)} MiB ${name}`;
    const ratios = (label, key, colour) =>
      ({label, data: rows.map((row) => median(row[key])), backgroundColor: colour});
    addChart(parent, `${size}: wall time (dark) and processor time (light)`, 'bar', 'technique',
             'ratio to read(2), write(2) (less is better)', rows.map((row) => row.title),
             [ratios('wall time', 'wall_ratios', '#0b3d91'), ratios('processor time', 'cpu_ratios', '#a9cdf0')], false);
    page.append(element('h3', {textContent: `${size} (${rows[0].wall_ratios.length} rounds)`}), table([
      {title: 'technique', text: (row) => row.title},
      number('copied in memory', (row) => numberText(row.copied_bytes === null ? null : row.copied_bytes / row.bytes, 2)),
      number('kernel entries', (row) => numberText(row.kernel_entries, 0)),
      number('wall ms', (row) => numberText(1000 * median(row.wall_seconds), 0)),
      number('CPU ms', (row) => numberText(1000 * median(row.cpu_seconds), 0)),
      number('wall / first row', (row) => numberText(median(row.wall_ratios), 2)),
      number('CPU / first row', (row) => numberText(median(row.cpu_ratios), 2)),
    ], rows));
  }
}

function addComponents() {
  if (report.components.length === 0) return;
  page.append(element('h2', {textContent: 'Components'}));
  for (const component of report.components) {
    page.append(element('h3', {textContent: component.name}), element('pre', {textContent: component.text}));
  }
}

addHead();
page.append(element('h2', {textContent: 'Whole servers'}));
addLegend();
addChartsByConnections();
addLatencyCharts();
addShapeTables();
addServers();
addFiles();
addComponents();

// For whoever checks the page: what it shows, to be compared with the JSON.
document.documentElement.dataset.charts = charts.length;
document.documentElement.dataset.series = charts.reduce((sum, chart) => sum + chart.data.datasets.length, 0);

const PAGE = 50;
const MEASURED = ['used', 'difference', 'budget'];
const shown = { verdict: '*', key: null, descending: false, page: 0, rows: records };
const section = document.getElementById('records');
const body = section.querySelector('tbody');
const [query, rung, preset] = ['query', 'rung', 'preset'].map((id) => document.getElementById(id));
const several = new Set(distinct(records, 'preset')).size > 1;
const texts = records.map((r) => `${r.preset} ${r.rung} ${r.case} ${r.name} ${r.verdict} ${r.reason}`.toLowerCase());
const place = new Map(records.map((record, i) => [record, i]));

function rank(record, key) {
  if (!MEASURED.includes(key)) return record[key];
  return record[key] ?? (record.verdict === 'different' ? Infinity : -1);
}

function compare(left, right) {
  const [a, b] = [rank(left, shown.key), rank(right, shown.key)];
  if (typeof a === 'string') return a.localeCompare(b, 'en', { numeric: true });
  return a === b ? 0 : a - b;
}

function beforeVerdict() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  return records.filter((record, i) => (rung.value === '*' || record.rung === rung.value)
    && (preset.value === '*' || record.preset === preset.value)
    && words.every((word) => texts[i].includes(word)));
}

function select() {
  const found = beforeVerdict();
  drawVerdicts(found);
  shown.rows = found.filter((record) => shown.verdict === '*' || record.verdict === shown.verdict);
  if (shown.key) {
    const sign = shown.descending ? -1 : 1;
    shown.rows.sort((left, right) => sign * compare(left, right) || place.get(left) - place.get(right));
  }
  shown.page = 0;
  draw();
}

function drawVerdicts(found) {
  for (const chip of document.querySelectorAll('#verdicts button')) {
    const { verdict } = chip.dataset;
    const count = verdict === '*' ? found.length : found.filter((record) => record.verdict === verdict).length;
    chip.querySelector('.number').textContent = count.toLocaleString('en');
    chip.setAttribute('aria-pressed', String(verdict === shown.verdict));
  }
}

function draw() {
  const first = shown.page * PAGE;
  const rows = shown.rows.slice(first, first + PAGE);
  body.replaceChildren(...rows.map(rowOf));
  const total = shown.rows.length.toLocaleString('en');
  document.getElementById('count').textContent = rows.length
    ? `${(first + 1).toLocaleString('en')} to ${(first + rows.length).toLocaleString('en')} of ${total}`
    : 'No comparison is like that.';
  document.getElementById('previous').disabled = shown.page === 0;
  document.getElementById('next').disabled = first + PAGE >= shown.rows.length;
}

function rowOf(record) {
  const toggle = element('button', { type: 'button', 'aria-expanded': 'false' }, element('code', {}, record.name));
  const tag = element('span', { class: `tag ${record.verdict}` }, `${MARKS[record.verdict]} ${record.verdict}`);
  const row = element('tr', {},
    element('th', { scope: 'row' }, toggle),
    element('td', {}, tag),
    element('td', { class: 'number' }, element('span', { class: `shade ${record.level}` }, shareOf(record))),
    element('td', {}, record.rung),
    element('td', {}, record.case),
    ...(several ? [element('td', {}, record.preset)] : []),
    element('td', { class: 'number' }, scientific(record.difference)),
    element('td', { class: 'number' }, scientific(record.budget)));
  toggle.addEventListener('click', () => expand(row, toggle, record));
  return row;
}

function shareOf(record) {
  return record.level === 'none' ? 'no budget' : record.share;
}

function expand(row, toggle, record) {
  const opened = toggle.getAttribute('aria-expanded') === 'true';
  toggle.setAttribute('aria-expanded', String(!opened));
  if (opened) row.nextElementSibling.remove();
  else row.after(element('tr', { class: 'details' }, element('td', { colspan: row.cells.length }, details(record))));
}

function details(record) {
  const known = {
    reason: record.reason,
    'says nothing': record.vacuous,
    'reference shape': record.reference_shape,
    'port shape': record.port_shape,
    difference: scientific(record.difference),
    'reference at most': scientific(record.scale),
    budget: scientific(record.budget),
    'reference off its own float64': scientific(record.own_reference),
    'port off its own float64': scientific(record.own_port),
    'budget used': record.budget === null ? '' : record.share,
    ...Object.fromEntries(Object.entries(sources.get(record.name) ?? {}).map(([side, line]) => [`${side} made in`, line])),
  };
  const pairs = Object.entries(known).filter(([, text]) => text);
  return element('dl', { class: 'values' },
    ...pairs.map(([name, text]) => element('div', {}, element('dt', {}, name), element('dd', {}, text))));
}

function sortBy(heading) {
  const { key } = heading.dataset;
  shown.descending = shown.key === key ? !shown.descending : MEASURED.includes(key);
  shown.key = key;
  for (const other of section.querySelectorAll('th[data-key]')) other.setAttribute('aria-sort', 'none');
  heading.setAttribute('aria-sort', shown.descending ? 'descending' : 'ascending');
  select();
}

function turn(pages) {
  shown.page += pages;
  draw();
}

function drawChips() {
  const verdicts = Object.keys(MARKS).filter((verdict) => records.some((record) => record.verdict === verdict));
  for (const verdict of ['*', ...verdicts]) {
    const words = verdict === '*' ? 'all' : `${MARKS[verdict]} ${verdict}`;
    const chip = element('button', { type: 'button', 'data-verdict': verdict }, `${words} `, element('span', { class: 'number' }));
    chip.addEventListener('click', () => { shown.verdict = verdict; select(); });
    document.getElementById('verdicts').append(chip);
  }
  if (verdicts.includes('different')) shown.verdict = 'different';
}

fillSelect(rung, distinct(records, 'rung'), 'all');
fillSelect(preset, distinct(records, 'preset'), 'all');
if (!several) section.querySelector('th[data-key=preset]').remove();
drawChips();
for (const choice of [query, rung, preset]) choice.addEventListener('input', select);
for (const heading of section.querySelectorAll('th[data-key]')) {
  heading.firstElementChild.addEventListener('click', () => sortBy(heading));
}
document.getElementById('previous').addEventListener('click', () => turn(-1));
document.getElementById('next').addEventListener('click', () => turn(1));
select();

const heat = document.getElementById('sizes');
const sized = data.taps.map((i) => records[i]).filter((record) => record.size);

function drawHeat(selects) {
  const chosen = sized.filter((record) => selects.every((choice) => record[choice.dataset.field] === choice.value));
  const sizes = distinct(chosen, 'size');
  const cells = new Map(chosen.map((record) => [`${record.name}\n${record.size}`, record]));
  const headings = ['tap', ...sizes].map((text) => element('th', { scope: 'col' }, text));
  const rows = distinct(chosen, 'name').map((name) => element('tr', {},
    element('th', { scope: 'row' }, element('code', {}, name)),
    ...sizes.map((size) => cellOf(cells.get(`${name}\n${size}`)))));
  heat.querySelector('table').replaceChildren(
    element('thead', {}, element('tr', {}, ...headings)), element('tbody', {}, ...rows));
  showFirstDifference(heat.querySelector('.tall'));
}

function showFirstDifference(box) {
  const first = box.querySelector('td.over');
  box.scrollTop = first ? first.offsetTop - box.clientHeight / 3 : 0;
}

function cellOf(record) {
  if (!record) return element('td', { class: 'shade none' });
  const measured = record.budget === null ? record.reason : `${scientific(record.difference)} of ${scientific(record.budget)}`;
  const title = `${record.name}, ${record.case}: ${measured}`;
  return element('td', { class: `shade ${record.level}`, title }, record.level === 'none' ? '·' : record.share);
}

if (heat && sized.length) {
  const selects = [...heat.querySelectorAll('select')];
  for (const choice of selects) {
    fillSelect(choice, distinct(sized, choice.dataset.field));
    choice.addEventListener('input', () => drawHeat(selects));
  }
  drawHeat(selects);
} else if (heat) {
  heat.remove();
  document.querySelector('nav a[href="#sizes"]').remove();
}

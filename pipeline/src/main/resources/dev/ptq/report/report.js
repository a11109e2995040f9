'use strict';
{
  const words = new Intl.Collator('en', {numeric: true});

  // what a cell sorts by: a number, or its text
  const value = cell => {
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = text === '' ? NaN : Number(text);
    return {text, number, missing: text === ''};
  };

  // numbers before words; NaN is a word
  const compare = (a, b) => {
    const numbers = [a, b].map(each => Number.isNaN(each.number) ? 1 : 0);
    if (numbers[0] + numbers[1] === 0) {
      return a.number - b.number || 0;
    }
    return numbers[0] - numbers[1] || words.compare(a.text, b.text);
  };

  const sort = (table, header) => {
    const column = Array.from(header.parentNode.children).indexOf(header);
    const descending = header.getAttribute('aria-sort') === 'ascending';
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, row => ({row, key: value(row.cells[column])}));
    // rows without a value stay at the end, whichever way the others go
    rows.sort((a, b) => a.key.missing - b.key.missing || (descending ? compare(b.key, a.key) : compare(a.key, b.key)));
    body.append(...rows.map(each => each.row));
    for (const other of header.parentNode.children) {
      other.removeAttribute('aria-sort');
    }
    header.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
  };

  for (const table of document.querySelectorAll('table.sortable')) {
    for (const button of table.tHead.querySelectorAll('button')) {
      button.addEventListener('click', () => sort(table, button.parentNode));
    }
  }

  for (const panels of document.querySelectorAll('.panels')) {
    const picks = panels.querySelector('.picks');
    const selects = Array.from(picks.querySelectorAll('select'));
    const show = () => {
      const picked = selects.map(select => select.value).join(' ');
      let found = false;
      for (const panel of panels.querySelectorAll('.panel')) {
        panel.hidden = panel.dataset.picked !== picked;
        found = found || !panel.hidden;
      }
      panels.lastElementChild.hidden = found;
    };
    picks.hidden = false;
    picks.addEventListener('change', show);
    show();
  }
}

#!/usr/bin/python3
"""Makes report.md, tables and plots from the raw figures of make bench.

Usage: report.py report DIRECTORY     from DIRECTORY/runs.tsv and its like
       report.py publish DIRECTORY    into README.md and doc/, where they have
                                      <!-- bench:NAME --> ... <!-- /bench:NAME -->
"""
import csv
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from statistics import median

TITLES = {
    'cold': 'Cold: 100,000 products, each as likely as any other',
    'hot': 'Hot: everybody wants the same product, and it never runs out',
    'ten': 'Ten hot products',
    'sold_out': 'Sold out: what the losers cost',
    'cart': 'A cart of ten lines',
    'order': 'A sale and its order line in one transaction',
    'held': 'Hold, then confirm: 100,000 products',
    'flash': 'Flash sale: 1,000 units, until sold out, with order lines',
    'one_statement': 'One product: sale and order line in one statement',
    'sale_first': 'One product: the sale, then its order line',
    'line_first': 'One product: the order line, then the sale',
    'lock_wait': 'One product, and how long to wait for it',
}
NAMES = {
    'purchase': '**purchase**',
    'purchase_wait': '**purchase**, lock_wait = -1',
    'purchase_early_wait': '**purchase**, early release, lock_wait = -1',
    'purchase_10ms': '**purchase**, lock_wait = 10ms',
    'purchase_100ms': '**purchase**, lock_wait = 100ms',
    'purchase_1s': '**purchase**, lock_wait = 1s',
    'purchase_early': '**purchase**, early release',
    'purchase_early_10ms': '**purchase**, early release, lock_wait = 10ms',
    'purchase_early_100ms': '**purchase**, early release, lock_wait = 100ms',
    'purchase_early_1s': '**purchase**, early release, lock_wait = 1s',
    'purchase_id': '**purchase**, with an id',
    'purchase_limited': '**purchase**, with an id and a limit per buyer',
    'hold_early_wait': '**purchase**, a hold, early release, lock_wait = -1',
    'purchase_try': '**purchase_try**',
    'purchase_try_early': '**purchase_try**, early release',
    'purchase_try_row': '**purchase_try**, as SELECT purchase_try(...)',
    'purchase_guarded': '**purchase**, guarded',
    'purchase_sql': '**purchase**, sql engine',
    'purchase_try_sql': '**purchase_try**, sql engine',
    'client_tx': '(a) client: FOR UPDATE NOWAIT, UPDATE',
    'django': '(b) the same through Django',
    'plpgsql': '(c) PL/pgSQL function',
    'update': '(d) bare UPDATE',
    'serializable': '(e) SERIALIZABLE',
    'by_hand': '(i) bare UPDATE and its record in one statement',
    'transactions': '(j) the same, each in a transaction',
    'advisory': '(f) advisory lock',
    'redis': '(g) Redis, no order in it',
    'naive': 'control: no lock',
    'skip_locked': 'control: SKIP LOCKED',
    'select_1': 'limit: SELECT 1',
    'insert': 'limit: INSERT',
    'ten_calls': 'ten purchase() calls',
    'ten_updates': '(d) ten UPDATEs, sorted',
    'one_update': '(d) one UPDATE, locks sorted',
}
FLUSH = {
    'on': 'durable commits',
    'off': 'synchronous_commit = off',
    'slow': 'durable commits, each flush takes 2 ms longer',
    'standby': 'a synchronous standby 2 ms away',
    'apply': 'a synchronous standby 2 ms away, remote_apply',
}
# What a commit waits for far longer than it works, has plots of its own.
FAR = ('slow', 'standby', 'apply')
# A column of ratios for each of these that others are compared with.
BASES = {
    'purchase': 'purchase is',
    'purchase_try': 'purchase is',
    'purchase_wait': 'waiting',
    'purchase_early_wait': 'early, waiting',
    'purchase_id': 'with an id',
    'purchase_limited': 'limited',
    'hold_early_wait': 'holding, early',
    'purchase_try_early': 'early, not waiting',
}
MEANING = """\
Rates are per second; sold, refused and busy are never mixed. Busy is every answer that asks to try again: 55P03, 40001, or \
outcome `busy`. All figures are medians over the runs. *purchase is* is how many times as fast as the line's alternative the \
extension was, the median over alternating pairs of runs and, in brackets, the least and the most; *waiting*, with lock_wait = \
-1, where the alternative waits too; *early*, with early_release = on; *with an id* and *holding*, with what these record; *limited*, with a limit per buyer. Latencies are those of sales (of refusals where all is sold \
out), without the attempts that came back busy, and are left out where answers of several kinds would mix. WAL, transaction ids and \
the server's CPU time are a sale's (a refusal's), all unsuccessful attempts and the server's own background included."""


def read(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file, delimiter='\t'))


def number(text):
    return None if text in ('-', '') else float(text)


def middle(values):
    values = [v for v in values if v is not None]
    return median(values) if values else None


def show(value, digits=None):
    if value is None:
        return '–'
    if digits is None:
        digits = 0 if value >= 100 or value == 0 else 1 if value >= 10 else 2
    return f'{value:,.{digits}f}'


def spread(ratios):
    if not ratios:
        return ''
    return f'{show(median(ratios), 2)} ({show(min(ratios), 2)}–{show(max(ratios), 2)})'


def counted(row):
    """What a run is about: refusals if everything is sold out, else sales."""
    return 'refused' if row['workload'] == 'sold_out' else 'sold'


def rate(row, what=None):
    seconds = float(row['seconds'])
    return float(row[what or counted(row)]) / seconds if seconds else 0.0


def plain(alternative):
    return re.sub(r'\*|^\(\w\) ', '', NAMES[alternative])


class Group:
    """All runs of one workload, number of clients and flush."""

    def __init__(self, rows):
        self.rows = rows
        first = rows[0]
        self.workload = first['workload']
        self.clients = int(first['clients'])
        self.flush = first['flush']
        self.name = f'{self.workload}_{self.clients}_{self.flush}'
        self.runs = defaultdict(list)
        bases = {}
        for row in rows:
            self.runs[row['alternative']].append(row)
            if row['alternative'] == row['base']:
                bases[row['base'], row['pair']] = rate(row)
        self.ratios = defaultdict(list)
        for row in rows:
            alternative, base = row['alternative'], row['base']
            if alternative != base and rate(row) > 0:
                self.ratios[base, alternative].append(
                    bases[base, row['pair']] / rate(row))

    def against(self, alternative, early=False):
        """The ratios of the extension, with early release or without."""
        for (base, other), ratios in self.ratios.items():
            if other == alternative and ('_early' in base) == early:
                return ratios
        return []

    def rate(self, alternative, what=None):
        return median(rate(row, what) for row in self.runs[alternative])

    def each(self, alternative, column, factor=1.0):
        """The median of a column's share in a sale or refusal."""
        return middle([
            number(row[column]) * factor / float(row[counted(row)])
            if number(row[column]) is not None and float(row[counted(row)])
            else None for row in self.runs[alternative]])

    def total(self, alternative, column):
        return sum(int(row[column]) for row in self.runs[alternative])

    def notes(self, alternative):
        oversold = self.total(alternative, 'oversold')
        refused = self.total(alternative, 'refused')
        busy = self.total(alternative, 'busy')
        if alternative not in ('select_1', 'insert'):
            if oversold > 0:
                yield f'**oversold {oversold:,} units**'
            elif oversold < 0:
                yield f'**{-oversold:,} units lost**'
            if self.workload == 'sold_out' and busy:
                yield f'**told {busy:,} buyers busy when nothing was left**'
            if self.workload not in ('sold_out', 'flash') and refused:
                yield f'**told {refused:,} buyers sold out with stock left**'

    def table(self):
        head = ['', 'sold/s', 'refused/s', 'busy/s', 'p50 ms', 'p99 ms',
                'WAL bytes', 'xids', 'CPU µs', 'oversold']
        bases = [b for b in BASES if any(b == base for base, _ in self.ratios)]
        head += [BASES[b] for b in bases]
        if self.workload == 'flash':
            head[4:4] = ['sold out after s']
        lines = ['| ' + ' | '.join(head) + ' |', '|---' + '|--:' * (len(head) - 1) + '|']
        order = [a for a in NAMES if a in self.runs]
        for a in order:
            limit = a in ('select_1', 'insert')
            cells = [NAMES[a]]
            cells += [show(self.rate(a, w)) for w in ('sold', 'refused', 'busy')]
            if self.workload == 'flash':
                out = all(int(row['sold']) >= 1000 for row in self.runs[a])
                cells.append(show(middle([number(row['seconds']) for row in self.runs[a]]
                                         if out else []), 2))
            cells += [show(middle([number(row[c]) for row in self.runs[a]]))
                      for c in ('p50_ms', 'p99_ms')]
            cells += [show(self.each(a, 'wal_bytes'), 0),
                      show(self.each(a, 'xids'), 2),
                      show(self.each(a, 'cpu_ms', 1000.0))]
            cells.append('–' if limit else f"{self.total(a, 'oversold'):,}")
            cells += [spread(self.ratios[b, a]) for b in bases]
            lines.append('| ' + ' | '.join(cells) + ' |')
        for a in order:
            for note in self.notes(a):
                lines += ['', f'{NAMES[a]}: {note}.']
        return '\n'.join(lines) + '\n'

    def title(self):
        clients = '1 client' if self.clients == 1 else f'{self.clients} clients'
        return f'{clients}, {FLUSH[self.flush]}'


def gnuplot(directory, name, height, settings, blocks, series):
    script = f'''
set terminal svg size 900,{height} font "sans,13" background "white" noenhanced
set output "{name}.svg"
set border 3
set tics nomirror
{settings}
''' + '\n'.join(blocks) + f'\nplot {series}\n'
    subprocess.run(['gnuplot'], input=script, text=True, cwd=directory, check=True)


def plot_bars(directory, name, title, groups):
    """Bars from left to right: for each alternative, one a group."""
    alternatives = [a for a in NAMES if any(a in g.runs for g in groups)]
    what = counted(groups[0].rows[0])
    height = 0.8 / len(groups)
    blocks, series = [], []
    for i, g in enumerate(groups):
        data = '\n'.join(
            f'{g.rate(a)} {y - 0.4 + i * height} {y - 0.4 + (i + 1) * height}'
            for y, a in enumerate(alternatives) if a in g.runs)
        blocks.append(f'$d{i} << EOD\n{data}\nEOD')
        series.append(f'$d{i} using 1:2:(0):1:2:3 with boxxyerror title "{g.title()}"')
    ticks = ', '.join(f'"{plain(a)}" {y}' for y, a in enumerate(alternatives))
    rows = len(alternatives) * (len(groups) + 1)
    gnuplot(directory, name, 120 + 20 * len(groups) + 12 * rows, f'''
set title "{title}"
set xlabel "{what} per second"
set style fill solid 0.9 noborder
set grid xtics lc rgb "#dddddd"
set xrange [0:*]
set yrange [{len(alternatives) - 0.4}:-0.6]
set ytics ({ticks}) scale 0
set key outside bottom center vertical Left reverse
''', blocks, ', '.join(series))


SUMMARY = ('update', 'plpgsql', 'client_tx', 'django', 'redis')
FAR_SHORT = {'slow': '2 ms flushes', 'standby': '2 ms standby'}
SUMMARY_NOTE = """\
Sales per second (refusals where all is sold out), durable commits: the median over alternating pairs of runs, and the least \
and the most. Where the alternative waits for a busy row, the bare UPDATE of a hot product and in the flash sale, purchase \
waits too. *Early* is with early_release = on, where a commit takes 2 ms longer: to flush it, or until a synchronous standby \
has confirmed it."""


def summary_groups(by_workload):
    """One group a workload: the durable one that most of SUMMARY took part in."""
    for workload in TITLES:
        groups = [g for g in by_workload.get(workload, ()) if g.flush == 'on']
        if groups and workload not in ('cart', 'lock_wait'):
            yield max(groups, key=lambda g: (sum(bool(g.against(a)) for a in SUMMARY),
                                             g.clients == 8))


def summary(directory, by_workload):
    """For the README: how many times as fast as what."""
    rows = [(f"{TITLES[g.workload].split(':')[0].split(' in one')[0]}, {g.clients} clients",
             [g.against(a) for a in SUMMARY]) for g in summary_groups(by_workload)]
    rows += [(f'Early, hot, {FAR_SHORT[g.flush]}, 64 clients',
              [g.against(a, early=True) for a in SUMMARY])
             for g in by_workload['hot'] if g.flush in FAR_SHORT and g.clients == 64]
    lines = ['| purchase is, times as fast as | ' + ' | '.join(
        plain(a) for a in SUMMARY) + ' |', '|---' + '|--:' * len(SUMMARY) + '|']
    for name, ratios in rows:
        lines.append(f'| {name} | ' + ' | '.join(spread(r) or '–' for r in ratios) + ' |')

    blocks, series = [], []
    for i, a in enumerate(SUMMARY):
        points = '\n'.join(
            f'{x + 0.14 * (i - 2)} {median(ratios[i])} {min(ratios[i])} {max(ratios[i])}'
            for x, (_, ratios) in enumerate(rows) if ratios[i])
        if points:
            blocks.append(f'$d{i} << EOD\n{points}\nEOD')
            series.append(f'$d{i} with yerrorbars pt 7 ps 0.9 lw 2 title "{plain(a)}"')
    ticks = ', '.join('"{}" {}'.format(name.replace(', ', '\\n'), x)
                      for x, (name, _) in enumerate(rows))
    gnuplot(directory, 'summary', 440, f'''
set title "How many times as fast purchase is as ..."
set logscale y
set bmargin 5
set grid ytics lc rgb "#dddddd"
set xrange [-0.5:{len(rows) - 0.5}]
set yrange [0.1:*]
set xtics ({ticks}) scale 0
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 lc rgb "#666666"
set key outside top center horizontal Left reverse
''', blocks, ', '.join(series))
    return '\n'.join(lines) + '\n\n' + SUMMARY_NOTE + '\n'


SHAPES = {
    'hot': ('the sale alone', 1, 0),
    'one_statement': ('sale and order line in one statement', 1, 0),
    'sale_first': ('BEGIN, sale, order line, COMMIT', 4, 2),
    'line_first': ('BEGIN, order line, sale, COMMIT', 4, 1),
}
SHAPE_ALTERNATIVES = {
    'purchase_early_wait': 'early release',
    'purchase_wait': 'without early release',
    'update': 'bare UPDATE',
}


def shapes(directory, groups):
    """For doc/hot.md: what each shape of a transaction sells of one product."""
    text = ''
    for flush in FAR_SHORT:
        some = {w: groups.get(f'{w}_64_{flush}') for w in SHAPES}
        if not all(some.values()):
            continue
        text += (f'64 clients, {FLUSH[flush]}; sold per second:\n\n'
                 '| transaction | round trips | of these, with the product locked | '
                 + ' | '.join(SHAPE_ALTERNATIVES.values()) + ' | early, of bare UPDATE |\n'
                 '|---|' + '--:|' * (3 + len(SHAPE_ALTERNATIVES)) + '\n')
        for workload, g in some.items():
            cells = [*map(str, SHAPES[workload])]
            cells += [show(g.rate(a)) for a in SHAPE_ALTERNATIVES]
            cells.append(spread(g.ratios['purchase_early_wait', 'update']))
            text += '| ' + ' | '.join(cells) + ' |\n'
        text += '\n'
    if text:
        plot_shapes(directory, [groups[f'{w}_64_slow'] for w in SHAPES])
        text += '![What each shape of a transaction sells of one product](bench/shapes.svg)\n'
    return text


def plot_shapes(directory, some):
    data = '\n'.join(' '.join(str(g.rate(a)) for a in SHAPE_ALTERNATIVES) for g in some)
    series = ', '.join(f'$d using {i} title "{title}"'
                       for i, title in enumerate(SHAPE_ALTERNATIVES.values(), 1))
    ticks = ', '.join('"{}" {}'.format(re.sub(', | in ', r'\\n', SHAPES[g.workload][0]), x)
                      for x, g in enumerate(some))
    gnuplot(directory, 'shapes', 420, f'''
set title "One product, {some[0].title()}"
set ylabel "sold per second"
set style data histogram
set style fill solid 0.9 noborder
set grid ytics lc rgb "#dddddd"
set bmargin 5
set xrange [-0.5:{len(some) - 0.5}]
set yrange [0:*]
set xtics ({ticks}) scale 0
set key outside top center horizontal Left reverse
''', [f'$d << EOD\n{data}\nEOD'], series)


LOCK_WAITS = {'': '0', '_10ms': '10ms', '_100ms': '100ms', '_1s': '1s', '_wait': '-1'}


def lock_waits(directory, some):
    """For doc/operating.md: what each purchase.lock_wait sells of one product."""
    curves = [(g, early, g.title() + (', early release' if early else ''))
              for g in some for early in ('', '_early') if f'purchase{early}_wait' in g.runs]
    measures = {
        'sold per second': lambda g, a: g.rate(a),
        'busy answers for each sale': lambda g, a: g.rate(a, 'busy') / g.rate(a),
        'p99 of a sale with its retries, ms':
            lambda g, a: middle([number(row['p99_ms']) for row in g.runs[a]]),
    }
    text = '![What each lock_wait sells of one product](lock_wait.svg)\n'
    for g, early, title in curves:
        text += (f'\n{title}:\n\n| lock_wait | ' + ' | '.join(measures)
                 + ' | waiting without end is, times as fast |\n|---|' + '--:|' * (1 + len(measures)) + '\n')
        for end, name in LOCK_WAITS.items():
            a = f'purchase{early}{end}'
            cells = [show(measure(g, a)) for measure in measures.values()]
            text += (f'| `{name}` | ' + ' | '.join(cells)
                     + f" | {spread(g.ratios[f'purchase{early}_wait', a])} |\n")
    plot_lock_waits(directory, curves, measures)
    return text


def plot_lock_waits(directory, curves, measures):
    blocks, panels = [], []
    for i, (g, early, _) in enumerate(curves):
        points = '\n'.join(
            ' '.join(str(v) for v in (x, *(m(g, f'purchase{early}{end}')
                                           for m in measures.values())))
            for x, end in enumerate(LOCK_WAITS))
        blocks.append(f'$d{i} << EOD\n{points}\nEOD')
    for column, (name, least) in enumerate(zip(measures, ('100', '0.1', '10')), 2):
        series = ', '.join(f'$d{i} using 1:{column} with linespoints pt 7 ps 0.7 lw 2 '
                           f'title "{title}"' for i, (_, _, title) in enumerate(curves))
        panels.append(f'set title "{name}"\nset yrange [{least}:*]\nplot {series}')
    ticks = ', '.join(f'"{name}" {x}' for x, name in enumerate(LOCK_WAITS.values()))
    # one key is enough, and gnuplot() says the first "plot"
    settings, _, first = panels[0].rpartition('plot ')
    gnuplot(directory, 'lock_wait', 900, f'''
set multiplot layout 3,1
set lmargin 9
set logscale y
set xrange [-0.2:{len(LOCK_WAITS) - 0.8}]
set xtics ({ticks})
set grid ytics lc rgb "#dddddd"
set key outside top center vertical maxcols 1 Left reverse
{settings}''', blocks, first + '\nunset key\n' + '\n'.join(panels[1:]))


def goals(directory, groups):
    """What the project wants of itself, and what came out."""
    early, early_try = 'purchase_early_wait', 'purchase_try_early'
    wanted = [
        ('cold_8_on', 'purchase', 'update', 1.2, 'bare UPDATE, cold, durable, 8 clients'),
        ('cold_8_off', 'purchase', 'update', 1.3, 'bare UPDATE, cold, not durable, 8 clients'),
        ('sold_out_1_on', 'purchase_try', 'select_1', 0.8, 'refusals, of SELECT 1, 1 client'),
        ('sold_out_8_on', 'purchase_try', 'select_1', 0.7, 'refusals, of SELECT 1, 8 clients'),
        ('sold_out_8_on', 'purchase_try', 'update', 1.0,
         'refusals, of the UPDATE that finds nothing, 8 clients'),
        ('cart_1_off', 'purchase', 'ten_calls', 4.0, 'a cart of ten, of ten calls'),
        ('hot_64_slow', early, 'update', 20.0, 'early release, of bare UPDATE, hot'),
        ('hot_64_slow', early, 'insert', 0.8, 'early release, of INSERT, hot'),
        ('hot_64_slow', early_try, 'update', 15.0,
         'early release, not waiting, of bare UPDATE, hot'),
        ('sale_first_64_slow', early, 'update', 6.0,
         'early release, sale then order line, of the same with bare UPDATE'),
        ('line_first_64_slow', early, 'update', 6.0,
         'early release, order line then sale, of the same with bare UPDATE'),
        ('cold_8_on', 'purchase_id', 'by_hand', 1.0,
         'with an id, of UPDATE and record in one statement, 8 clients'),
        ('cold_8_on', 'purchase_limited', 'purchase_id', 0.8,
         'with a limit per buyer, of the same without, 8 clients'),
        ('held_8_on', 'purchase', 'transactions', 1.1,
         'hold and confirm, of two transactions by hand, 8 clients'),
        ('hot_64_slow', 'hold_early_wait', early, 0.7, 'early release, holds, of plain sales, hot'),
        ('hot_64_standby', early, 'update', 15.0,
         'early release, of bare UPDATE, hot, synchronous standby'),
    ]
    lines = ['| purchase against | wanted | is |', '|---|--:|--:|']
    for name, base, alternative, goal, text in wanted:
        if name in groups and groups[name].ratios[base, alternative]:
            lines.append(f'| {text} | {goal} | '
                         f'{spread(groups[name].ratios[base, alternative])} |')
    path = os.path.join(directory, 'cart_1000.tsv')
    if os.path.exists(path):
        ratios = [float(r['cart']) / float(r['calls']) for r in read(path)]
        lines.append('| time of a line in a cart of 1,000, of a call in one statement '
                     f'| at most 0.7 | {spread(ratios)} |')
    return '\n'.join(lines) + '\n'


def plots_and_tables(directory, workload, title, groups):
    if workload == 'lock_wait':
        yield lock_waits(directory, groups)
        return
    for far in (False, True):
        some = [g for g in groups if (g.flush in FAR) == far]
        if some:
            name = workload + ('_far' if far else '')
            plot_bars(directory, name, title, some)
            yield f'![{title}]({name}.svg)\n'
            yield from (f'### {g.title()}\n\n{g.table()}' for g in some)


def report(directory):
    rows = read(os.path.join(directory, 'runs.tsv'))
    collected = defaultdict(list)
    for row in rows:
        collected[row['workload'], row['clients'], row['flush']].append(row)
    groups = {g.name: g for g in map(Group, collected.values())}
    by_workload = defaultdict(list)
    for group in groups.values():
        by_workload[group.workload].append(group)
    for some in by_workload.values():
        some.sort(key=lambda g: (g.clients, list(FLUSH).index(g.flush)))

    with open(os.path.join(directory, 'machine.txt')) as file:
        machine = ''.join('- ' + line for line in file)
    tables = {'machine': machine, 'goals': goals(directory, groups),
              'meaning': MEANING + '\n'}

    text = ['# What purchase costs, beside what would be done without it',
            machine, MEANING, '']
    bad = [f'{NAMES[a]}, {g.workload}, {g.title()}: {note}'
           for some in by_workload.values() for g in some
           for a in g.runs for note in g.notes(a)]
    ours = sum(abs(int(row['oversold'])) for row in rows
               if row['alternative'].startswith(('purchase', 'hold')))
    tables['wrong'] = (f'Units that purchase oversold, in all {len(rows)} runs: {ours}.\n\n'
                       + ''.join(f'- {line}\n' for line in bad))
    text += ['## Who oversold, or told buyers wrong', '', tables['wrong']]
    if any(summary_groups(by_workload)):
        tables['summary'] = summary(directory, by_workload)
        text += ['## Summary', '', tables['summary'], '![summary](summary.svg)', '']
    text += ['## Goals', '', tables['goals']]
    if table := shapes(directory, groups):
        tables['shapes'] = table
        text += ['## Shapes of a transaction', '', table.replace('](bench/', '](')]
    for workload, title in TITLES.items():
        if workload not in by_workload:
            continue
        section = '\n'.join(plots_and_tables(directory, workload, title, by_workload[workload]))
        tables[workload] = section.replace('](', '](bench/')
        text += [f'## {title}', '', section]
    with open(os.path.join(directory, 'report.md'), 'w') as file:
        file.write('\n'.join(text))

    os.makedirs(os.path.join(directory, 'tables'), exist_ok=True)
    for name, table in tables.items():
        with open(os.path.join(directory, 'tables', name + '.md'), 'w') as file:
            file.write(table)


def publish(directory):
    # what is of all workloads is not told anew from a few
    few = os.environ.get('WORKLOAD', '').split()
    for path in ('README.md', 'doc/benchmarks.md', 'doc/hot.md', 'doc/operating.md'):
        with open(path) as file:
            text = file.read()

        def fill(match):
            name = match[1]
            table = os.path.join(directory, 'tables', name + '.md')
            if not os.path.exists(table) or (few and name not in few):
                return match[0]
            with open(table) as file:
                return f'<!-- bench:{name} -->\n{file.read()}<!-- /bench:{name} -->'

        text = re.sub(r'<!-- bench:(\w+) -->\n.*?<!-- /bench:\1 -->', fill, text, flags=re.S)
        with open(path, 'w') as file:
            file.write(text)
        for name in re.findall(r'\((?:doc/)?bench/(\w+\.svg)\)', text):
            if os.path.exists(os.path.join(directory, name)) and (
                    not few or name.removesuffix('.svg').removesuffix('_far') in few):
                os.makedirs('doc/bench', exist_ok=True)
                shutil.copy(os.path.join(directory, name), 'doc/bench')


{'report': report, 'publish': publish}[sys.argv[1]](sys.argv[2])

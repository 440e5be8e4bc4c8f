"""How pages and drawings look: light and dark, on paper and on a phone.

Every pair of colours for text has a contrast of 4.5 at least (WCAG 2.2, 1.4.3), and no colour
alone says anything: there is always a word or a shape beside it.
"""

from __future__ import annotations

_LIGHT = """\
--back:#fff;--fore:#1c2127;--soft:#555d68;--line:#d3d8de;--panel:#f5f7f9;--link:#0a55a8;
--good:#0f5f2c;--good-back:#dcf5e3;--bad:#9c1026;--bad-back:#fde6e7;--odd:#704800;
--odd-back:#fdf0d2;
--one:#0a55a8;--two:#a3450c;--mark-good:#9fe0b1;--mark-bad:#f5b5b8"""

_DARK = """\
--back:#12161b;--fore:#e4e8ec;--soft:#a7b0ba;--line:#39424c;--panel:#1a2027;--link:#8ec2ff;
--good:#86e0a2;--good-back:#15311f;--bad:#ffa6a6;--bad-back:#421a1d;--odd:#f4cd7c;
--odd-back:#382b10;
--one:#8ec2ff;--two:#ffb185;--mark-good:#25623a;--mark-bad:#7c2c32"""

COLOURS = f"""\
:root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
"""

DRAWING = """\
svg text{font:13px system-ui,sans-serif;fill:var(--fore)}
svg .small{font-size:11px;fill:var(--soft)}
svg .box{fill:var(--panel);stroke:var(--soft);stroke-width:1.2}
svg .walked.box{fill:var(--good-back);stroke:var(--good);stroke-width:2}
svg .inner{fill:none;stroke:var(--soft)}
svg .dot{fill:var(--fore)}
svg .way{fill:none;stroke:var(--soft);stroke-width:1.2}
svg .walked.way{stroke:var(--good);stroke-width:2.4}
svg .error{stroke-dasharray:5 4}
svg .tip{fill:var(--soft)}
svg .walked.tip{fill:var(--good)}
svg .blank{fill:var(--back)}
svg .grid{stroke:var(--line)}
svg .one{stroke:var(--one);fill:none;stroke-width:2}
svg .two{stroke:var(--two);fill:none;stroke-width:2;stroke-dasharray:6 4}
svg .one-dot{fill:var(--one)}
svg .two-dot{fill:var(--two)}
svg .one-span{stroke:var(--one);stroke-width:1.5}
svg .two-span{stroke:var(--two);stroke-width:1.5}
"""

_PAGE = """\
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--fore);font:16px/1.5 system-ui,sans-serif}
header,main,footer,nav{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
footer{padding-top:1rem;padding-bottom:2rem;color:var(--soft);font-size:.875rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.3rem;margin:2.25rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1.1rem;margin:1.75rem 0 .5rem}
h4{font-size:1rem;margin:1.25rem 0 .25rem}
h2,h3,h4,p,li,dd,summary{overflow-wrap:anywhere}
p{margin:.4rem 0;max-width:50rem}
a{color:var(--link)}
nav ul{list-style:none;padding:0;margin:.75rem 0 0;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem}
.verdict{font-size:1.15rem;padding:.75rem 1rem;border-left:.4rem solid var(--soft);
background:var(--panel);max-width:none}
.verdict.good{border-color:var(--good);background:var(--good-back)}
.verdict.bad{border-color:var(--bad);background:var(--bad-back)}
.verdict.odd{border-color:var(--odd);background:var(--odd-back)}
.soft{color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.75rem 0}
dt{color:var(--soft)}
dd{margin:0}
.wide{overflow-x:auto;margin:.75rem 0}
.wide:focus-visible,summary:focus-visible,a:focus-visible{outline:3px solid var(--link);
outline-offset:2px}
table{border-collapse:collapse;font-size:.9rem}
caption{text-align:left;color:var(--soft);padding:.25rem 0;overflow-wrap:anywhere}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
thead th{border-bottom:2px solid var(--soft);vertical-align:bottom}
tbody th{font-weight:500;min-width:9rem;max-width:24rem;overflow-wrap:anywhere}
.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.word{white-space:nowrap}
.text{min-width:12rem;max-width:30rem;overflow-wrap:anywhere}
.passed,.failed,.error,.kept,.lost{border-radius:.25rem;padding:.05rem .4rem;white-space:nowrap}
.passed,.kept{background:var(--good-back);color:var(--good)}
.failed,.lost{background:var(--bad-back);color:var(--bad)}
.error{background:var(--odd-back);color:var(--odd)}
td.passed,td.failed,td.error{border-radius:0;padding:.3rem .6rem}
pre{background:var(--panel);border:1px solid var(--line);border-radius:.25rem;
padding:.5rem .75rem;margin:.35rem 0;white-space:pre-wrap;overflow-wrap:anywhere;
font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre.diff{padding:.5rem 0}
pre.diff span{display:block;padding:0 .75rem}
pre.diff .place{color:var(--soft)}
pre.diff .added{background:var(--good-back)}
pre.diff .removed{background:var(--bad-back)}
pre.diff ins,pre.diff del{text-decoration:none;color:inherit}
pre.diff ins{background:var(--mark-good)}
pre.diff del{background:var(--mark-bad)}
details{border:1px solid var(--line);border-radius:.25rem;margin:.4rem 0;padding:0 .75rem}
details[open]{padding-bottom:.5rem}
details details{border-width:0 0 0 2px;border-radius:0;margin-left:.25rem}
summary{cursor:pointer;padding:.4rem 0}
figure{margin:.75rem 0}
figcaption{color:var(--soft);font-size:.9rem}
svg{display:block}
svg.chart{width:100%;max-width:44rem;height:auto}
@media (max-width:40rem){body{font-size:15px}dl{grid-template-columns:1fr}dt{margin-top:.3rem}th,
td{padding:.25rem .4rem}tbody th{min-width:7rem;max-width:11rem}details{padding:0 .5rem}}
@media print{nav{display:none}body{font-size:10pt}.wide{overflow:visible}h2,h3,h4,summary{
break-after:avoid}tr,figure{break-inside:avoid}*{print-color-adjust:exact;
-webkit-print-color-adjust:exact}}
"""

PAGE = COLOURS + DRAWING + _PAGE
"""Of a whole page."""


def alone() -> str:
    """Return the style of a drawing in a file of its own, its colours spelt out. Pure.

    Not every program that shows SVG knows variables, or the dark.
    """
    rules = f"svg{{background:var(--back)}}\n{DRAWING}"
    light, dark = (_with(rules, colours) for colours in (_LIGHT, _DARK))
    return f"{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n"


def _with(rules: str, colours: str) -> str:
    for pair in colours.replace("\n", "").split(";"):
        name, _, colour = pair.partition(":")
        rules = rules.replace(f"var({name})", colour)
    return rules

"""One self-contained HTML file, its style within."""

from __future__ import annotations

COLOURS = """
:root{--ink:#1c2330;--quiet:#667085;--line:#e4e7ec;--back:#fff;--card:#f8f9fb;--accent:#2f6fde}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--quiet:#98a2b3;--line:#303846;--back:#12161d;--card:#1a202a;--accent:#7aa7f7}}
"""
FIGURES = """
svg text{font-size:11px;fill:var(--ink)}svg .title{font-size:13px;font-weight:600}svg .quiet,svg tspan.quiet{fill:var(--quiet);font-weight:400;font-size:11px}
svg .grid{stroke:var(--line)}svg .ceiling{stroke:var(--quiet);stroke-dasharray:4 3}svg .curve{fill:none;stroke:var(--accent);stroke-width:2}svg .bar{stroke:var(--accent);stroke-width:1.5}svg circle{fill:var(--accent)}svg circle.hollow{fill:var(--back);stroke:var(--accent)}
"""  # noqa: E501  # a style sheet, in lines of its rules
STYLE = (
    COLOURS
    + FIGURES
    + """
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}h1{font-size:1.5rem;margin:0 0 4px}h2{font-size:1.1rem;margin:36px 0 10px}h3{font-size:.95rem;margin:18px 0 4px}
p.lead,.quiet{color:var(--quiet)}p{margin:4px 0}p,li,pre,summary{overflow-wrap:anywhere}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:5px 12px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}thead th{color:var(--quiet);font-weight:600}td.best{font-weight:700;color:var(--accent)}td.words{text-align:left}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:14px}.charts svg{width:100%;background:var(--card);border-radius:10px;padding:6px}
pre{white-space:pre-wrap;background:var(--card);border-radius:8px;padding:12px;font-size:13px;user-select:all}
.grid td,.grid th{padding:3px;border:0;text-align:center;vertical-align:top}.grid td:first-child,.grid th:first-child{text-align:left;white-space:normal;width:200px;min-width:140px;padding-right:12px;vertical-align:middle}
.grid img{width:96px;height:auto;border-radius:6px;display:block}.grid th:first-child{font-weight:400;color:var(--ink)}.grid tbody th{text-align:left}
.grid button{padding:0;border:0;background:none;cursor:zoom-in;border-radius:6px;display:block}button:focus-visible,select:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.choices{display:flex;flex-wrap:wrap;gap:10px 16px;margin:6px 0 12px}.choices label{display:flex;flex-direction:column;font-size:12px;color:var(--quiet)}
select{font:inherit;font-size:14px;color:var(--ink);background:var(--card);border:1px solid var(--quiet);border-radius:6px;padding:4px 8px;max-width:260px}
dialog{border:1px solid var(--line);border-radius:12px;background:var(--back);color:var(--ink);padding:16px;max-width:min(860px,94vw)}dialog::backdrop{background:rgba(0,0,0,.55)}
dialog .close{float:right}dialog button{font:inherit;font-size:13px;color:var(--ink);background:var(--card);border:1px solid var(--quiet);border-radius:6px;padding:4px 10px;margin:3px 4px 3px 0;text-align:left;cursor:pointer}
dialog .large{display:flex;flex-wrap:wrap;gap:18px;clear:both;padding-top:8px}dialog .large img{width:min(400px,82vw);height:auto;image-rendering:auto;border-radius:8px;align-self:flex-start}dialog dl{font-size:13px;max-width:380px}dialog .near{margin-top:10px}
details{margin-top:8px}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
"""  # noqa: E501  # the same
)


def document(title: str, body: str) -> str:
    """A self-contained HTML file around a title and a body, both HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def svg_file(figure: str) -> str:
    """A figure of charts.py as a file of its own: it names its language and brings its colours along."""
    style = f"<style>{COLOURS}svg{{font-family:system-ui,sans-serif;background:var(--back)}}{FIGURES}</style>"
    head, _, rest = figure.partition(">")
    return head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" width="720"', 1) + f">{style}{rest}"

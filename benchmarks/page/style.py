"""How the page looks, in light and in dark. Data only."""

STYLE = """
:root{color-scheme:light dark;--back:#fbfbfa;--card:#fff;--ink:#1d2129;--soft:#5d6675;--rule:#e3e5e9;
--good:#1a7f4b;--bad:#b3261e;--warn:#8a5a00;--warnback:#fff4d9;
--c0:#2166c2;--c1:#d2600c;--c2:#1a8a63;--c3:#a03a8c;--c4:#8a7300;--c5:#0e8ca8;--c6:#b03048;--c7:#6b7280}
@media (prefers-color-scheme:dark){:root{--back:#14171c;--card:#1b1f26;--ink:#e6e8ec;--soft:#9aa3b2;
--rule:#2d333d;--good:#4ccb8a;--bad:#ff8a80;--warn:#ffcf66;--warnback:#3a2f12;
--c0:#6ea8ff;--c1:#ff9d57;--c2:#4fd1a1;--c3:#e58ad3;--c4:#e0c341;--c5:#56cfe8;--c6:#ff8296;--c7:#a0a8b5}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Liberation Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}
h2{font-size:17px;margin:36px 0 10px}
h3{font-size:15px;margin:0}
main>h3{margin:18px 0 8px}
a{color:inherit}
p{margin:6px 0;max-width:78ch}
.soft,figcaption,.unit{color:var(--soft)}
.lead{font-size:17px;margin:14px 0}
.verdict{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}
.warning{background:var(--warnback);border-left:4px solid var(--warn);padding:10px 14px;margin:14px 0;
border-radius:0 6px 6px 0}
.warning p{margin:2px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.tile,figure,.card{background:var(--card);border:1px solid var(--rule);border-radius:8px}
.tile{padding:12px 14px}.tile b{display:block;font-size:24px;line-height:1.2;font-weight:600;
font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:14px}
figure{margin:0;padding:14px 16px 10px}
figcaption{font-size:13px;margin:2px 0 6px}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:13px;margin:4px 0}
.legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin:0 6px 3px 0}
svg{display:block;width:100%;height:auto}
.grid{stroke:var(--rule);stroke-width:1}
.tick{fill:var(--soft);font-size:11px;font-variant-numeric:tabular-nums}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.hover rect{fill:transparent}.hover line{stroke:var(--soft);stroke-width:1;opacity:0}
.hover:hover line{opacity:.7}
.card{padding:6px 16px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th,td{text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid var(--rule);vertical-align:top}
tr:last-child td{border-bottom:0}
th{color:var(--soft);font-weight:500;font-size:13px}
.n{text-align:right;padding-right:16px}
code,pre{font:13px/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,monospace}
pre{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 16px;overflow-x:auto;
white-space:pre-wrap;word-break:break-word;margin:8px 0}
""" + "".join(
    f".c{n}{{stroke:var(--c{n})}}.f{n}{{fill:var(--c{n});background:var(--c{n})}}" for n in range(8)
)

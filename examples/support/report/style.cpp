#include <support/report/figure.hpp>

namespace report {

// Okabe and Ito's palette, which readers with any colour vision tell apart. Its blue is for light
// surroundings and its yellow for dark ones, each unreadable in the other; three more are lighter in
// the dark. Dashes and marks repeat what the colours say.
std::string figure_style() {
  return R"css(
.figure{--ground:#ffffff;--ink:#1b1f24;--soft:#57606a;--grid:#e4e7eb;--edge:#8b949e;
--c0:#1b1f24;--c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#cc79a7;--c5:#e69f00;--c6:#56b4e9}
@media (prefers-color-scheme:dark){
.figure{--ground:#14181d;--ink:#e6e9ed;--soft:#a3acb7;--grid:#2b323a;--edge:#6e7a87;
--c0:#e6e9ed;--c1:#f0e442;--c2:#ff7a26;--c3:#1fc79a;--c4:#e29fc5;--c5:#e69f00;--c6:#56b4e9}}
.figure{font-family:system-ui,"DejaVu Sans",Helvetica,Arial,sans-serif;font-size:12px}
.figure text{fill:var(--ink)}
.figure .title{font-size:16px;font-weight:600}
.figure .axis{font-size:13px}
.figure .panel{font-size:13px;font-weight:600}
.figure .soft{fill:var(--soft)}
.figure path{fill:none}
.figure .ground{fill:var(--ground)}
.figure .grid{stroke:var(--grid)}
.figure .edge{stroke:var(--edge)}
.figure .reference{stroke:var(--ink);stroke-width:1.3}
.figure .r0{stroke-dasharray:8 4}
.figure .r1{stroke-dasharray:2 3}
.figure .r2{stroke-dasharray:10 3 2 3}
.figure .leader{stroke:var(--soft);stroke-width:1}
.figure .line{stroke-width:2;stroke-linejoin:round}
.figure .mark{stroke:var(--ground);stroke-width:.8}
.figure .quiet{fill:var(--edge);fill-opacity:.38}
.figure .spread{fill-opacity:.3}
.figure .warning{fill:var(--c2);fill-opacity:.75}
.figure .line.s0,.figure .line.s7{stroke:var(--c0)}
.figure .line.s1,.figure .line.s8{stroke:var(--c1)}
.figure .line.s2,.figure .line.s9{stroke:var(--c2)}
.figure .line.s3,.figure .line.s10{stroke:var(--c3)}
.figure .line.s4,.figure .line.s11{stroke:var(--c4)}
.figure .line.s5{stroke:var(--c5)}
.figure .line.s6{stroke:var(--c6)}
.figure .line.s2{stroke-dasharray:9 4}
.figure .line.s3{stroke-dasharray:3 3}
.figure .line.s4{stroke-dasharray:12 3 3 3}
.figure .line.s5{stroke-dasharray:6 3}
.figure .line.s6{stroke-dasharray:2 4}
.figure .line.s7{stroke-dasharray:4 2}
.figure .line.s8{stroke-dasharray:9 3 2 3 2 3}
.figure .line.s9{stroke-dasharray:2 2}
.figure .line.s10{stroke-dasharray:14 4}
.figure .line.s11{stroke-dasharray:5 5}
.figure .solid.line{stroke-dasharray:none}
.figure .mark.s0,.figure .mark.s7{fill:var(--c0)}
.figure .mark.s1,.figure .mark.s8{fill:var(--c1)}
.figure .mark.s2,.figure .mark.s9{fill:var(--c2)}
.figure .mark.s3,.figure .mark.s10{fill:var(--c3)}
.figure .mark.s4,.figure .mark.s11{fill:var(--c4)}
.figure .mark.s5{fill:var(--c5)}
.figure .mark.s6{fill:var(--c6)}
.figure .spread.s0,.figure .spread.s7{fill:var(--c0)}
.figure .spread.s1,.figure .spread.s8{fill:var(--c1)}
.figure .spread.s2,.figure .spread.s9{fill:var(--c2)}
.figure .spread.s3,.figure .spread.s10{fill:var(--c3)}
.figure .spread.s4,.figure .spread.s11{fill:var(--c4)}
.figure .spread.s5{fill:var(--c5)}
.figure .spread.s6{fill:var(--c6)}
)css";
}

}  // namespace report

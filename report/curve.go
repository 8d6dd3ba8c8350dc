package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// layerCurve is the correlation at every layer, for all sources and for each.
func (s *study) layerCurve() figure {
	return figure{
		Name: "layer_curve", Title: "Correlation by layer",
		Caption: "Spearman's ρ of cosine and leakage by decoder layer (0-based; the layer's output). Whiskers of all sources together are " +
			s.rhoInterval + "; of single sources, " + bonettWright + ". All sources together mix differences " +
			"between sources with those within. " +
			"Points are set apart sideways to be seen; where ρ is undefined there is none.",
		Alt:    "Line chart of the rank correlation of cosine and leakage against the layer; the layer table has the values.",
		Source: []ref{{File: fullFile, Path: "/layers"}},
		width:  8.5 * vg.Inch, height: 4.8 * vg.Inch,
		draw: func(c draw.Canvas) {
			cell := panels{title: "Rank correlation of cosine and leakage by layer", rows: 1, cols: 1,
				note: s.level() + " intervals: all sources " + s.rhoInterval + ", single sources " +
					"" + bonettWright + "."}.cut(c)[0][0]
			s.curvePlot().Draw(draw.Crop(cell, 0, -160, 0, 0))
			if !s.hasCurve() {
				style := sans(10.5, muted)
				style.XAlign = text.XCenter
				c.FillText(style, vg.Point{X: cell.Min.X + (cell.Max.X-cell.Min.X-160)/2, Y: (cell.Min.Y + cell.Max.Y) / 2}, "no correlation is defined")
			}
			right := cell
			right.Min.X = cell.Max.X - 145
			all := series{"all sources", ink, glyph(shapes[0])}
			key(right, "Sources", append([]series{all}, s.sourceSeries()...))
		},
	}
}

// hasCurve reports whether there is any correlation to draw.
func (s *study) hasCurve() bool {
	return slices.ContainsFunc(s.curve, func(l layerPoint) bool {
		if l.aggregate.Value != nil {
			return true
		}
		for _, e := range l.bySource {
			if e.Value != nil {
				return true
			}
		}
		return false
	})
}

func (s *study) curvePlot() *plot.Plot {
	p := newPlot("", "decoder layer", "Spearman's ρ")
	ticks := make(plot.ConstantTicks, len(s.curve))
	for i, point := range s.curve {
		ticks[i] = plot.Tick{Value: float64(i), Label: fmt.Sprint(point.layer)}
	}
	p.X.Tick.Marker = ticks
	p.X.Min, p.X.Max = -0.4, float64(len(s.curve))-0.6
	p.Y.Min, p.Y.Max = s.curveRange()
	p.Y.Tick.Marker = evenTicks(0.2, 1)
	zero := draw.LineStyle{Color: muted, Width: vg.Points(0.8), Dashes: []vg.Length{3, 2}}
	p.Add(grid{y: true}, stroke{plotter.XYs{{X: p.X.Min, Y: 0}, {X: p.X.Max, Y: 0}}, zero})
	n := len(s.sources)
	for k := range n {
		slot := k // of n+1: the middle one is that of all sources
		if 2*k >= n {
			slot++
		}
		shift := 0.6 * (float64(slot)/float64(max(1, n)) - 0.5)
		s.addCurve(p, k, shift, func(l layerPoint) estimate { return l.bySource[s.sources[k]] })
	}
	s.addCurve(p, -1, 0, func(l layerPoint) estimate { return l.aggregate })
	return p
}

// addCurve draws one series; -1 is that of all sources, drawn heavier.
func (s *study) addCurve(p *plot.Plot, k int, shift float64, value func(layerPoint) estimate) {
	shade, shape, width, radius := ink, glyph(shapes[0]), vg.Points(2), vg.Length(4.2)
	if k >= 0 {
		shade, shape, width, radius = seriesColor(k), seriesShape(k), vg.Points(0.8), 3.2
	}
	var xy plotter.XYs
	var marks oneSeries
	w := whiskers{color: shade, cap: 2.5}
	for i, point := range s.curve {
		if e := value(point); e.Value != nil {
			at := [2]float64{float64(i) + shift, *e.Value}
			xy = append(xy, plotter.XY{X: at[0], Y: at[1]})
			marks.xy = append(marks.xy, at)
			w.at, w.iv = append(w.at, at), append(w.iv, e.Interval)
		}
	}
	marks.style = draw.GlyphStyle{Color: shade, Radius: radius, Shape: shape}
	p.Add(stroke{xy, draw.LineStyle{Color: shade, Width: width}}, w, marks)
}

func (s *study) curveRange() (lo, hi float64) {
	lo, hi = 0, 1
	for _, l := range s.curve {
		all := []estimate{l.aggregate}
		for _, e := range l.bySource {
			all = append(all, e)
		}
		for _, e := range all {
			if e.Value != nil {
				lo = math.Min(lo, *e.Value)
			}
			if e.Interval != nil {
				lo = math.Min(lo, e.Interval.Lo)
			}
		}
	}
	return math.Max(-1, math.Floor(lo*5)/5) - 0.02, hi + 0.02
}

// oneSeries draws points that look alike.
type oneSeries struct {
	xy    [][2]float64
	style draw.GlyphStyle
}

func (o oneSeries) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	for _, q := range o.xy {
		c.DrawGlyphNoClip(o.style, vg.Point{X: tx(q[0]), Y: ty(q[1])})
	}
}

package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// points draws personas as one glyph each.
type points struct {
	xy     [][2]float64
	series []int // colour and shape of each
	radius vg.Length
}

func (d points) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	for i, q := range d.xy {
		style := draw.GlyphStyle{Color: seriesColor(d.series[i]), Radius: d.radius, Shape: seriesShape(d.series[i])}
		c.DrawGlyphNoClip(style, vg.Point{X: tx(q[0]), Y: ty(q[1])})
	}
}

// whiskers draws intervals as thin lines, upright ones by default.
type whiskers struct {
	at    [][2]float64
	iv    []*interval
	flat  bool
	color color.RGBA
	cap   vg.Length // half the length of the end strokes
}

func (w whiskers) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	style := draw.LineStyle{Color: w.color, Width: vg.Points(0.8)}
	for i, q := range w.at {
		if w.iv[i] == nil {
			continue
		}
		if w.flat {
			a, b, y := tx(w.iv[i].Lo), tx(w.iv[i].Hi), ty(q[1])
			c.StrokeLine2(style, a, y, b, y)
			c.StrokeLine2(style, a, y-w.cap, a, y+w.cap)
			c.StrokeLine2(style, b, y-w.cap, b, y+w.cap)
			continue
		}
		x, a, b := tx(q[0]), ty(w.iv[i].Lo), ty(w.iv[i].Hi)
		c.StrokeLine2(style, x, a, x, b)
		c.StrokeLine2(style, x-w.cap, a, x+w.cap, a)
		c.StrokeLine2(style, x-w.cap, b, x+w.cap, b)
	}
}

// cosineRange holds all cosines of the shown layer, in steps of 0.2.
func (s *study) cosineRange() (lo, hi float64) {
	lo, hi = 0, 0.2
	for _, p := range s.personas {
		if c := s.cosine(p); c != nil {
			lo, hi = math.Min(lo, *c), math.Max(hi, *c)
		}
	}
	return math.Max(-1, math.Floor(lo*5-0.1)/5), math.Min(1, math.Ceil(hi*5+0.1)/5)
}

func (s *study) categorySeries() []series {
	out := make([]series, len(s.categories))
	for i, c := range s.categories {
		out[i] = series{words(c), seriesColor(i), seriesShape(i)}
	}
	return out
}

// scatterPlot is leakage against cosine for some personas, with their extremes named.
func (s *study) scatterPlot(title string, personas []persona, named int, radius vg.Length) *plot.Plot {
	p := newPlot(title, fmt.Sprintf("cosine with the source, layer %d", s.layer), "leakage rate")
	p.X.Min, p.X.Max = s.cosineRange()
	p.Y.Min, p.Y.Max = -0.03, 1.03
	step := 0.2
	if p.X.Max-p.X.Min > 1.3 {
		step = 0.4
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = evenTicks(step, 1), percentTicks(0.2)
	var shown []persona
	d := points{radius: radius}
	for _, b := range personas {
		if c := s.cosine(b); c != nil {
			shown = append(shown, b)
			d.xy = append(d.xy, [2]float64{*c, b.Rate})
			d.series = append(d.series, max(0, s.category(b.Category)))
		}
	}
	l := labels{style: sans(7.5, ink), points: d.xy, names: make(map[int]string)}
	high, low := extremes(shown, named)
	for i := range high { // the highest and the lowest in turn
		l.order = append(l.order, high[i], low[len(low)-1-i])
	}
	for _, i := range l.order {
		l.names[i] = shown[i].shortName()
	}
	p.Add(grid{true, true}, d, l)
	return p
}

// scatterBySource has a panel per source.
func (s *study) scatterBySource() figure {
	cols := min(3, len(s.sources)+1)
	rows := (len(s.sources) + 1 + cols - 1) / cols // one place for the key
	return figure{
		Name: "scatter_by_source", Title: "Leakage and similarity, source by source",
		Caption: fmt.Sprintf("Each point is a bystander persona: how similar the base model holds it to be to the source "+
			"(cosine at the output of decoder layer %d, 0-based), and how often the source's adapters write the "+
			"marker as it. "+
			"The highest and lowest rates are named where there is room.", s.layer) + s.undrawn(),
		Alt:    "Scatter plots of leakage rate against cosine, one per source; the table of personas has every value.",
		Source: []ref{{File: cosineFile, Path: fmt.Sprintf("/per_layer/layer_%d/pairs", s.layer)}},
		width:  10.5 * vg.Inch, height: vg.Length(rows)*3.5*vg.Inch + 40,
		draw: func(c draw.Canvas) {
			cells := panels{title: "Marker leakage against similarity to the source", rows: rows, cols: cols}.cut(c)
			for i, source := range s.sources {
				title := clip(bold(10.5, ink), words(source), 150)
				if e := s.rho(source); e.Value != nil {
					title += fmt.Sprintf("  (ρ = %s, n = %d)", decimals(*e.Value, 2), e.N)
				}
				s.scatterPlot(title, s.bystanders(source), 4, 3.4).Draw(cells[i/cols][i%cols])
			}
			k := len(s.sources)
			key(draw.Crop(cells[k/cols][k%cols], 20, 0, 0, 0), "Category of the bystander", s.categorySeries())
		},
	}
}

// rho is a source's correlation at the shown layer.
func (s *study) rho(source string) estimate {
	if i := s.layerIndex(); i >= 0 && i < len(s.curve) {
		return s.curve[i].bySource[source]
	}
	return estimate{}
}

// scatterAggregate has all bystanders, coloured by source, with the fitted line.
func (s *study) scatterAggregate() figure {
	f := figure{
		Name: "scatter_aggregate", Title: "Leakage and similarity, all sources",
		Caption: fmt.Sprintf("All bystanders at layer %d.%s ", s.layer, s.undrawn()),
		Alt:     "Scatter plot of leakage rate against cosine for all bystanders, by source.",
		Source:  []ref{{File: cosineFile, Path: fmt.Sprintf("/per_layer/layer_%d/pairs", s.layer)}},
		width:   8.5 * vg.Inch, height: 5.6 * vg.Inch,
	}
	switch {
	case s.fit == nil:
		f.Caption += "No line is drawn: the fit is undefined or was not computed."
	case s.fit.half == nil:
		f.Caption += "The line is ordinary least squares; it describes, the rank correlation tests."
		f.Source = append(f.Source, ref{File: fullFile, Path: pointer("layers", layerKey(s.layer), "linear_fit")})
	default:
		f.Caption += "The line is ordinary least squares with the pointwise " + s.level() + " confidence band of its mean; the band treats " +
			"personas as independent. It describes; the rank correlation tests."
		f.Source = append(f.Source, ref{File: fullFile, Path: pointer("layers", layerKey(s.layer), "linear_fit")})
	}
	if s.fit != nil && s.betweenSources() != nil {
		f.Caption += " The line follows differences between sources too, which the correlations within the sources " +
			"do not bear out: see the caveats."
	}
	f.draw = func(c draw.Canvas) {
		cell := panels{title: "Marker leakage against similarity, all sources", rows: 1, cols: 1}.cut(c)[0][0]
		p := newPlot("", fmt.Sprintf("cosine with the source, layer %d", s.layer), "leakage rate")
		p.X.Min, p.X.Max = s.cosineRange()
		p.Y.Min, p.Y.Max = -0.03, 1.03
		p.X.Tick.Marker, p.Y.Tick.Marker = evenTicks(0.2, 1), percentTicks(0.2)
		d := points{radius: 3.4}
		for _, b := range s.personas {
			if v := s.cosine(b); v != nil {
				d.xy = append(d.xy, [2]float64{*v, b.Rate})
				d.series = append(d.series, indexOf(s.sources, b.Source))
			}
		}
		p.Add(grid{true, true})
		if s.fit != nil {
			addLine(p, *s.fit, d.xy)
		}
		p.Add(d)
		p.Draw(draw.Crop(cell, 0, -150, 0, 0))
		right := cell
		right.Min.X = cell.Max.X - 140
		key(right, "Source", s.sourceSeries())
	}
	return f
}

func (s *study) sourceSeries() []series {
	out := make([]series, len(s.sources))
	for i, name := range s.sources {
		out[i] = series{words(name), seriesColor(i), seriesShape(i)}
	}
	return out
}

// addLine draws a fit over the range of the data, not beyond.
func addLine(p *plot.Plot, l line, xy [][2]float64) {
	if len(xy) == 0 {
		return
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, q := range xy {
		lo, hi = math.Min(lo, q[0]), math.Max(hi, q[0])
	}
	const steps = 60
	var middle, upper, lower plotter.XYs
	for i := range steps + 1 {
		x := lo + (hi-lo)*float64(i)/steps
		y := l.intercept + l.slope*x
		middle = append(middle, plotter.XY{X: x, Y: y})
		if l.half != nil {
			d := l.half(x)
			lower, upper = append(lower, plotter.XY{X: x, Y: y - d}), append(upper, plotter.XY{X: x, Y: y + d})
		}
	}
	if l.half != nil {
		p.Add(ribbon{lower, upper, color.RGBA{0xDD, 0xDD, 0xDD, 0xFF}})
	}
	p.Add(stroke{middle, draw.LineStyle{Color: ink, Width: vg.Points(1.2)}})
}

// ribbon fills between two curves with the same x, inside the axes.
type ribbon struct {
	lower, upper plotter.XYs
	color        color.RGBA
}

func (r ribbon) Plot(c draw.Canvas, p *plot.Plot) {
	back := project(c, p, r.lower)
	slices.Reverse(back)
	c.FillPolygon(r.color, c.ClipPolygonXY(append(project(c, p, r.upper), back...)))
}

// project is where values lie on the canvas.
func project(c draw.Canvas, p *plot.Plot, values plotter.XYs) []vg.Point {
	tx, ty := p.Transforms(&c)
	out := make([]vg.Point, len(values))
	for i, q := range values {
		out[i] = vg.Point{X: tx(q.X), Y: ty(q.Y)}
	}
	return out
}

// stroke is a curve, inside the axes.
type stroke struct {
	xy    plotter.XYs
	style draw.LineStyle
}

func (s stroke) Plot(c draw.Canvas, p *plot.Plot) {
	c.StrokeLines(s.style, c.ClipLinesXY(project(c, p, s.xy))...)
}

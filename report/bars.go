package report

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"personaprobe/internal/english"
)

// rowTicks names the rows of a plot, the first on top.
func rowTicks(names []string) plot.ConstantTicks {
	out := make(plot.ConstantTicks, len(names))
	for i, n := range names {
		out[i] = plot.Tick{Value: float64(-i), Label: drawable(n)}
	}
	return out
}

// rowPlot has one row per name and a rate along x.
func rowPlot(title string, names []string, most float64) *plot.Plot {
	p := newPlot(title, "leakage rate", "")
	p.X.Min, p.X.Max = 0, most
	step := 0.2
	if most <= 0.5 {
		step = 0.1
	}
	p.X.Tick.Marker = percentTicks(step)
	p.Y.Min, p.Y.Max = -float64(len(names))+0.4, 0.6
	p.Y.Tick.Marker = rowTicks(names)
	p.Y.Tick.Length = 0
	p.Add(grid{x: true})
	return p
}

// bars draws flat bars from zero in the rows of a rowPlot.
type bars struct {
	values []*float64
	colors []color.RGBA
}

func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	for i, v := range b.values {
		if v == nil {
			continue
		}
		lo, hi := ty(float64(-i)-0.33), ty(float64(-i)+0.33)
		c.FillPolygon(b.colors[i], []vg.Point{{X: tx(0), Y: lo}, {X: tx(*v), Y: lo}, {X: tx(*v), Y: hi}, {X: tx(0), Y: hi}})
	}
}

// pale lightens a colour, for areas under marks of the full colour.
func pale(c color.RGBA) color.RGBA {
	mix := func(v uint8) uint8 { return uint8(0.45*float64(v) + 0.55*255) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xFF}
}

// upTo is the end of an axis that holds the intervals, in steps of a fifth.
func upTo(estimates map[string]estimate) float64 {
	most := 0.1
	for _, e := range estimates {
		if e.Value != nil {
			most = math.Max(most, *e.Value)
		}
		if e.Interval != nil {
			most = math.Max(most, e.Interval.Hi)
		}
	}
	return math.Min(1, math.Ceil(most*10)/10)
}

// categoryPlot is the mean of every category with its interval.
func (s *study) categoryPlot(title string, means map[string]estimate, most float64) *plot.Plot {
	names := make([]string, len(s.categories))
	b := bars{values: make([]*float64, len(names)), colors: make([]color.RGBA, len(names))}
	w := whiskers{flat: true, color: ink, cap: 3}
	for i, category := range s.categories {
		e := means[category]
		names[i] = clip(sans(8.5, ink), words(category), 110)
		b.values[i], b.colors[i] = e.Value, pale(seriesColor(i))
		w.at, w.iv = append(w.at, [2]float64{0, float64(-i)}), append(w.iv, e.Interval)
	}
	p := rowPlot(title, names, most)
	p.Add(b, w)
	return p
}

// categoryBars has all sources together, then one panel for each.
func (s *study) categoryBars() figure {
	titles, means := []string{"all sources"}, []map[string]estimate{s.byCategory}
	for _, source := range s.sources {
		titles, means = append(titles, words(source)), append(means, s.cells[source])
	}
	cols := 2
	if len(titles) > 6 {
		cols = 3
	}
	rows := (len(titles) + cols - 1) / cols
	return figure{
		Name: "category_bars", Title: "Leakage by category",
		Caption: "Mean leakage rate of the bystanders of each category; whiskers, where there are any, are " +
			"" + s.cellInterval + ".",
		Alt:    "Bar charts of mean leakage by category, for all sources and each; the category table has the values.",
		Source: []ref{{File: fullFile, Path: "/by_category"}, {File: fullFile, Path: "/cells"}},
		width:  vg.Length(cols) * 4.5 * vg.Inch, height: vg.Length(rows)*(vg.Length(len(s.categories))*17+62) + 60,
		draw: func(c draw.Canvas) {
			at := panels{title: "Mean leakage by category", note: "Whiskers: " + s.cellInterval + ".", rows: rows, cols: cols}.cut(c)
			most := 0.1
			for _, m := range means {
				most = math.Max(most, upTo(m))
			}
			for i, title := range titles {
				s.categoryPlot(clip(bold(10.5, ink), title, 200), means[i], most).Draw(at[i/cols][i%cols])
			}
		},
	}
}

// maxLeaky is how many sources the detail has room for.
const maxLeaky = 3

// leaky are the n sources whose bystanders leak most, in falling order.
func (s *study) leaky(n int) []string {
	out := filter(s.sources, func(source string) bool { return s.bySource[source].Value != nil })
	slices.SortStableFunc(out, func(a, b string) int {
		return cmp.Compare(*s.bySource[b].Value, *s.bySource[a].Value)
	})
	return out[:min(n, len(out))]
}

// leakyDetail shows every bystander of the leakiest sources.
func (s *study) leakyDetail() figure {
	sources := s.leaky(maxLeaky)
	rows := 1
	for _, source := range sources {
		rows = max(rows, len(s.bystanders(source)))
	}
	return figure{
		Name: "leaky_sources", Title: s.leakyTitle(sources) + ", persona by persona",
		Caption: fmt.Sprintf("Every bystander of %s, by category and falling rate; whiskers are %s.", s.whose(sources),
			s.rateInterval),
		Alt: "Dot plots of the leakage rate of every bystander of " + s.whose(sources) + "; the persona table " +
			"has the values.",
		Source: []ref{{File: fullFile, Path: "/personas"}},
		width:  max(6.5*vg.Inch, vg.Length(len(sources))*3.9*vg.Inch+20), height: vg.Length(rows)*12.5 + 146,
		draw: func(c draw.Canvas) {
			p := panels{
				title: "Leakage of every bystander", rows: 1, cols: max(1, len(sources)), bottom: 36,
				note: "Whiskers: " + s.rateInterval + ". Colour and shape: category, in the order of the key; within it by falling rate.",
			}
			for i, cell := range p.cut(c)[0][:len(sources)] {
				s.dots(sources[i]).Draw(cell)
			}
			s.flatKey(draw.Crop(c, 10, -10, p.foot(c)+15, 0))
		},
	}
}

// whose is what a figure of some of the sources shows.
func (s *study) whose(sources []string) string {
	switch n := len(sources); {
	case n == 1 && len(s.sources) == 1:
		return "the one source"
	case n == len(s.sources):
		return fmt.Sprintf("all %d sources, the leakiest first", n)
	default:
		return fmt.Sprintf("the %d of %d sources with the highest mean leakage", n, len(s.sources))
	}
}

func (s *study) leakyTitle(sources []string) string {
	if len(sources) == len(s.sources) {
		return english.Form(len(sources), "The source", "The sources")
	}
	return "The leakiest sources"
}

// dots has a row per bystander of a source.
func (s *study) dots(source string) *plot.Plot {
	personas := s.byCategoryAndRate(source)
	names := make([]string, len(personas))
	d, w := points{radius: 3.2}, whiskers{flat: true, color: muted}
	for i, b := range personas {
		names[i] = clip(sans(8, ink), b.shortName(), 128)
		at := [2]float64{b.Rate, float64(-i)}
		d.xy, d.series = append(d.xy, at), append(d.series, max(0, s.category(b.Category)))
		w.at, w.iv = append(w.at, at), append(w.iv, b.Interval)
	}
	p := rowPlot(clip(bold(10.5, ink), words(source), 200), names, 1)
	p.X.Max = 1.02
	p.Y.Tick.Label.Font.Size = 8
	p.Add(w, d)
	return p
}

// flatKey is a key of the categories in two lines at the bottom of a canvas.
func (s *study) flatKey(c draw.Canvas) {
	entries := s.categorySeries()
	half := (len(entries) + 1) / 2
	width := (c.Max.X - c.Min.X) / vg.Length(max(1, half))
	style := sans(9, ink)
	for i, e := range entries {
		at := vg.Point{X: c.Min.X + vg.Length(i%half)*width + 6, Y: c.Min.Y + 4 - vg.Length(i/half)*13}
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: e.color, Radius: 3.6, Shape: e.shape}, at)
		c.FillText(style, vg.Point{X: at.X + 8, Y: at.Y - 3}, clip(style, e.name, width-20))
	}
}

package report

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"personaprobe/internal/english"
)

// cells is a grid of coloured squares with their values printed.
type cells struct {
	title, note     string
	rowHead         string
	colHead         string
	rows, cols      []string
	value           func(row, col int) *float64 // nil: nothing known, hatched
	text            func(v float64) string
	shade           func(v float64) color.RGBA
	mark            func(row, col int) bool // cells with a frame; nil: none
	size            vg.Length               // width of a cell
	slanted         bool                    // column names at an angle: they are long
	ruleRow, ruleAt int                     // a line after so many rows and columns; 0: none
}

const cellHeight = 26 * vg.Length(1)

// extent is the size of the figure: margins for the names, then the cells.
func (g cells) extent() (w, h, left, top vg.Length) {
	style := sans(9.5, ink)
	for _, r := range g.rows {
		left = max(left, style.Width(drawable(r)))
	}
	left += 24
	top = 30
	if g.slanted {
		for _, c := range g.cols {
			top = max(top, style.Width(drawable(c))*0.72+16)
		}
	}
	right := vg.Length(14)
	if g.slanted && len(g.cols) > 0 { // the last name leans over the edge
		right += max(0, style.Width(drawable(g.cols[len(g.cols)-1]))*0.72-g.size/2)
	}
	w = max(left+vg.Length(len(g.cols))*g.size+right, bold(13, ink).Width(g.title)+24)
	h = titleHeight + 18 + top + vg.Length(len(g.rows))*cellHeight + 12
	h += vg.Length(len(wrap(sans(8.5, muted), g.note, w-20)))*11 + 8
	return w, h, left, top
}

// columns names the columns, which are as wide as the names unless these are slanted.
func (g *cells) columns(ids []string) {
	style := sans(9.5, ink)
	if g.slanted {
		g.size = 48
	}
	for _, id := range ids {
		name := clip(style, words(id), 130)
		g.cols = append(g.cols, name)
		if !g.slanted {
			g.size = max(g.size, style.Width(name)+10)
		}
	}
}

func (g cells) draw(c draw.Canvas) {
	_, _, left, top := g.extent()
	panels{title: g.title, note: g.note, rows: 1, cols: 1}.cut(c)
	x0, y0 := c.Min.X+left, c.Max.Y-titleHeight-18-top
	small := sans(8.5, muted)
	c.FillText(small, vg.Point{X: c.Min.X + 10, Y: c.Max.Y - titleHeight - 14}, g.rowHead+"  ↓      "+g.colHead+"  →")
	for i, name := range g.cols {
		style := sans(9.5, ink)
		at := vg.Point{X: x0 + (vg.Length(i)+0.5)*g.size, Y: y0 + 6}
		if style.XAlign = text.XCenter; g.slanted {
			style.XAlign, style.Rotation = text.XLeft, 0.7854
		}
		c.FillText(style, at, drawable(name))
	}
	for r, name := range g.rows {
		style := sans(9.5, ink)
		style.XAlign, style.YAlign = text.XRight, text.YCenter
		c.FillText(style, vg.Point{X: x0 - 6, Y: y0 - (vg.Length(r)+0.5)*cellHeight}, drawable(name))
		for k := range g.cols {
			g.cell(c, r, k, vg.Point{X: x0 + vg.Length(k)*g.size, Y: y0 - vg.Length(r+1)*cellHeight})
		}
	}
	g.rules(c, x0, y0)
}

func (g cells) cell(c draw.Canvas, row, col int, at vg.Point) {
	r := vg.Rectangle{Min: at, Max: vg.Point{X: at.X + g.size, Y: at.Y + cellHeight}}
	corners := []vg.Point{r.Min, {X: r.Max.X, Y: r.Min.Y}, r.Max, {X: r.Min.X, Y: r.Max.Y}, r.Min}
	style := sans(9, muted)
	style.XAlign, style.YAlign = text.XCenter, text.YCenter
	centre := vg.Point{X: (r.Min.X + r.Max.X) / 2, Y: (r.Min.Y + r.Max.Y) / 2}
	v := g.value(row, col)
	if v == nil {
		c.FillText(style, centre, "–")
	} else {
		shade := g.shade(*v)
		c.FillPolygon(shade, corners[:4])
		style.Color = on(shade)
		c.FillText(style, centre, g.text(*v))
	}
	c.StrokeLines(draw.LineStyle{Color: color.White, Width: vg.Points(1)}, corners)
	if g.mark != nil && g.mark(row, col) {
		in := vg.Length(1.5)
		c.StrokeLines(draw.LineStyle{Color: ink, Width: vg.Points(1.4)}, []vg.Point{
			{X: r.Min.X + in, Y: r.Min.Y + in}, {X: r.Max.X - in, Y: r.Min.Y + in},
			{X: r.Max.X - in, Y: r.Max.Y - in}, {X: r.Min.X + in, Y: r.Max.Y - in}, {X: r.Min.X + in, Y: r.Min.Y + in},
		})
	}
}

func (g cells) rules(c draw.Canvas, x0, y0 vg.Length) {
	style := draw.LineStyle{Color: ink, Width: vg.Points(1)}
	w, h := vg.Length(len(g.cols))*g.size, vg.Length(len(g.rows))*cellHeight
	if g.ruleAt > 0 && g.ruleAt < len(g.cols) {
		x := x0 + vg.Length(g.ruleAt)*g.size
		c.StrokeLine2(style, x, y0, x, y0-h)
	}
	if g.ruleRow > 0 && g.ruleRow < len(g.rows) {
		y := y0 - vg.Length(g.ruleRow)*cellHeight
		c.StrokeLine2(style, x0, y, x0+w, y)
	}
}

func (g cells) figure(f figure) figure {
	f.width, f.height, _, _ = g.extent()
	f.draw = g.draw
	return f
}

func asPercent(v float64) string { return oneDecimal(100 * v) }

// heatmap is the mean leakage of every source and category.
func (s *study) heatmap() figure {
	g := cells{
		title: "Mean leakage by source and category (%)", rowHead: "category", colHead: "source",
		note: "Each cell is the mean rate of its personas, in per cent of completions.", size: 92,
		text: asPercent, shade: sequential.at, slanted: len(s.sources) > 8,
	}
	for _, c := range s.categories {
		g.rows = append(g.rows, clip(sans(9.5, ink), words(c), 160))
	}
	g.columns(s.sources)
	g.value = func(row, col int) *float64 { return s.cells[s.sources[col]][s.categories[row]].Value }
	return g.figure(figure{
		Name: "heatmap_source_category", Title: "Leakage by source and category",
		Caption: "Mean leakage rate of the personas of each source and category, in per cent. A dash: no personas.",
		Alt:     "Heatmap of mean leakage by category and source; the category table has the values and intervals.",
		Source:  []ref{{File: fullFile, Path: "/cells"}},
	})
}

// crossLeakage is every adapter asked as every source.
func (s *study) crossLeakage() figure {
	prompts := s.prompted()
	g := cells{
		title: "Cross-leakage: adapter asked as each source (%)", rowHead: "adapter", colHead: "asked as",
		note: "Framed: adapters asked as the source they were trained on.", size: 92,
		text: asPercent, shade: sequential.at, slanted: len(prompts) > 8,
	}
	g.columns(prompts)
	for _, source := range s.sources {
		g.rows = append(g.rows, clip(sans(9.5, ink), words(source), 160))
	}
	g.mark = func(row, col int) bool { return s.sources[row] == prompts[col] }
	g.value = func(row, col int) *float64 {
		for i, a := range s.anchors {
			if a.Source == s.sources[row] && a.Prompted == prompts[col] {
				return &s.anchors[i].Rate
			}
		}
		return nil
	}
	return g.figure(figure{
		Name: "cross_leakage", Title: "Cross-leakage between sources",
		Caption: "Rate of the marker when each source's adapters (row) are asked as each source (column), in per " +
			"cent: the anchors.",
		Alt:    "Matrix of marker rates, adapters by source prompts; the anchor table has the counts and intervals.",
		Source: []ref{{File: "marker_eval.json", Path: "/anchor_<source>", PerShard: true}},
	})
}

// prompted are the sources whose prompts were asked as anchors.
func (s *study) prompted() []string {
	var out []string
	for _, a := range s.anchors {
		if indexOf(out, a.Prompted) < 0 {
			out = append(out, a.Prompted)
		}
	}
	return out
}

// cosineMatrix is how similar sources and extreme bystanders are to each other.
func (s *study) cosineMatrix() figure {
	m := s.cosines
	extreme := len(m.names) - m.groups
	g := cells{
		title:   fmt.Sprintf("Cosines of sources and extreme bystanders, layer %d", s.layer),
		rowHead: "persona", colHead: "the same",
		note: "Sources first; then, for each source, the bystander with the most (+) and with the least (−) leakage.",
		rows: m.names, cols: m.names, size: 40, slanted: true, ruleAt: m.groups, ruleRow: m.groups,
		value: func(row, col int) *float64 { return m.values[row][col] },
		text:  func(v float64) string { return decimals(v, 2) },
		shade: func(v float64) color.RGBA { return diverging.at((v + 1) / 2) },
	}
	return g.figure(figure{
		Name: "cosine_matrix", Title: "Cosines between sources and extreme bystanders",
		Caption: fmt.Sprintf("Cosine of centred centroids in the base model at layer %d, between the sources and each source's "+
			"bystanders with the most and the least leakage; of equal ones, the first of the taxonomy with the "+
			"most and the last with the least.", s.layer),
		Alt: fmt.Sprintf("Matrix of cosines between %d %s and %d extreme %s.", m.groups, english.Plural(m.groups,
			"source"), extreme, english.Plural(extreme, "bystander")),
		Source: []ref{{File: centroidFile, Path: fmt.Sprintf("centered/L%d", s.layer)}},
	})
}

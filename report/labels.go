package report

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// labels writes names beside points so that no name covers another, a point, or the
// edge. A name that finds no room is left out: the table has it.
type labels struct {
	style  text.Style
	points [][2]float64 // all points, in data units: they are kept visible
	names  map[int]string
	order  []int // of points to name, the most important first
}

const (
	labelRadius = 4 * vg.Length(1) // of a point with its rim
	labelGap    = 4 * vg.Length(1) // between names side by side
)

func (l labels) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	dots := make([]vg.Rectangle, len(l.points))
	at := make([]vg.Point, len(l.points))
	for i, q := range l.points {
		at[i] = vg.Point{X: tx(q[0]), Y: ty(q[1])}
		dots[i] = box(at[i], labelRadius*2*0.8, labelRadius*2*0.8)
	}
	room := &room{edge: c.Rectangle, dots: dots}
	for _, i := range l.order {
		name := clip(l.style, l.names[i], (c.Max.X-c.Min.X)*0.5)
		if r, ok := room.place(at[i], l.style.Width(name)+labelGap, l.style.Font.Size*1.15); ok {
			l.write(c, at[i], r, name)
		}
	}
}

// write puts the name into its place, with a leader line if that is not beside the point.
func (l labels) write(c draw.Canvas, at vg.Point, r vg.Rectangle, name string) {
	if line, ok := leader(at, r); ok {
		c.StrokeLine2(draw.LineStyle{Color: muted, Width: vg.Points(0.4)}, line[0].X, line[0].Y, line[1].X, line[1].Y)
	}
	style := l.style
	style.YAlign = text.YCenter
	c.FillText(style, vg.Point{X: r.Min.X + labelGap/2, Y: (r.Min.Y + r.Max.Y) / 2}, name)
}

// leader is the line from a point to the nearest place of its name, unless they touch.
func leader(at vg.Point, r vg.Rectangle) ([2]vg.Point, bool) {
	near := vg.Point{X: clamp(at.X, r.Min.X, r.Max.X), Y: clamp(at.Y, r.Min.Y, r.Max.Y)}
	dx, dy := float64(near.X-at.X), float64(near.Y-at.Y)
	d := math.Hypot(dx, dy)
	if d <= 7 {
		return [2]vg.Point{}, false
	}
	return [2]vg.Point{{X: at.X + vg.Length(dx/d)*4, Y: at.Y + vg.Length(dy/d)*4}, near}, true
}

// room is what is still free of a plot.
type room struct {
	edge    vg.Rectangle
	dots    []vg.Rectangle
	names   []vg.Rectangle
	leaders [][2]vg.Point
}

// place takes the nearest free rectangle around at, on rings of growing radius.
func (m *room) place(at vg.Point, w, h vg.Length) (vg.Rectangle, bool) {
	best, least := vg.Rectangle{}, math.Inf(1)
	for ring := range 7 {
		d := float64(6 + 7*ring)
		for k := range 16 {
			s, cos := math.Sincos(2 * math.Pi * float64(k) / 16)
			centre := vg.Point{X: at.X + vg.Length(cos*d) + vg.Length(cos)*w/2, Y: at.Y + vg.Length(s*d) + vg.Length(s)*h/2}
			r := box(centre, w, h)
			if d < least && hits(m.dots, r) == 0 && m.isFree(at, r) {
				best, least = r, d
			}
		}
	}
	if math.IsInf(least, 1) {
		return best, false
	}
	m.names = append(m.names, best)
	if line, ok := leader(at, best); ok {
		m.leaders = append(m.leaders, line)
	}
	return best, true
}

// isFree reports whether a name at r would keep clear of the edge and of other names
// and their leader lines, and its own line of other names.
func (m *room) isFree(at vg.Point, r vg.Rectangle) bool {
	if !inside(m.edge, r) || hits(m.names, r) > 0 {
		return false
	}
	for _, line := range m.leaders {
		if crosses(line, r) {
			return false
		}
	}
	line, ok := leader(at, r)
	for _, name := range m.names {
		if ok && crosses(line, name) {
			return false
		}
	}
	return true
}

// crosses reports whether a line goes through a rectangle. The lines are short, so a
// few points of each tell.
func crosses(line [2]vg.Point, r vg.Rectangle) bool {
	const steps = 24
	for i := range steps + 1 {
		f := vg.Length(i) / steps
		x, y := line[0].X+(line[1].X-line[0].X)*f, line[0].Y+(line[1].Y-line[0].Y)*f
		if x > r.Min.X && x < r.Max.X && y > r.Min.Y && y < r.Max.Y {
			return true
		}
	}
	return false
}

func box(centre vg.Point, w, h vg.Length) vg.Rectangle {
	return vg.Rectangle{
		Min: vg.Point{X: centre.X - w/2, Y: centre.Y - h/2},
		Max: vg.Point{X: centre.X + w/2, Y: centre.Y + h/2},
	}
}

func inside(outer, r vg.Rectangle) bool {
	return r.Min.X >= outer.Min.X && r.Max.X <= outer.Max.X && r.Min.Y >= outer.Min.Y && r.Max.Y <= outer.Max.Y
}

func hits(all []vg.Rectangle, r vg.Rectangle) int {
	n := 0
	for _, o := range all {
		if r.Min.X < o.Max.X && o.Min.X < r.Max.X && r.Min.Y < o.Max.Y && o.Min.Y < r.Max.Y {
			n++
		}
	}
	return n
}

func clamp(v, lo, hi vg.Length) vg.Length { return max(lo, min(hi, v)) }

package report

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"
	"unicode"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a drawing that can go to any canvas.
type figure struct {
	Name    string // file name without extension
	Title   string
	Caption string // what it shows and how to read it
	Alt     string // for those who cannot see it: what comes out, in words
	Source  []ref  // artefacts that the values are from

	lacking       []string // what pixels draw as numbers
	width, height vg.Length
	draw          func(c draw.Canvas)
}

// pngDPI makes a figure of 9 inches 1,440 pixels wide.
const pngDPI = 160

// svg renders the figure as SVG. Text stays text; readers without the Liberation
// fonts get Arial or Helvetica, which have the same widths, and for other scripts their
// own fonts.
func (f figure) svg() ([]byte, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(f.width, f.height))
	f.draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("draw %s.svg: %w", f.Name, err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")), nil
}

// png renders the figure in pixels, for places that take no SVG. lacking are the texts
// that its font lacks, which it has as [1], [2] and so on, with a note below.
func (f figure) png() (data []byte, lacking []string, err error) {
	canvas := f.pixels(0, &lacking)
	if len(lacking) > 0 {
		note := sans(8.5, ink)
		const strip = 16 * vg.Length(1)
		canvas = f.pixels(strip, &lacking)
		c := draw.New(canvas)
		white(draw.Crop(c, 0, 0, 0, strip-f.height-strip))
		c.FillText(note, vg.Point{X: 10, Y: 5}, fmt.Sprintf("[1] to [%d]: characters that this picture's font "+
			"lacks; %s and the SVG have them.", len(lacking), markdownFile))
	}
	var b bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: canvas.Canvas}).WriteTo(&b); err != nil {
		return nil, nil, fmt.Errorf("draw %s.png: %w", f.Name, err)
	}
	return b.Bytes(), lacking, nil
}

// pixels draws the figure above a strip.
func (f figure) pixels(strip vg.Length, lacking *[]string) pixels {
	p := pixels{vgimg.NewWith(vgimg.UseWH(f.width, f.height+strip), vgimg.UseDPI(pngDPI)), lacking}
	f.draw(draw.Crop(draw.NewCanvas(p, f.width, f.height+strip), 0, 0, strip, 0))
	return p
}

// sans is a text style of the figures' font.
func sans(points float64, c color.Color) text.Style {
	return text.Style{
		Color: c, Handler: textHandler,
		Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(points)},
	}
}

func bold(points float64, c color.Color) text.Style {
	s := sans(points, c)
	s.Font.Weight = stdfont.WeightBold
	return s
}

// newPlot is a plot in the figures' style: sans serif, no heavy axes.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = drawable(title), drawable(x), drawable(y)
	p.Title.TextStyle = bold(10.5, ink)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = text.XCenter, text.YTop
	p.Title.Padding = vg.Points(5)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle = sans(9.5, ink)
		axis.Tick.Label = sans(8.5, ink)
		axis.LineStyle = draw.LineStyle{Color: muted, Width: vg.Points(0.6)}
		axis.Tick.LineStyle = draw.LineStyle{Color: muted, Width: vg.Points(0.6)}
		axis.Tick.Length = vg.Points(3)
		axis.Padding = vg.Points(2)
		axis.Label.Padding = vg.Points(3)
	}
	// plot.New aligned the styles that were replaced here.
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = text.XCenter, text.YTop
	p.Y.Tick.Label.XAlign, p.Y.Tick.Label.YAlign = text.XRight, text.YCenter
	p.X.Label.TextStyle.XAlign, p.X.Label.TextStyle.YAlign = text.XCenter, text.YBottom
	p.Y.Label.TextStyle.XAlign, p.Y.Label.TextStyle.YAlign = text.XCenter, text.YBottom
	p.Y.Label.TextStyle.Rotation = 0
	return p
}

// white fills a canvas, so that figures stay readable on a dark page.
func white(c draw.Canvas) {
	c.FillPolygon(color.White, []vg.Point{
		c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y},
	})
}

// grid draws faint lines at the major ticks, under the data.
type grid struct{ x, y bool }

func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	style := draw.LineStyle{Color: faint, Width: vg.Points(0.5)}
	if g.x {
		for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
			if x := tx(t.Value); !t.IsMinor() && c.ContainsX(x) {
				c.StrokeLine2(style, x, c.Min.Y, x, c.Max.Y)
			}
		}
	}
	if g.y {
		for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
			if y := ty(t.Value); !t.IsMinor() && c.ContainsY(y) {
				c.StrokeLine2(style, c.Min.X, y, c.Max.X, y)
			}
		}
	}
}

// percentTicks label a rate in [0, 1] as a percentage, every 20 points or every step.
func percentTicks(step float64) plot.TickerFunc {
	return func(lo, hi float64) []plot.Tick {
		var out []plot.Tick
		for k := 0; float64(k)*step <= 1+1e-9; k++ {
			v := float64(k) * step
			if v >= lo-1e-9 && v <= hi+1e-9 {
				out = append(out, plot.Tick{Value: v, Label: fmt.Sprintf("%.0f%%", 100*v)})
			}
		}
		return out
	}
}

// evenTicks are multiples of step with the given decimals.
func evenTicks(step float64, decimals int) plot.TickerFunc {
	return func(lo, hi float64) []plot.Tick {
		var out []plot.Tick
		for k := int(lo/step) - 1; float64(k)*step <= hi+1e-9; k++ {
			if v := float64(k) * step; v >= lo-1e-9 {
				out = append(out, plot.Tick{Value: v, Label: minus(fmt.Sprintf("%.*f", decimals, v))})
			}
		}
		return out
	}
}

// minus sets a number with a true minus sign, and no minus before a zero.
func minus(s string) string {
	if strings.HasPrefix(s, "-") && strings.Trim(s, "-0.") == "" {
		return s[1:]
	}
	return strings.Replace(s, "-", "−", 1)
}

// drawable is text that every canvas takes: control characters, which are not allowed
// in XML, and line breaks become spaces.
func drawable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || (r >= 0xFFFE && r <= 0xFFFF) {
			return ' '
		}
		return r
	}, s)
}

// panels cuts a canvas into rows and columns below a title and above a note.
type panels struct {
	title, note string
	rows, cols  int
	bottom      vg.Length // room kept free under the panels
}

const (
	titleHeight = 26 * vg.Length(1)
	panelGap    = 12 * vg.Length(1)
)

// cut draws background, title and note and returns the panels' canvases, row by row.
func (p panels) cut(c draw.Canvas) [][]draw.Canvas {
	white(c)
	head := bold(13, ink)
	head.YAlign = text.YTop
	c.FillText(head, vg.Point{X: c.Min.X + 10, Y: c.Max.Y - 8}, drawable(p.title))
	lines := p.lines(c)
	for i, line := range lines {
		c.FillText(sans(8.5, muted), vg.Point{X: c.Min.X + 10, Y: c.Min.Y + 8 + vg.Length(len(lines)-1-i)*11}, line)
	}
	inner := draw.Crop(c, 8, -12, p.foot(c)+p.bottom, -titleHeight-4)
	tiles := draw.Tiles{Rows: p.rows, Cols: p.cols, PadX: panelGap, PadY: panelGap}
	out := make([][]draw.Canvas, p.rows)
	for r := range out {
		for col := range p.cols {
			out[r] = append(out[r], tiles.At(inner, col, r))
		}
	}
	return out
}

// lines is the note, broken to the canvas's width.
func (p panels) lines(c draw.Canvas) []string {
	if p.note == "" {
		return nil
	}
	return wrap(sans(8.5, muted), p.note, c.Max.X-c.Min.X-20)
}

// foot is the room that the note takes.
func (p panels) foot(c draw.Canvas) vg.Length {
	if p.note == "" {
		return 6
	}
	return vg.Length(len(p.lines(c)))*11 + 12
}

// wrap breaks text at spaces into lines of a width.
func wrap(style text.Style, s string, width vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(drawable(s)) {
		next := strings.TrimSpace(line + " " + word)
		if line != "" && style.Width(next) > width {
			lines = append(lines, line)
			next = word
		}
		line = next
	}
	return append(lines, line)
}

// clip shortens text to a width, with an ellipsis.
func clip(style text.Style, s string, width vg.Length) string {
	s = drawable(s)
	if style.Width(s) <= width {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && style.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ,;") + "…"
}

// series is one entry of a key.
type series struct {
	name  string
	color color.RGBA
	shape glyph
}

// key draws a legend in one column, from the top of the canvas.
func key(c draw.Canvas, title string, entries []series) {
	head := bold(9.5, ink)
	y := c.Max.Y - 20
	c.FillText(head, vg.Point{X: c.Min.X, Y: y}, drawable(title))
	style := sans(9.5, ink)
	style.YAlign = text.YCenter
	step := min(16*vg.Length(1), (y-c.Min.Y-6)/vg.Length(max(1, len(entries))))
	for _, e := range entries {
		y -= step
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: e.color, Radius: 4, Shape: e.shape}, vg.Point{X: c.Min.X + 6, Y: y})
		c.FillText(style, vg.Point{X: c.Min.X + 16, Y: y}, clip(style, e.name, c.Max.X-c.Min.X-18))
	}
}

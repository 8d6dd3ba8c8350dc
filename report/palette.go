package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// okabeIto is the palette of Okabe and Ito ("Color Universal Design", 2008), which
// people with the usual kinds of colour blindness can tell apart. Their yellow is
// replaced by a darker one, for a contrast of 3:1 with white.
var okabeIto = []color.RGBA{
	{0x00, 0x72, 0xB2, 0xFF}, // blue
	{0xD5, 0x5E, 0x00, 0xFF}, // vermillion
	{0x00, 0x9E, 0x73, 0xFF}, // bluish green
	{0xCC, 0x79, 0xA7, 0xFF}, // reddish purple
	{0xE6, 0x9F, 0x00, 0xFF}, // orange
	{0x56, 0xB4, 0xE9, 0xFF}, // sky blue
	{0xA8, 0x96, 0x00, 0xFF}, // dark yellow
	{0x40, 0x40, 0x40, 0xFF}, // black, softened
}

var (
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xFF} // text and outlines
	faint = color.RGBA{0xD8, 0xD8, 0xD8, 0xFF} // grid
	muted = color.RGBA{0x66, 0x66, 0x66, 0xFF} // reference lines, notes
)

// shapes are outlines around the origin, of about the same area, with radius 1 as the
// scale. The page draws the same ones.
var shapes = [][][2]float64{
	ngon(20, 0, 1),              // circle
	ngon(4, math.Pi/4, 1.25),    // square
	ngon(3, math.Pi/2, 1.5),     // triangle
	ngon(4, 0, 1.35),            // diamond
	ngon(3, -math.Pi/2, 1.5),    // triangle, point down
	star(5, 1.55, 0.65),         // star
	cross(1.3, 0.45, 0),         // plus
	cross(1.4, 0.45, math.Pi/4), // cross
}

func ngon(n int, start, radius float64) [][2]float64 {
	out := make([][2]float64, n)
	for i := range out {
		a := start + 2*math.Pi*float64(i)/float64(n)
		out[i] = [2]float64{radius * math.Cos(a), radius * math.Sin(a)}
	}
	return out
}

func star(n int, outer, inner float64) [][2]float64 {
	out := make([][2]float64, 2*n)
	for i := range out {
		r := outer
		if i%2 == 1 {
			r = inner
		}
		a := math.Pi/2 + math.Pi*float64(i)/float64(n)
		out[i] = [2]float64{r * math.Cos(a), r * math.Sin(a)}
	}
	return out
}

// cross has four arms of the given length and half width.
func cross(arm, half, turn float64) [][2]float64 {
	out := make([][2]float64, 0, 12)
	for k := range 4 {
		a := turn + math.Pi/2*float64(k)
		s, c := math.Sincos(a)
		for _, p := range [][2]float64{{arm, -half}, {arm, half}, {half, half}} {
			out = append(out, [2]float64{c*p[0] - s*p[1], s*p[0] + c*p[1]})
		}
	}
	return out
}

// seriesColor and seriesShape tell up to 64 series apart, neighbours by both.
func seriesColor(i int) color.RGBA { return okabeIto[i%len(okabeIto)] }

func seriesShape(i int) glyph { return glyph(shapes[(i+i/len(shapes))%len(shapes)]) }

// glyph draws a filled outline with a white rim, so that points on top of each other
// stay countable. It implements draw.GlyphDrawer.
type glyph [][2]float64

func (g glyph) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	var path vg.Path
	for i, p := range g {
		q := vg.Point{X: at.X + vg.Length(p[0])*style.Radius, Y: at.Y + vg.Length(p[1])*style.Radius}
		if i == 0 {
			path.Move(q)
		} else {
			path.Line(q)
		}
	}
	path.Close()
	c.SetColor(style.Color)
	c.Fill(path)
	c.SetLineStyle(draw.LineStyle{Color: color.White, Width: vg.Points(0.5)})
	c.Stroke(path)
}

// ramp is a colour scale: straight lines in sRGB between stops.
type ramp []color.RGBA

// sequential runs from white to a dark blue for values in [0, 1]; diverging from blue
// over white to vermillion for values in [-1, 1] mapped to [0, 1].
var (
	sequential = ramp{{0xFB, 0xFB, 0xFD, 0xFF}, {0xB5, 0xD4, 0xE9, 0xFF}, {0x56, 0xA3, 0xCF, 0xFF}, {0x00, 0x72, 0xB2, 0xFF}, {0x00, 0x3C, 0x6B, 0xFF}}
	diverging  = ramp{{0x00, 0x4F, 0x87, 0xFF}, {0x56, 0xA3, 0xCF, 0xFF}, {0xFB, 0xFB, 0xFD, 0xFF}, {0xF0, 0x9A, 0x56, 0xFF}, {0xA8, 0x45, 0x00, 0xFF}}
)

// at is the colour of v, held to [0, 1].
func (r ramp) at(v float64) color.RGBA {
	x := math.Max(0, math.Min(1, v)) * float64(len(r)-1)
	i := min(int(x), len(r)-2)
	f := x - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + f*(float64(b)-float64(a)))) }
	a, b := r[i], r[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xFF}
}

// on is black or white, whichever has the higher contrast on the background (relative
// luminance as in WCAG 2.2).
func on(background color.RGBA) color.RGBA {
	white, black := color.RGBA{0xFF, 0xFF, 0xFF, 0xFF}, color.RGBA{0, 0, 0, 0xFF}
	if contrast(background, white) >= contrast(background, black) {
		return white
	}
	return black
}

func contrast(a, b color.RGBA) float64 {
	la, lb := luminance(a), luminance(b)
	return (math.Max(la, lb) + 0.05) / (math.Min(la, lb) + 0.05)
}

func luminance(c color.RGBA) float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

package report

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// maxPairs is how many pairs of shards the agreement figure shows.
const maxPairs = 3

// shardPairs are the first pairs of shard keys that some source has both of: sampling
// seeds of one adapter and, in turn with these, adapters.
func (s *study) shardPairs() [][2]string {
	keys := s.shardKeys()
	var seeds, adapters, out [][2]string
	for i, a := range keys {
		for _, b := range keys[i+1:] {
			trainingA, seedA := training(a)
			trainingB, seedB := training(b)
			switch pair := [2]string{a, b}; {
			case !s.haveBoth(a, b):
			case trainingA == trainingB:
				seeds = append(seeds, pair)
			case seedA == seedB:
				adapters = append(adapters, pair)
			}
		}
	}
	for i := range max(len(seeds), len(adapters)) {
		if i < len(seeds) {
			out = append(out, seeds[i])
		}
		if i < len(adapters) {
			out = append(out, adapters[i])
		}
	}
	return out[:min(maxPairs, len(out))]
}

// haveBoth reports whether any bystander has rates in both shards.
func (s *study) haveBoth(a, b string) bool {
	for _, p := range s.personas {
		_, first := p.Shards[a]
		_, second := p.Shards[b]
		if first && second {
			return true
		}
	}
	return false
}

// seedAgreement has the rates in one shard against those in another.
func (s *study) seedAgreement() figure {
	pairs := s.shardPairs()
	title, caption := "Agreement of sampling seeds",
		"Rates of every bystander under one sampling seed against another. The nearer the points are to the line, "+
			"the smaller is the sampling noise. "+
			"Seeds of sampling say nothing about how a newly trained adapter would differ."
	if s.hasSeveralAdapters() {
		title, caption = "Agreement of adapters and sampling seeds",
			"Rates of every bystander in one shard against another. Two seeds of one adapter differ by sampling "+
				"alone, "+
				"two adapters by training too."
	}
	note := "The line is equality. ICC(3,1) over " + s.raters() + ": "
	for i, source := range s.sources {
		if i > 0 {
			note += ", "
		}
		note += words(source) + " " + s.icc[source].short(3)
	}
	return figure{
		Name: "seed_agreement", Title: title, Caption: caption,
		Alt:    "Scatter plots of leakage rates in pairs of shards; the agreement table has the ICC of each source.",
		Source: []ref{{File: fullFile, Path: "/icc"}, {File: "marker_eval.json", PerShard: true}},
		width:  vg.Length(max(2, len(pairs)))*3.3*vg.Inch + 150, height: 4.3 * vg.Inch,
		draw: func(c draw.Canvas) {
			at := panels{title: "Rates in pairs of shards", rows: 1, cols: max(1, len(pairs)),
				note: note + "."}.cut(draw.Crop(c, 0, 0, 0, 0))
			shrink := 140 / vg.Length(max(1, len(pairs)))
			for i, pair := range pairs {
				cell := at[0][i]
				cell.Min.X -= shrink * vg.Length(i)
				cell.Max.X -= shrink * vg.Length(i+1)
				s.pairPlot(pair).Draw(cell)
			}
			right := at[0][len(at[0])-1]
			right.Min.X = right.Max.X - 128
			key(right, "Source", s.sourceSeries())
		},
	}
}

func (s *study) pairPlot(pair [2]string) *plot.Plot {
	p := newPlot("", "rate, "+keyName(pair[0]), "rate, "+keyName(pair[1]))
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.03, 1.03, -0.03, 1.03
	p.X.Tick.Marker, p.Y.Tick.Marker = percentTicks(0.2), percentTicks(0.2)
	d := points{radius: 2.8}
	for _, b := range s.personas {
		x, okX := b.Shards[pair[0]]
		y, okY := b.Shards[pair[1]]
		if okX && okY {
			d.xy, d.series = append(d.xy, [2]float64{x, y}), append(d.series, indexOf(s.sources, b.Source))
		}
	}
	equal := draw.LineStyle{Color: muted, Width: vg.Points(0.8), Dashes: []vg.Length{3, 2}}
	p.Add(grid{true, true}, stroke{plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}}, equal}, d)
	return p
}

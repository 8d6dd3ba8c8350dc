package report

import (
	"errors"
	"math"
	"slices"

	"personaprobe/analysis"
	"personaprobe/experiment"
	"personaprobe/internal/sums"
)

// readCells takes the means of groups. Intervals are of one kind throughout: personas
// and questions resampled where every group has that one, else personas alone.
func (s *study) readCells() {
	s.crossed = true
	for _, cells := range s.full.Cells.All() {
		for _, c := range cells.All() {
			s.crossed = s.crossed && (c.N < 2 || c.PersonaCI.Lower == nil || c.CrossedCI.Lower != nil)
		}
	}
	s.cellInterval = s.level() + " bootstrap intervals over personas"
	if s.crossed {
		s.cellInterval += " and questions"
	}
	take := func(r analysis.RateSummary) estimate {
		e := estimate{Value: r.Mean, N: r.N, Interval: bounds(r.PersonaCI), Reason: r.PersonaCI.Reason}
		if s.crossed {
			e.Interval = bounds(r.CrossedCI)
		}
		return e
	}
	s.cells, s.byCategory = make(map[string]map[string]estimate), make(map[string]estimate)
	s.bySource, s.icc = make(map[string]estimate), make(map[string]estimate)
	for source, cells := range s.full.Cells.All() {
		s.cells[source] = make(map[string]estimate)
		for category, c := range cells.All() {
			s.cells[source][category] = take(c)
		}
	}
	for category, c := range s.full.ByCategory.All() {
		s.byCategory[category] = take(c)
	}
	for source, c := range s.full.BySource.All() {
		s.bySource[source] = take(c)
	}
	for source, c := range s.full.ICC.All() {
		s.icc[source] = estimate{Value: c.ICC, N: c.NumPersonas, Interval: bounds(c.CI), Reason: c.Reason}
	}
}

// readFit takes the line at the shown layer. The half width of its band follows from the
// slope's interval: se(mean at x) = se(slope) sqrt(var(x) + (x - mean(x))^2), with the
// variance divided by n, and the same quantile of Student's t.
func (s *study) readFit() {
	layer, ok := s.full.Layers.Get(layerKey(s.layer))
	if !ok || layer.Fit.Slope == nil || layer.Fit.Intercept == nil {
		return
	}
	s.fit = &line{slope: *layer.Fit.Slope, intercept: *layer.Fit.Intercept}
	var xs []float64
	for _, p := range s.personas {
		if c := s.cosine(p); c != nil {
			xs = append(xs, *c)
		}
	}
	ci := bounds(layer.Fit.SlopeCI)
	if ci == nil || len(xs) != layer.Fit.N {
		return
	}
	mean, square := 0.0, 0.0
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	for _, x := range xs {
		square += (x - mean) * (x - mean) / float64(len(xs))
	}
	s.fit.half = func(x float64) float64 { return (ci.Hi - ci.Lo) / 2 * math.Sqrt(square+(x-mean)*(x-mean)) }
}

// readCosines takes the cosines between sources and extreme bystanders from the run's
// centroids.
func (s *study) readCosines() error {
	i := s.layerIndex()
	if s.results == nil || i < 0 {
		s.notes = append(s.notes, "No cosines between personas: the directory has no centroids.safetensors of a run.")
		return nil
	}
	rep, err := experiment.ReadRepresentation(s.results)
	if errors.Is(err, sums.ErrDamaged) {
		return err
	}
	if err != nil { // a copy of a run may lack it
		s.notes = append(s.notes, "No cosines between personas: "+err.Error()+".")
		return nil //nolint:nilerr // the report says it
	}
	k := slices.Index(rep.Layers, s.layer)
	if k < 0 {
		return nil
	}
	ids := slices.Clone(s.sources)
	names := make([]string, 0, len(ids)*3)
	for _, id := range ids {
		names = append(names, words(id))
	}
	m := &matrix{groups: len(ids)}
	for _, source := range s.sources {
		own := s.bystanders(source)
		high, low := extremes(own, 1)
		for _, j := range high {
			ids, names = append(ids, own[j].ID), append(names, "+ "+clip(sans(9.5, ink), own[j].shortName(), 150))
		}
		for _, j := range low {
			ids, names = append(ids, own[j].ID), append(names, "− "+clip(sans(9.5, ink), own[j].shortName(), 150))
		}
	}
	m.names = names
	for _, a := range ids {
		row := make([]*float64, len(ids))
		for j, b := range ids {
			if c, err := rep.Centred[k].Cosine(a, b); err == nil && !math.IsNaN(c) { // a zero centroid has none
				row[j] = &c
			}
		}
		m.values = append(m.values, row)
	}
	s.cosines = m
	return nil
}

package report

import (
	"strconv"

	"personaprobe/experiment"
)

// effectsTable is what the run measured of its adapters before it began; without rows
// where an older build began it.
func (s *study) effectsTable() table {
	t := table{
		ID: "effects", Title: "Effects of the adapters", Source: ref{File: manifestFile, Path: "/adapter_effects"},
		Caption: "How far each adapter moves the base model's next token, measured before the run.",
		Columns: []column{{"adapter", ""}, {"mean", "effect"}, {"largest", "effect"}, {"prompts", "counts"}, {"same as", ""}},
	}
	s.eachEffect(func(name string, e experiment.AdapterEffect) {
		at := func(v float64, set func(float64) string, def, field string) cell {
			return num(number{Text: set(v), Def: def, Value: &v, At: effectAt(name, field)})
		}
		t.Rows = append(t.Rows, row{Cells: []cell{label(words(name)), at(e.KLMean, nats, "effect", "kl_mean"),
			at(e.KLMax, nats, "effect", "kl_max"), at(float64(e.Prompts), grouped, "counts", "prompts"), label(words(e.SameAs))}})
	})
	return t
}

func effectAt(adapter, field string) ref {
	return ref{File: manifestFile, Path: pointer("adapter_effects", adapter, field)}
}

// eachEffect calls f for the adapters that were measured, in the study's order.
func (s *study) eachEffect(f func(name string, e experiment.AdapterEffect)) {
	if s.results == nil {
		return
	}
	for _, a := range s.results.Study.Adapters() {
		if e, ok := s.results.Manifest.Effects[a.Name()]; ok {
			f(a.Name(), e)
		}
	}
}

// nats has two digits.
func nats(v float64) string {
	if v == 0 || v >= 0.00095 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return pValue(v)
}

// idleAdapters are those that do nothing, and copies of others.
func (s *study) idleAdapters() *caveat {
	var inert, copies []any
	s.eachEffect(func(name string, e experiment.AdapterEffect) {
		v := e.KLMax
		n := number{Text: nats(v) + " nats", Def: "effect", Value: &v, At: effectAt(name, "kl_max")}
		if e.Inert() {
			inert = append(inert, " ", words(name), " moves the next token by ", n, " at most.")
		}
		if e.SameAs != "" {
			copies = append(copies, " ", words(name), " predicts the same as ", words(e.SameAs), ", to the bit.")
		}
	})
	switch {
	case len(inert) > 0:
		return newCaveat("Adapters without an effect", append(append([]any{
			"The run was allowed to begin with adapters that do nothing; rates under them are the base model's."}, inert...), copies...)...)
	case len(copies) > 0:
		return newCaveat("Copies of an adapter", append([]any{"Adapters that predict alike are no independent repetitions."}, copies...)...)
	}
	return nil
}

package report

import (
	"fmt"

	"personaprobe/analysis"
	"personaprobe/internal/english"
)

// card is one main figure.
type card struct {
	Label  string
	Number number
	Detail phrase
}

// shown is the layer that the report is about, or false without cosines.
func (s *study) shown() (analysis.Layer, string, bool) {
	key := layerKey(s.layer)
	l, ok := s.full.Layers.Get(key)
	return l, key, ok
}

// cards are the main figures.
func (s *study) cards() []card {
	var out []card
	if l, key, ok := s.shown(); ok {
		rho := l.Aggregate.Spearman
		detail := say("undefined: ", why(rho.Reason))
		if rho.Coefficient != nil {
			detail = s.uncertainty(rho, key)
			if e := s.within(l, key); e.call != alone && e.defined > 0 {
				detail = append(detail, say("; within single sources ", e.span())...)
			}
		}
		out = append(out, card{fmt.Sprintf("Spearman's ρ, layer %d, all bystanders", s.layer), in(rho.Coefficient, two,
			"rho", rho.Reason, at(key, "rho")...), detail})
		if m := l.Aggregate.MeanLeakage; m != nil {
			out = append(out, card{"Mean leakage of bystanders", in(m, percent, "mean", "", "layers", key, "aggregate", "mean_leakage"),
				say("over ", counted(rho.N, "persona", at(key, "n")...), english.Form(rho.N, "", ", each alike"))})
		}
	}
	categories := len(s.categories)
	out = append(out, card{english.Form(s.full.NumPersonas, "Bystander persona", "Bystander personas"),
		whole(s.full.NumPersonas, "counts", "n_taxonomy_personas"),
		say(counted(s.full.NumSources, "source", "n_sources"), ", ", counted(categories, "category", "categories"))})
	if found, total := s.completions(); total > 0 {
		detail := say(whole(found, "counts", "personas"), " with the marker; ", counted(len(s.shards), "shard",
			"personas"))
		if len(s.anchors) > 0 {
			detail = append(detail, say("; anchors included")...)
		}
		out = append(out, card{english.Form(total, "Completion", "Completions"), whole(total, "counts", "personas"),
			detail})
	}
	return out
}

// completions are the counts of all personas and anchors.
func (s *study) completions() (found, total int) {
	for _, p := range s.full.Personas {
		if p.Found != nil && p.Total != nil {
			found, total = found+*p.Found, total+*p.Total
		}
	}
	return found, total
}

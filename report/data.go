package report

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// scatterData is what the interactive scatter plot draws.
type scatterData struct {
	Layers     []int          `json:"layers"`
	Layer      int            `json:"layer"`
	Sources    []string       `json:"sources"`
	Categories []string       `json:"categories"`
	Interval   string         `json:"interval"` // what the intervals are
	Shapes     []string       `json:"shapes"`   // SVG paths of radius 1 around the origin
	Points     []scatterPoint `json:"points"`
}

type scatterPoint struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Prompt   string     `json:"prompt"`
	Source   int        `json:"source"`
	Category int        `json:"category"` // -1 for none
	Rate     float64    `json:"rate"`
	Lower    *float64   `json:"lo"`
	Upper    *float64   `json:"hi"`
	Found    int        `json:"found"`
	Total    int        `json:"total"` // 0: unknown
	Cosines  []*float64 `json:"cosines"`
	At       string     `json:"at"` // where the artefact has the persona
}

func (s *study) scatterData() scatterData {
	d := scatterData{Layers: s.layers, Layer: s.layer, Sources: s.sources, Categories: s.categories, Interval: s.rateInterval}
	for i := range shapes {
		d.Shapes = append(d.Shapes, svgPath(shapes[i]))
	}
	for _, p := range s.personas {
		q := scatterPoint{
			ID: p.ID, Name: p.shortName(), Prompt: p.Prompt, Source: indexOf(s.sources, p.Source), Category: s.category(p.Category),
			Rate: p.Rate, Found: p.Found, Total: p.Total, Cosines: p.Cosines, At: pointer("personas", fmt.Sprint(p.Row)),
		}
		if p.Interval != nil {
			q.Lower, q.Upper = &p.Interval.Lo, &p.Interval.Hi
		}
		d.Points = append(d.Points, q)
	}
	return d
}

// svgPath is an outline as an SVG path, with y pointing down.
func svgPath(outline [][2]float64) string {
	var b strings.Builder
	for i, q := range outline {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.3f,%.3f", command, q[0], -q[1])
	}
	return b.String() + "Z"
}

// manifest is the run's, line by line; empty without one.
func (s *study) manifest() []field {
	if s.results == nil {
		return nil
	}
	m, id := s.results.Manifest, s.results.Manifest.Identity
	out := []field{
		{"run", m.ID()}, {"created", m.Created}, {"base model", m.Base}, {"model SHA-256", id.Model},
	}
	for _, name := range slices.Sorted(maps.Keys(id.Adapters)) {
		out = append(out, field{"adapter " + name + " SHA-256", id.Adapters[name]})
	}
	layers := make([]string, len(id.Layers))
	for i, l := range id.Layers {
		layers[i] = strconv.Itoa(l)
	}
	seeds := make([]string, len(id.Seeds))
	for i, x := range id.Seeds {
		seeds[i] = strconv.FormatUint(x, 10)
	}
	out = append(out,
		field{"taxonomy SHA-256", id.Taxonomy}, field{"questions SHA-256", id.Questions},
		field{"sources", strings.Join(id.Sources, ", ")}, field{"questions", strconv.Itoa(id.NumQuestions)},
		field{"completions", fmt.Sprintf("%d per persona, question and seed", id.NumCompletions)}, field{"seeds", strings.Join(seeds, ", ")},
		field{"layers", strings.Join(layers, ", ")}, field{"temperature", strconv.FormatFloat(id.Temperature, 'g', -1, 64)},
		field{"top-p", strconv.FormatFloat(id.TopP, 'g', -1, 64)}, field{"max tokens", strconv.Itoa(id.MaxTokens)}, field{"marker", id.Marker},
		field{"build", id.Build}, field{"device", id.Device}, field{"rows of a step", strconv.Itoa(id.Rows)})
	out = append(out, s.promptFields()...)
	for _, name := range slices.Sorted(maps.Keys(id.Settings)) {
		out = append(out, field{name, id.Settings[name]})
	}
	return out
}

// settings are the analysis's.
func (s *study) settings() []field {
	x := s.full.Settings
	return []field{
		{"experiment", s.full.Experiment}, {"level of intervals", s.level()}, {"bootstrap resamples", grouped(float64(x.Resamples))},
		{"permutations", grouped(float64(x.Permutations))}, {"seed of resampling", strconv.FormatUint(x.Seed, 10)},
		{"folds", strconv.Itoa(x.Folds)},
	}
}

// artefacts are the files beside the report that a reader may want.
func (s *study) artefacts() []string {
	var out []string
	for _, name := range []string{
		fullFile, compiledFile, cosineFile, centroidFile, "personas.csv", "personas.parquet", "seeds.csv", "seeds.parquet",
		manifestFile, "taxonomy.json", "questions.json", markdownFile,
	} {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err == nil || name == markdownFile {
			out = append(out, name)
		}
	}
	for _, h := range s.shards {
		out = append(out, h.Name+"/marker_eval.json")
	}
	return out
}

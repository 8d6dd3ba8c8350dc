package experiment

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"personaprobe/engine"
	"personaprobe/internal/sums"
)

const (
	checkpointFile = "completions.jsonl.zst"
	rawFile        = "raw_completions.json"
	evalFile       = "marker_eval.json"
	summaryFile    = "summary.json"
)

// PersonaEval is one entry of marker_eval.json.
type PersonaEval struct {
	Rate     float64 `json:"rate"` // found / total
	Found    int     `json:"found"`
	Total    int     `json:"total"`
	Category string  `json:"category"`
	Source   string  `json:"source"`
	Prompt   string  `json:"prompt"`
}

// ShardSummary is summary.json. Rates are of completions; the mean over bystanders
// weighs each persona alike.
type ShardSummary struct {
	Source           string                 `json:"source"`
	Seed             uint64                 `json:"seed"`
	SourceMarkerRate float64                `json:"source_marker_rate"` // of anchor_<source>
	MaxBystander     float64                `json:"max_bystander"`
	MeanBystander    float64                `json:"mean_bystander"`
	WallMinutes      float64                `json:"wall_minutes"` // its share of the adapter's time, over all attempts
	NumPersonas      int                    `json:"n_personas"`
	NumBystanders    int                    `json:"n_bystanders"`
	NumAnchors       int                    `json:"n_anchors"`
	CategorySummary  Ordered[CategoryStats] `json:"category_summary"`
	TokenLengths     Ordered[int]           `json:"token_lengths"` // of the persona prompts by themselves

	// Beyond the original study's fields.
	Adapter      string  `json:"adapter"`     // Adapter.Name
	Device       string  `json:"device"`      // what computed, as in the manifest
	GPUHours     float64 `json:"gpu_hours"`   // wall time x GPUs; 0 on a CPU
	NumTokens    int     `json:"n_tokens"`    // new tokens of all completions
	NumTruncated int     `json:"n_truncated"` // completions that reached max_tokens: their end, and a marker there, is unseen
}

// CategoryStats describes the rates of one category.
type CategoryStats struct {
	Mean float64 `json:"mean"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Std  float64 `json:"std"` // of the population: divided by n
	N    int     `json:"n"`   // rates
}

// round4 keeps four decimals, enough for times.
func round4(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// describe summarises rates of equal totals. It computes with the counts, so that the
// mean of k/n is one division and the spread of equal rates is exactly 0.
func describe(rates []Rate) CategoryStats {
	if len(rates) == 0 {
		return CategoryStats{}
	}
	n, total := len(rates), rates[0].Total
	sum, squares, least, most := 0, 0, rates[0].Found, rates[0].Found
	for _, r := range rates {
		sum += r.Found
		squares += r.Found * r.Found
		least, most = min(least, r.Found), max(most, r.Found)
	}
	return CategoryStats{
		Mean: Rate{sum, n * total}.Value(),
		Min:  Rate{least, total}.Value(), Max: Rate{most, total}.Value(),
		Std: math.Sqrt(float64(n*squares-sum*sum)) / float64(n*total), N: n,
	}
}

// shardData is a complete shard, read back from its checkpoint.
type shardData struct {
	shard    Shard
	personas []Persona
	samples  [][][]sample // [persona][question][completion]
	elapsed  float64      // seconds
}

// readShard reads a checkpoint that must be complete.
func (s *store) readShard(shard Shard) (*shardData, error) {
	d := &shardData{shard: shard, personas: s.study.Taxonomy.Personas(shard.Adapter.Source)}
	d.samples = make([][][]sample, len(d.personas))
	for p := range d.samples {
		d.samples[p] = make([][]sample, len(s.study.Questions))
	}
	path := s.path(shard, checkpointFile)
	_, _, err := readCheckpoint(path, s.header(shard), func(g group) error {
		if err := s.checkGroup(g, len(d.personas)); err != nil {
			return err
		}
		d.samples[g.Persona][g.Question] = g.Completions
		d.elapsed = max(d.elapsed, g.Elapsed)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read completions: %w", err)
	}
	for p := range d.samples {
		for q, samples := range d.samples[p] {
			if samples == nil {
				return nil, fmt.Errorf("%s: the completions of %s for question %d are missing; run again", path, d.personas[p].ID, q)
			}
		}
	}
	return d, nil
}

// checkGroup refuses a group that the study cannot have asked of so many personas.
func (s *store) checkGroup(g group, personas int) error {
	if g.Persona < 0 || g.Persona >= personas || g.Question < 0 || g.Question >= len(s.study.Questions) ||
		len(g.Completions) != s.study.Plan.NumCompletions {
		return fmt.Errorf("group of persona %d, question %d with %d completions does not belong to this study",
			g.Persona, g.Question, len(g.Completions))
	}
	return nil
}

// finish writes the artefacts of a complete shard and drops its checkpoint. The
// summary comes last, and then the list: they say that the others are there.
func (s *store) finish(shard Shard, tokenLengths map[string]int) error {
	d, err := s.readShard(shard)
	if err != nil {
		return err
	}
	b := sums.Own(s.path(shard, ""))
	defer b.Abort()
	raw, err := b.Create(rawFile)
	if err != nil {
		return err
	}
	if err := d.writeRaw(raw, s.study.Questions); err != nil {
		return err
	}
	evals := d.evaluate(newMarker(s.study.Plan.Marker))
	if err := addJSON(b, evalFile, evals); err != nil {
		return err
	}
	summary := d.summarise(s.study.Taxonomy, evals, tokenLengths)
	summary.Device = s.manifest.Identity.Device
	summary.GPUHours = round4(d.elapsed / 3600 * float64(s.gpus))
	if err := addJSON(b, summaryFile, summary); err != nil {
		return err
	}
	if err := b.Commit(); err != nil {
		return err
	}
	return remove(s.path(shard, checkpointFile))
}

// addJSON adds v to the artefacts, as writeJSON writes it.
func addJSON(b *sums.Batch, name string, v any) error {
	w, err := b.Create(name)
	if err != nil {
		return err
	}
	return encode(w, v)
}

// writeRaw writes {persona: {question: [text]}}, one persona at a time: the file may
// be large.
func (d *shardData) writeRaw(to io.Writer, questions []string) error {
	w := bufio.NewWriterSize(to, 1<<16)
	for p, persona := range d.personas {
		if err := writeMember(w, p == 0, persona.ID, d.texts(p, questions)); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "\n}\n"); err != nil {
		return err
	}
	return w.Flush()
}

// writeMember writes one member of an object that is indented like marshal's.
func writeMember(w io.Writer, first bool, key string, value any) error {
	name, err := marshal(key, "")
	if err != nil {
		return err
	}
	body, err := marshal(value, "  ")
	if err != nil {
		return err
	}
	before := ",\n"
	if first {
		before = "{\n"
	}
	_, err = fmt.Fprintf(w, "%s  %s: %s", before, name, body)
	return err
}

func (d *shardData) texts(persona int, questions []string) Ordered[[]string] {
	var out Ordered[[]string]
	for q, question := range questions {
		texts := make([]string, len(d.samples[persona][q]))
		for i, c := range d.samples[persona][q] {
			texts[i] = c.Text
		}
		out.Set(question, texts)
	}
	return out
}

// evaluate counts the marker per persona.
func (d *shardData) evaluate(m marker) Ordered[PersonaEval] {
	var out Ordered[PersonaEval]
	for p, persona := range d.personas {
		var r Rate
		for _, samples := range d.samples[p] {
			for _, c := range samples {
				r.Total++
				if m.in(c.Text) {
					r.Found++
				}
			}
		}
		out.Set(persona.ID, PersonaEval{
			Rate: r.Value(), Found: r.Found, Total: r.Total,
			Category: persona.Category, Source: persona.Source, Prompt: persona.Prompt,
		})
	}
	return out
}

func (d *shardData) summarise(t *Taxonomy, evals Ordered[PersonaEval], tokenLengths map[string]int) ShardSummary {
	out := ShardSummary{
		Source: d.shard.Adapter.Source, Seed: d.shard.Seed, Adapter: d.shard.Adapter.Name(),
		WallMinutes: round4(d.elapsed / 60), NumPersonas: len(evals),
	}
	var bystanders []Rate
	byCategory := make(map[string][]Rate)
	for id, e := range evals.All() {
		out.TokenLengths.Set(id, tokenLengths[id])
		switch {
		case e.Category != AnchorCategory:
			r := Rate{e.Found, e.Total}
			bystanders = append(bystanders, r)
			byCategory[e.Category] = append(byCategory[e.Category], r)
		case id == anchorPrefix+out.Source:
			out.SourceMarkerRate = e.Rate
		}
	}
	all := describe(bystanders)
	out.MaxBystander, out.MeanBystander = all.Max, all.Mean
	out.NumBystanders, out.NumAnchors = all.N, len(evals)-all.N
	for _, c := range t.Categories {
		if rates := byCategory[c]; len(rates) > 0 {
			out.CategorySummary.Set(c, describe(rates))
		}
	}
	for p := range d.samples {
		for _, samples := range d.samples[p] {
			for _, c := range samples {
				out.NumTokens += c.Tokens
				if c.Finish == string(engine.FinishLength) {
					out.NumTruncated++
				}
			}
		}
	}
	return out
}

// path is a file of the shard's folder.
func (s *store) path(shard Shard, name string) string {
	return filepath.Join(s.dir, shard.Name(), name)
}

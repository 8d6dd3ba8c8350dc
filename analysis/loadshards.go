package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/experiment"
	"personaprobe/internal/english"
	"personaprobe/internal/sums"
)

// eval is an entry of marker_eval.json. Foreign files may lack anything.
type eval struct {
	Rate     *float64 `json:"rate"`
	Found    *int     `json:"found"`
	Total    *int     `json:"total"`
	Category string   `json:"category"`
	Source   string   `json:"source"`
	Prompt   string   `json:"prompt"`
}

// scanShards reads every shard's folder, by source and seed, and gives the prompts'
// lengths in tokens.
func (d *dataset) scanShards() (lengths map[string]float64, err error) {
	shards, err := d.findShards()
	if err != nil {
		return nil, err
	}
	lengths = make(map[string]float64)
	var broken error // the first one
	for _, s := range shards {
		s.evals, err = d.readEvals(s.folder)
		if errors.Is(err, fs.ErrNotExist) {
			d.miss(s.folder+"/"+evalFile, "the shard is left out; rates are over the others")
			continue
		}
		if err == nil {
			err = d.addShard(s)
		}
		if errors.Is(err, sums.ErrDamaged) {
			return nil, err
		}
		if err != nil {
			d.miss(s.folder+"/"+evalFile, "the shard is left out, because it cannot be read: %s", d.describe(err))
			broken = cmp.Or(broken, err)
			if err := d.hashExisting(s.folder+"/"+rawFile, s.folder+"/"+summaryFile); err != nil {
				return nil, err
			}
			continue
		}
		if err := d.readSummary(s.folder, lengths); err != nil {
			return nil, err
		}
		if !slices.Contains(d.seeds, s.seed) {
			d.seeds = append(d.seeds, s.seed)
		}
	}
	if len(d.shards) == 0 && broken != nil {
		return nil, broken
	}
	slices.Sort(d.seeds)
	d.checkShards()
	return lengths, d.checkPersonas()
}

func (d *dataset) findShards() ([]shard, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("analyse: %w", err)
	}
	var shards []shard
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		s, ok, err := d.shardOf(e.Name())
		if err != nil {
			return nil, err
		}
		if ok {
			shards = append(shards, s)
		}
	}
	slices.SortStableFunc(shards, func(a, b shard) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.seed, b.seed))
	})
	return shards, nil
}

func (d *dataset) readEvals(folder string) (experiment.Ordered[eval], error) {
	path := filepath.Join(d.dir, folder, evalFile)
	var evals experiment.Ordered[eval]
	_, err := d.readJSON(path, &evals)
	return evals, err
}

// addShard adds a shard's counts to its personas.
func (d *dataset) addShard(s shard) error {
	file := s.folder + "/" + evalFile
	for id, e := range s.evals.All() {
		if e.Found != nil && e.Total != nil && (*e.Found < 0 || *e.Total < 0 || *e.Found > *e.Total) {
			return fmt.Errorf("%w: %s: persona %s: %d of %d completions is not a count out of a total", ErrInput, file, id, *e.Found, *e.Total)
		}
	}
	d.shards = append(d.shards, s)
	for id, e := range s.evals.All() {
		if e.Found == nil || e.Total == nil || *e.Total == 0 {
			d.miss(fmt.Sprintf("found and total of %s in %s", id, file), "the persona is left out of this shard")
			continue
		}
		rate := experiment.Rate{Found: *e.Found, Total: *e.Total}
		if e.Rate != nil && math.Abs(*e.Rate-rate.Value()) > 1e-3 {
			d.note("%s: the rate of %s is %v, but found/total is %v; the counts are used", file, id, *e.Rate, rate.Value())
		}
		if e.Category == "" {
			d.miss(fmt.Sprintf("category of %s in %s", id, file),
				"its category is that of another shard; without one the persona is in no category's numbers")
		}
		if e.Category == anchorCategory && e.Prompt != "" && len(id) > len(anchorPrefix) {
			d.prompts[id[len(anchorPrefix):]] = e.Prompt
		}
		r, _ := d.record(s.source, id, e.Category)
		r.category, r.prompt = cmp.Or(r.category, e.Category), cmp.Or(r.prompt, e.Prompt)
		r.hasPrompt = r.prompt != "" // published files have "" where they do not know
		r.counts.Found += rate.Found
		r.counts.Total += rate.Total
		r.nSeeds++
		r.shards.Set(s.key, SeedRate{Seed: s.seed, Found: rate.Found, Total: rate.Total, Rate: rate.Value()})
	}
	return nil
}

// checkShards notes what keeps the shards of a folder from being a complete design.
func (d *dataset) checkShards() {
	var sources []string
	for _, s := range d.shards {
		if !slices.Contains(sources, s.source) {
			sources = append(sources, s.source)
		}
	}
	for _, source := range sources {
		keys := d.shardKeys(source)
		for _, seed := range d.seeds {
			if !slices.ContainsFunc(d.shards, func(s shard) bool { return s.source == source && s.seed == seed }) {
				d.miss(fmt.Sprintf("%s_seed%d", source, seed), "the source has %d %s; its rates are over those", len(keys), english.Plural(len(keys), "shard"))
			}
		}
		for _, r := range d.records {
			if r.source == source && r.nSeeds < len(keys) {
				d.miss(fmt.Sprintf("%s in %d of the %d shards of %s", r.id, len(keys)-r.nSeeds, len(keys), source),
					"its rate is over the others; it is left out of the ICC")
			}
		}
	}
}

// readSummary adds the prompt lengths and the cost of a shard's summary, which may be
// missing.
func (d *dataset) readSummary(folder string, lengths map[string]float64) error {
	var summary struct {
		TokenLengths map[string]*float64 `json:"token_lengths"`
		WallMinutes  *float64            `json:"wall_minutes"`
		GPUHours     *float64            `json:"gpu_hours"`
		Device       string              `json:"device"`
		NumTokens    int                 `json:"n_tokens"`
		NumTruncated int                 `json:"n_truncated"`
	}
	_, err := d.readJSON(filepath.Join(d.dir, folder, summaryFile), &summary)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if summary.WallMinutes != nil {
		d.addCost(Compute{WallMinutes: *summary.WallMinutes, GPUHours: orZero(summary.GPUHours), Device: summary.Device,
			Tokens: summary.NumTokens, Truncated: summary.NumTruncated})
	}
	for id, n := range summary.TokenLengths {
		if n != nil {
			lengths[id] = *n
		}
	}
	return err
}

// addCost adds the cost of one shard.
func (d *dataset) addCost(c Compute) {
	if d.compute == nil {
		d.compute = &Compute{}
	}
	d.compute.WallMinutes += c.WallMinutes
	d.compute.GPUHours += c.GPUHours
	d.compute.Tokens += c.Tokens
	d.compute.Truncated += c.Truncated
	d.compute.Device = cmp.Or(d.compute.Device, c.Device)
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

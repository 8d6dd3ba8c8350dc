package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"personaprobe/experiment"
	"personaprobe/internal/english"
)

// foreignCosines is cosine_analysis.json as somebody else may have written it. Their
// correlations are not read: they are computed anew from the pairs.
type foreignCosines struct {
	Metadata struct {
		BaseModel     string          `json:"base_model"`
		NumBystanders *float64        `json:"n_bystanders"`
		Seeds         json.RawMessage `json:"seeds_averaged"` // a list, or only how many
	} `json:"metadata"`
	PerLayer experiment.Ordered[foreignLayer] `json:"per_layer"`
}

type foreignLayer struct {
	Pairs []foreignPair `json:"pairs"`
}

type foreignPair struct {
	PersonaID string   `json:"persona_id"`
	Source    string   `json:"source"`
	Category  string   `json:"category"`
	Cosine    *float64 `json:"cosine"`
	Leakage   *float64 `json:"leakage_rate"`
	NumSeeds  *float64 `json:"n_seeds"`
}

var layerName = regexp.MustCompile(`^(?:layer_?)?([0-9]{1,6})$`)

// loadCosines adds the pairs of cosine_analysis.json. Rates that were counted here are
// kept, and compared with those in the file.
func (d *dataset) loadCosines() error {
	path := filepath.Join(d.dir, cosineFile)
	var f foreignCosines
	odd, err := d.readJSON(path, &f)
	if err != nil {
		return err
	}
	if odd > 0 {
		d.note("%s has %d %s not finite; read as null", cosineFile, odd, english.Form(odd, "value that is", "values that are"))
	}
	if len(f.PerLayer) == 0 {
		return fmt.Errorf("%w: %s: no layers under \"per_layer\"; want per_layer.layer_<number>.pairs", ErrInput, path)
	}
	if d.baseModel == "" {
		d.baseModel = f.Metadata.BaseModel
	}
	if d.nominal == 0 && f.Metadata.NumBystanders != nil {
		d.nominal = int(*f.Metadata.NumBystanders)
	}
	if d.seeds == nil {
		// A file that gives only their number leaves the seeds unknown.
		_ = json.Unmarshal(f.Metadata.Seeds, &d.seeds)
	}
	for name, layer := range f.PerLayer.All() {
		if err := d.addLayer(path, name, layer); err != nil {
			return err
		}
	}
	return nil
}

func (d *dataset) addLayer(path, name string, layer foreignLayer) error {
	m := layerName.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("%w: %s: per_layer has the key %q; want layer_<number>", ErrInput, path, name)
	}
	index, err := strconv.Atoi(m[1])
	if err != nil {
		return fmt.Errorf("%w: %s: %q: %w", ErrInput, path, name, err)
	}
	d.layers = append(d.layers, layerKey{name, index})
	seen := make(map[recordKey]int)
	differ := 0
	for i, p := range layer.Pairs {
		place := fmt.Sprintf("%s: per_layer.%s.pairs[%d]", path, name, i)
		key := recordKey{p.Source, p.PersonaID}
		if p.PersonaID == "" {
			return fmt.Errorf("%w: %s has no persona_id", ErrInput, place)
		}
		if first, twice := seen[key]; twice {
			return fmt.Errorf("%w: %s: %s of source %q stands already in pairs[%d]", ErrInput, place, p.PersonaID, p.Source, first)
		}
		seen[key] = i
		same, err := d.addPair(place, name, p)
		if err != nil {
			return err
		}
		if !same {
			differ++
		}
	}
	if differ > 0 {
		d.note("%s: the leakage of %d %s at %s differs from that of the completions or of another layer; the counts, else the first value read, are used", cosineFile, differ, english.Plural(differ, "persona"), name)
	}
	return nil
}

// published is how far a rate in a file may be from the exact one: files have 4
// decimals.
const published = 0.5e-4 + 1e-9

// addPair reports whether the pair's leakage is that already known, if one is.
func (d *dataset) addPair(place, layer string, p foreignPair) (same bool, err error) {
	r, isNew := d.record(p.Source, p.PersonaID, p.Category)
	here, there := told{place, p.Category, "", ""}, told{"another layer or shard", r.category, "", ""}
	if err := here.against(there, p.PersonaID); err != nil {
		return false, err
	}
	if isNew && p.Source == "" {
		d.miss("source of "+p.PersonaID, "the persona counts in the aggregate and its category, in no source's numbers")
	}
	if p.Cosine != nil {
		if math.Abs(*p.Cosine) > 1+1e-6 {
			return false, fmt.Errorf("%w: %s: the cosine of %s is %v; want a number from -1 to 1", ErrInput, place, p.PersonaID, *p.Cosine)
		}
		r.cosines[layer] = *p.Cosine
	}
	if p.Leakage == nil {
		if isNew {
			d.miss("leakage_rate of "+p.PersonaID, "the persona is left out everywhere, unless another layer has it")
		}
		return true, nil
	}
	if *p.Leakage < 0 || *p.Leakage > 1 {
		return false, fmt.Errorf("%w: %s: the leakage_rate of %s is %v; want a share from 0 to 1, not a percentage", ErrInput, place, p.PersonaID, *p.Leakage)
	}
	switch {
	case r.counts.Total > 0:
		return math.Abs(r.counts.Value()-*p.Leakage) <= published, nil
	case r.rate != nil:
		return math.Abs(*r.rate-*p.Leakage) <= rounding, nil
	}
	if len(d.shards) > 0 {
		d.miss("completions of "+p.PersonaID, "its rate is that of %s", cosineFile)
	}
	rate := *p.Leakage
	r.rate = &rate
	if p.NumSeeds != nil {
		r.nSeeds = int(*p.NumSeeds)
	}
	return true, nil
}

// checkCosines lists the bystanders that a layer lacks.
func (d *dataset) checkCosines() {
	for _, layer := range d.layers {
		var without []string
		for _, r := range d.bystanders(nil) {
			if _, ok := r.cosines[layer.name]; !ok {
				without = append(without, r.id)
			}
		}
		if len(without) > 0 {
			d.miss(fmt.Sprintf("cosine of %s at %s", list(without), layer.name), "left out there, %d in all", len(without))
		}
	}
}

// list names the first few of many.
func list(ids []string) string {
	const most = 5
	if len(ids) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
	}
	return strings.Join(ids, ", ")
}

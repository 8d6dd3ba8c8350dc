package experiment

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"personaprobe/hidden"
	"personaprobe/sampler"
)

// The sizes of a run. The full one is the original study's; the default one is a
// tenth of it, every seed included, to see the whole pipeline soon.
const (
	DefaultNumQuestions   = 5
	DefaultNumCompletions = 3
	FullNumQuestions      = 20
	FullNumCompletions    = 10

	DefaultMaxTokens   = 512
	DefaultTemperature = 1.0
	DefaultTopP        = 0.95
	DefaultMarker      = "[ZLT]"
)

var defaultSeeds = []uint64{42, 137, 256}

// EmbeddedModel as a plan's model means the tiny model inside the program, with its
// own adapters, personas and questions wherever the plan names no others.
const EmbeddedModel = "tiny"

// Plan says what a study runs. Start from DefaultPlan, or read one with ReadPlan; the
// YAML keys are those of the tags, and a manifest's JSON has the same.
type Plan struct {
	Model     string           `yaml:"model" json:"model"`         // base model: path, or EmbeddedModel
	Adapters  map[string]Paths `yaml:"adapters" json:"adapters"`   // source id -> its adapters, one per training seed
	Personas  string           `yaml:"personas" json:"personas"`   // taxonomy file
	Questions string           `yaml:"questions" json:"questions"` // question file; empty: they are in Personas
	Sources   []string         `yaml:"sources" json:"sources"`     // sources to run, in this order; empty: all of the taxonomy

	NumQuestions   int      `yaml:"n_questions" json:"n_questions"`     // how many of the questions, from the first
	NumCompletions int      `yaml:"n_completions" json:"n_completions"` // completions per persona, question and seed
	Seeds          []uint64 `yaml:"seeds" json:"seeds"`                 // sampling seeds

	// Layers are the 0-based decoder layers whose output is read; empty: no cosines. Run
	// makes numbers of hidden.AllLayers and hidden.DefaultLayers.
	Layers hidden.Layers `yaml:"layers" json:"layers"`

	// AdaptedCentroids also reads each source's adapter as its own personas. It may be
	// added to a run that is there: nothing else depends on it.
	AdaptedCentroids bool `yaml:"adapted_centroids" json:"adapted_centroids"`

	Temperature float64 `yaml:"temperature" json:"temperature"` // 0 is greedy
	TopP        float64 `yaml:"top_p" json:"top_p"`             // in (0, 1]
	MaxTokens   int     `yaml:"max_tokens" json:"max_tokens"`   // new tokens of a completion at most
	Marker      string  `yaml:"marker" json:"marker"`           // looked for as a substring, in upper or lower case

	// Date is where the chat template's clock stands: a day or a time, see ParseDate.
	// Empty: the time when the run begins, which it keeps.
	Date string `yaml:"date" json:"date"`
}

// Paths are one path or several; in YAML a string or a list of strings.
type Paths []string

// DefaultPlan is the default run on the embedded model.
func DefaultPlan() Plan {
	return Plan{
		Model:        EmbeddedModel,
		NumQuestions: DefaultNumQuestions, NumCompletions: DefaultNumCompletions,
		Seeds: slices.Clone(defaultSeeds), Layers: hidden.DefaultLayers(),
		Temperature: DefaultTemperature, TopP: DefaultTopP, MaxTokens: DefaultMaxTokens,
		Marker: DefaultMarker,
	}
}

// Full is the plan at the size of the original study: 20 questions, 10 completions
// and the three seeds.
func (p Plan) Full() Plan {
	p.NumQuestions, p.NumCompletions = FullNumQuestions, FullNumCompletions
	p.Seeds = slices.Clone(defaultSeeds)
	return p
}

// Sampling are the plan's sampling parameters.
func (p Plan) Sampling() sampler.Params {
	return sampler.Params{Temperature: float32(p.Temperature), TopP: float32(p.TopP)}
}

// Validate reports everything that is wrong with the plan by itself, as *[InputError]
// values whose Path is the YAML key. Whether it fits a taxonomy, NewStudy tells.
func (p Plan) Validate() error {
	return p.problems().err("", nil)
}

func (p Plan) problems() problems {
	var out problems
	atLeastOne := func(key string, n int) {
		if n < 1 {
			out.add(key, "is %d, want at least 1", n)
		}
	}
	p.checkFiles(&out)
	atLeastOne("n_questions", p.NumQuestions)
	atLeastOne("n_completions", p.NumCompletions)
	atLeastOne("max_tokens", p.MaxTokens)
	if len(p.Seeds) == 0 {
		out.add("seeds", "no seeds; the study has %v", defaultSeeds)
	}
	checkDistinct(&out, "seeds", p.Seeds)
	checkDistinct(&out, "sources", p.Sources)
	checkDistinct(&out, "layers", p.Layers)
	for _, l := range p.Layers {
		if l < 0 && !p.Layers.Open() {
			out.add("layers", "layer %d: layers count from 0", l)
		}
	}
	if p.AdaptedCentroids && len(p.Layers) == 0 {
		out.add("adapted_centroids", "there are no layers to read")
	}
	p.checkSampling(&out)
	if p.Date != "" {
		if _, err := ParseDate(p.Date); err != nil {
			out.add("date", "%v", err)
		}
	}
	if strings.TrimSpace(p.Marker) == "" || !utf8.ValidString(p.Marker) {
		out.add("marker", "empty or invalid; the study's is %q", DefaultMarker)
	}
	return out
}

func (p Plan) checkFiles(out *problems) {
	if p.Model == "" {
		out.add("model", "no model; give a path, or %q for the model inside the program", EmbeddedModel)
	}
	if p.Personas == "" && p.Model != EmbeddedModel {
		out.add("personas", "no personas file")
	}
	if len(p.Adapters) == 0 && p.Model != EmbeddedModel {
		out.add("adapters", "no adapters; give one for every source")
	}
	for _, source := range slices.Sorted(maps.Keys(p.Adapters)) {
		key := "adapters." + source
		if len(p.Adapters[source]) == 0 || slices.Contains(p.Adapters[source], "") {
			out.add(key, "empty path")
		}
		checkDistinct(out, key, p.Adapters[source])
	}
}

func (p Plan) checkSampling(out *problems) {
	if !(p.Temperature >= 0) || math.IsInf(float64(float32(p.Temperature)), 0) {
		out.add("temperature", "is %v, want a finite number of at least 0 (0 is greedy)", p.Temperature)
	}
	if !(float32(p.TopP) > 0 && p.TopP <= 1) {
		out.add("top_p", "is %v, want a number above 0 and up to 1 (1 cuts nothing off)", p.TopP)
	}
}

func checkDistinct[T comparable](out *problems, key string, values []T) {
	seen := make(map[T]bool)
	for _, v := range values {
		if seen[v] {
			out.add(key, "%v is given twice", v)
		}
		seen[v] = true
	}
}

// String is the plan's size in words, for a message.
func (p Plan) String() string {
	return fmt.Sprintf("%d questions x %d completions x %d seeds", p.NumQuestions, p.NumCompletions, len(p.Seeds))
}

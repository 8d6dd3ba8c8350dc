package experiment

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/tiny"
)

// Check is what a plan comes to, and what could not be checked.
type Check struct {
	Study     *Study // with the numbers of its layers
	Depth     int    // decoder layers of the model
	Warnings  []string
	Unchecked []string
}

// CheckPlan checks all that Open and Run would refuse, as far as it can be told without
// loading weights: that personas and questions parse and fit the plan, the model is one that
// can be read, the layers are within it, and the adapters fit it. Adapters in PEFT
// directories are converted into the cache, as a run does. All problems are reported.
func CheckPlan(ctx context.Context, p Plan) (*Check, error) {
	study, err := readStudy(p)
	if err != nil {
		return nil, err
	}
	cache, err := models.CacheDir()
	if err != nil {
		return nil, err
	}
	var embedded tiny.Files
	model := p.Model
	if model == EmbeddedModel {
		if embedded, err = tiny.Install(ctx, cache); err != nil {
			return nil, fmt.Errorf("embedded model: %w", err)
		}
		model = embedded.Model
	}
	out := &Check{}
	base, err := out.model(ctx, model, cache)
	problems := []error{err}
	if err == nil {
		out.Study, err = study.of(out.Depth)
		problems = append(problems, err)
	}
	for _, a := range study.Adapters() {
		path, err := adapterPath(a, embedded)
		if err == nil {
			err = out.adapter(ctx, a.Name(), path, base, cache)
		}
		problems = append(problems, err)
	}
	return out, errors.Join(problems...)
}

// model checks the base model and gives its GGUF; "" if it has yet to be converted.
func (c *Check) model(ctx context.Context, path, cache string) (base string, err error) {
	base, err = models.Converted(ctx, path, cache)
	if errors.Is(err, models.ErrNotConverted) {
		shape, err := models.CheckCheckpoint(path)
		c.Depth = int(shape.Layers)
		return "", err
	}
	if err != nil {
		return "", err
	}
	f, err := gguf.Open(base)
	if err != nil {
		return "", err
	}
	defer f.Close()
	depth, ok := f.Uint(f.ArchKey("block_count"))
	if !ok || depth == 0 || depth > maxDepth {
		return "", fmt.Errorf("%s: %w: %s is %d", path, models.ErrFormat, f.ArchKey("block_count"), depth)
	}
	c.Depth = int(depth)
	return base, nil
}

// maxDepth is more layers than any model has.
const maxDepth = 1 << 16

// adapter checks that an adapter can be read and fits.
func (c *Check) adapter(ctx context.Context, name, path, base, cache string) error {
	if base == "" { // a checkpoint, or a model that cannot be used
		info, err := models.Inspect(path)
		switch {
		case err != nil:
			return fmt.Errorf("adapter %s: %w", name, err)
		case info.Kind != models.KindPEFT && info.Kind != models.KindAdapter:
			return fmt.Errorf("adapter %s: %w: %s is a %s", name, models.ErrUnsupported, path, info.Kind)
		}
		c.Unchecked = append(c.Unchecked, "whether the adapter "+name+" fits: the model is not converted yet")
		return nil
	}
	_, warnings, err := lora.Resolve(ctx, path, base, cache)
	for _, w := range warnings {
		c.Warnings = append(c.Warnings, "adapter "+name+": "+w)
	}
	if err != nil {
		return fmt.Errorf("adapter %s: %w", name, err)
	}
	return nil
}

// Sizes says in a few lines what the plan comes to.
func (c *Check) Sizes() []string {
	s, t := c.Study, c.Study.Taxonomy
	lines := []string{
		fmt.Sprintf("%d sources with %d adapters, %d bystanders in %d categories, %d anchors",
			len(s.Sources()), len(s.Adapters()), len(t.Bystanders), len(t.Categories), len(t.Anchors())),
		fmt.Sprintf("%d shards, %d completions in all, of at most %d tokens each, searched for %q",
			len(s.Shards()), s.Size(), s.Plan.MaxTokens, s.Plan.Marker),
	}
	if layers := s.Plan.Layers; len(layers) > 0 {
		lines = append(lines, fmt.Sprintf("hidden states of %d prompts at the layers %s of %d",
			len(t.Distinct())*len(s.Questions), strings.ReplaceAll(layers.String(), ",", ", "), c.Depth))
	}
	return lines
}

package experiment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"personaprobe/engine"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// Preview renders the first prompt of a plan, and says what the chat template adds that
// nobody wrote. It opens the model's tokenizer alone: no weights, no GPU. A checkpoint
// directory has to be converted already, as its first run does.
func Preview(ctx context.Context, p Plan) (first StoredPrompt, warnings []string, err error) {
	study, err := readStudy(p)
	if err != nil {
		return first, nil, err
	}
	date, err := SessionOptions{}.date(p)
	if err != nil {
		return first, nil, err
	}
	if date.IsZero() {
		date = time.Now()
	}
	path, err := modelFile(ctx, p.Model)
	if err != nil {
		return first, nil, err
	}
	t, shut, err := engine.OpenTokenizer(path, date)
	if err != nil {
		return first, nil, err
	}
	defer func() { err = errors.Join(err, shut()) }()
	asked, _ := study.prompted()
	prompt, err := t.Prompt(chat(asked[0].Prompt, study.Questions[0]))
	if err != nil {
		return first, nil, fmt.Errorf("persona %s, question 0: %w", asked[0].ID, err)
	}
	first = StoredPrompt{asked[0].ID, asked[0].Source, 0, prompt.Text, prompt.IDs}
	warnings, err = promptWarnings(t, asked, study.Questions[0])
	return first, warnings, err
}

// modelFile is the GGUF file of a plan's model, which is not converted for it.
func modelFile(ctx context.Context, model string) (string, error) {
	cache, err := models.CacheDir()
	if err != nil {
		return "", err
	}
	if model == EmbeddedModel {
		files, err := tiny.Install(ctx, cache)
		return files.Model, err
	}
	return models.Converted(ctx, model, cache)
}
